//! All trials.

mod ends;
mod faults;
mod leaving;
mod limits;
mod nested;
mod output;

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
    vec![trial("beyond_4_gib::2", large)]
}

/// A trial that has failed when it panics.
fn trial(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        run();
        Ok(())
    })
}

/// A body with all its numbers of ranks, as processes of `mpiexec`, as threads, and forked by `run`.
fn of_body(listed: &'static Listed) -> impl Iterator<Item = Trial> {
    let name = listed.name;
    listed.ranks.iter().flat_map(move |&ranks| {
        let launched =
            trial(format!("{name}::{ranks}"), move || _ = Job::of_body(name, ranks).run().expect(0));
        let by_itself = |way: &str, variable: &'static str| {
            trial(format!("{way}::{name}::{ranks}"), move || {
                let job = Job::new(itself()).env(BODY, name).env(variable, &ranks.to_string());
                job.run().expect(0);
            })
        };
        let others =
            (listed.ways == Ways::All).then(|| [by_itself("threads", THREADS), by_itself("run", FORKS)]);
        [launched].into_iter().chain(others.into_iter().flatten())
    })
}
