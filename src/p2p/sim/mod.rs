//! Simulated jobs: several engines over one heap segment, in one thread. A seed thinks up the job and
//! picks who does something next, so that a failure repeats; an [`oracle`] that knows nothing of
//! queues checks order and contents; and at the end nothing may be left anywhere.
//!
//! Reading order: [`plan`] (the job), [`memory`] (what is sent and received), [`context`] (how the engine
//! is called), [`flight`], [`task`] (a virtual thread), [`contest`], [`job`] (who is next), [`oracle`],
//! [`reached`] (what the simulation gets to see).
//!
//! [`relay`] is another kind of simulation, for code that waits where it is, as collectives in shared memory do
//! (src/coll/sim): ranks are threads, and a seed decides which one runs.
//!
//! Of ranks with several threads the jobs above cover what does not depend on who runs at the same time: the
//! tasks of a rank share its engine, one posts, probes and cancels between the calls of another, one's
//! polls end what another waits for, and each says in its turn what the rank is blocked in. Calls are
//! whole here, and nobody sleeps. What threads do inside of each other's calls has loom models: who may
//! enter (`sys::biased_lock`), who polls and who is woken (`p2p::role_loom`), and how ranks sleep
//! (`shm::doorbell_loom`). Real threads, 1, 2 and 8 a rank, are in tests/jobs (`threads_…`).

mod contest;
mod context;
mod engine;
mod flight;
mod job;
mod memory;
mod oracle;
mod plan;
pub(crate) mod random;
mod reached;
pub(crate) mod relay;
mod task;
#[cfg(all(test, not(loom)))]
mod tests;

use job::Job;
use plan::Plan;
use random::Random;
pub(crate) use reached::Reached;

/// What a job that went well was like.
#[cfg_attr(not(feature = "internals"), expect(dead_code, reason = "tests/sim.rs prints the rest"))]
pub(crate) struct Summary {
    pub(crate) ranks: usize,
    pub(crate) messages: usize,
    pub(crate) bytes: u64,
    pub(crate) attempts: u64,
    pub(crate) reached: Reached,
}

/// Runs the job of a seed; errs with what went wrong.
pub(crate) fn run(seed: u64) -> Result<Summary, String> {
    let mut random = Random::new(seed);
    let plan = Plan::new(&mut random);
    let mut job = Job::new(&plan, random)?;
    job.run()?;
    Ok(Summary {
        ranks: plan.programs.len(),
        messages: plan.messages.len(),
        bytes: plan.messages.iter().map(|message| message.envelope.bytes).sum(),
        attempts: job.clock(),
        reached: job.reached,
    })
}
