//! `run` and the process that calls it.

use super::trial;
use crate::{
    job::{Ended, Job, itself},
    rank::PROGRAM,
};
use libtest_mimic::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("what_is_around_run_happens_once", || {
            let ended = expect_once("prints_around_run");
            assert!(ended.stdout.contains("run returns\n") && ended.stderr.is_empty(), "{ended}");
        }),
        trial("what_is_around_run_happens_once_also_if_a_rank_panics", || {
            let ended = expect_once("panics_in_run");
            let line = ended.stdout.lines().find(|line| line.starts_with("run returns: rank 1 (pid "));
            assert!(line.is_some_and(|line| line.contains("panicked")), "{ended}");
            assert_eq!(ended.stderr.matches("on purpose").count(), 1, "{ended}");
        }),
        trial("a_process_with_threads_forks_no_ranks", || {
            let ended = program("runs_beside_a_thread").run().expect(0);
            assert!(
                ended.stdout.starts_with("this process has 2 threads") && ended.stderr.is_empty(),
                "{ended}"
            );
        }),
        trial("a_rank_runs_no_ranks", || {
            for name in ["runs_after_a_universe", "runs_in_run", "runs_in_threads"] {
                program(name).run().expect(0).expect_output("");
            }
            let program = itself();
            let launched =
                Job::mpiexec(2, &[program.to_str().unwrap()]).env(PROGRAM, "runs_beside_a_universe");
            launched.run().expect(0).expect_output("");
        }),
    ]
}

fn program(name: &str) -> Job {
    Job::new(itself()).env(PROGRAM, name)
}

/// Every rank prints its line; what the caller prints, and leaves, is there once.
fn expect_once(name: &str) -> Ended {
    let ended = program(name).run().expect(0);
    for (text, count) in [
        ("before, by Rust; ", 1),
        ("before, by C\n", 1),
        ("rank 0\n", 1),
        ("rank 1\n", 1),
        ("rank 2\n", 1),
        ("run returns", 1),
        ("run panics", 0),
        ("the frame is left\n", 2),
    ] {
        assert_eq!(ended.stdout.matches(text).count(), count, "'{text}'\n{ended}");
    }
    ended
}
