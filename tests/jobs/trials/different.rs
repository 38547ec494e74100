//! Ranks that call different collectives: the job ends, and says why.

use super::trial;
use crate::{
    bodies::different::{MISTAKE, MISTAKES},
    job::Job,
    rank::MAIN,
};
use libtest_mimic::Trial;
use std::time::Duration;

/// Ranks that wait in vain for one that has left notice it within a second or so.
const LIMIT: Duration = Duration::from_secs(40);

pub(super) fn trials() -> Vec<Trial> {
    let trials = MISTAKES.iter().flat_map(|&(mistake, _, facts)| {
        [2, 3, 5, 8].map(|ranks| {
            let name = format!("calls_that_differ::{}::{ranks}", mistake.replace(' ', "_"));
            trial(name, move || {
                let job = Job::of_body("calls_that_differ", ranks).env(MISTAKE, mistake).env(MAIN, "1");
                let ended = job.limit(LIMIT).run().expect(1);
                let says = |line: &str| facts.iter().all(|fact| line.contains(fact));
                assert!(ended.stderr.lines().any(says), "{facts:?} are missing\n{ended}");
            })
        })
    });
    trials.collect()
}
