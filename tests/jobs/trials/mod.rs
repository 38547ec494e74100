//! All trials.

mod bulk;
mod ends;
mod faults;
mod leaving;
mod limits;
mod nested;
mod output;

#[cfg(feature = "internals")]
use crate::rank::LATE;
use crate::{
    bodies::{LIST, Listed, Ways},
    job::{Job, itself},
    rank::{BODY, FORKS, THREADS},
};
use libtest_mimic::Trial;
use std::time::Duration;

/// Those that run beside each other.
pub(crate) fn all() -> Vec<Trial> {
    let bodies = LIST.iter().filter(|listed| listed.ways != Ways::ByName).flat_map(of_body);
    bodies
        .chain(late())
        .chain(bulk::trials())
        .chain(ends::trials())
        .chain(output::trials())
        .chain(limits::trials())
        .chain(nested::trials())
        .chain(leaving::trials())
        .chain(faults::trials())
        .collect()
}

/// Those that need the machine for themselves.
pub(crate) fn alone() -> Vec<Trial> {
    let large = || {
        let limit = Duration::from_secs(300);
        Job::of_body("beyond_4_gib", 2).limit(limit).run().expect(0).expect_output("");
    };
    let floods = [2, 5].map(|ranks| {
        let flood = move || _ = Job::of_body("memory_of_a_flood", ranks).run().expect(0);
        trial(format!("memory_of_a_flood::{ranks}"), flood)
    });
    floods.into_iter().chain([trial("beyond_4_gib::2", large)]).collect()
}

/// A trial that has failed when it panics.
fn trial(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        run();
        Ok(())
    })
}

/// A body in a process that makes its ranks by itself, as the variable says.
fn way(variable: &str, body: &str, ranks: usize) -> Job {
    Job::new(itself()).env(BODY, body).env(variable, &ranks.to_string())
}

/// Bodies in jobs whose counters are about to wrap.
#[cfg(feature = "internals")]
fn late() -> impl Iterator<Item = Trial> {
    let bodies = LIST.iter().filter(|listed| listed.ways == Ways::All);
    bodies.map(|&Listed { name, ranks, .. }| {
        let ranks = if ranks.contains(&3) { 3 } else { ranks[0] };
        trial(format!("late::{name}::{ranks}"), move || _ = way(LATE, name, ranks).run().expect(0))
    })
}

#[cfg(not(feature = "internals"))]
fn late() -> impl Iterator<Item = Trial> {
    std::iter::empty()
}

/// A body with all its numbers of ranks, as processes of `mpiexec`, as threads, and forked by `run`.
fn of_body(listed: &'static Listed) -> impl Iterator<Item = Trial> {
    let name = listed.name;
    listed.ranks.iter().flat_map(move |&ranks| {
        let launched =
            trial(format!("{name}::{ranks}"), move || _ = Job::of_body(name, ranks).run().expect(0));
        let by_itself = |title: &str, variable: &'static str| {
            trial(format!("{title}::{name}::{ranks}"), move || _ = way(variable, name, ranks).run().expect(0))
        };
        let others =
            (listed.ways == Ways::All).then(|| [by_itself("threads", THREADS), by_itself("run", FORKS)]);
        [launched].into_iter().chain(others.into_iter().flatten())
    })
}
