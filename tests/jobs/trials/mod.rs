//! All trials.

mod bulk;
#[cfg(feature = "cli")]
mod command;
mod different;
mod ends;
mod faults;
mod forked;
mod leaving;
mod limits;
mod nested;
mod output;

#[cfg(feature = "internals")]
use crate::rank::LATE;
use crate::{
    bodies::{LIST, Listed, Ways},
    filter::WITHOUT_MEMBARRIER,
    job::{Job, itself},
    rank::{BODY, FORKS, PROGRAM, THREADS},
};
use libtest_mimic::{Completion, Trial};
use std::time::Duration;

/// Those that run beside each other: first those whose ranks sleep for most of the time.
pub(crate) fn together() -> (Vec<Trial>, Vec<Trial>) {
    let bodies = LIST.iter().filter(|listed| listed.ways != Ways::ByName).flat_map(of_body);
    bodies
        .chain(late())
        .chain(wide())
        .chain(programs())
        .chain(without_membarrier())
        .chain(bulk::trials())
        .chain(ends::trials())
        .chain(different::trials())
        .chain(output::trials())
        .chain(limits::trials())
        .chain(nested::trials())
        .chain(forked::trials())
        .chain(leaving::trials())
        .chain(faults::trials())
        .chain(of_the_command())
        .partition(|trial| trial.name().contains("idle_in_"))
}

#[cfg(feature = "cli")]
fn of_the_command() -> Vec<Trial> {
    command::trials()
}

#[cfg(not(feature = "cli"))]
fn of_the_command() -> Vec<Trial> {
    vec![]
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
    floods.into_iter().chain([unless_missing(little_memory(), "beyond_4_gib::2", large)]).collect()
}

/// What is missing, if there is no room for a message beyond 4 GiB on both sides.
fn little_memory() -> Option<&'static str> {
    const NEEDED_KIB: u64 = 10 << 20;
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let available =
        text.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB"));
    let available: u64 = available.unwrap().parse().unwrap();
    (available < NEEDED_KIB).then_some("10 GiB of free memory are missing")
}

/// A trial that has failed when it panics.
fn trial(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        run();
        Ok(())
    })
}

/// A trial that is ignored, and says why, where something is missing that it needs.
fn unless_missing(
    missing: Option<&'static str>,
    name: impl Into<String>,
    run: impl FnOnce() + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || {
        Ok(match missing {
            Some(what) => Completion::ignored_with(what),
            None => {
                run();
                Completion::Completed
            }
        })
    })
}

/// A body in a process that makes its ranks by itself, as the variable says.
fn way(variable: &str, body: &str, ranks: usize) -> Job {
    Job::new(itself()).env(BODY, body).env(variable, &ranks.to_string())
}

/// What is no body's.
fn programs() -> [Trial; 3] {
    ["idle_in_init", "idle_in_finalize", "futures_leave_no_thread"].map(|program| {
        trial(format!("{program}::2"), move || {
            let itself = itself();
            let job = Job::mpiexec(2, &[itself.to_str().unwrap()]).env(PROGRAM, program);
            job.run().expect(0).expect_output("");
        })
    })
}

/// Jobs in which the kernel refuses membarrier to rank 1, as containers do.
fn without_membarrier() -> [Trial; 5] {
    let bodies = [
        "all_ranks_pay_for_fences_or_none",
        "threads_with_partners",
        "random_traffic",
        "futures_in_an_executor",
        "idle_in_a_receive",
    ];
    bodies.map(|body| {
        trial(format!("without_membarrier::{body}::2"), move || {
            Job::of_body(body, 2).env(WITHOUT_MEMBARRIER, "1").run().expect(0);
        })
    })
}

/// More ranks than a word of a bitmap has bits.
fn wide() -> [Trial; 4] {
    let limit = Duration::from_secs(120);
    [
        trial("every_collective_once::130", move || {
            Job::of_body("every_collective_once", 130).limit(limit).run().expect(0);
        }),
        trial("finalizes::66", || _ = Job::of_body("finalizes", 66).run().expect(0)),
        trial("random_collectives::66", || _ = Job::of_body("random_collectives", 66).run().expect(0)),
        trial("threads::all_pairs_and_barriers::66", || {
            way(THREADS, "all_pairs_and_barriers", 66).run().expect(0);
        }),
    ]
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
