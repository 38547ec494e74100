//! Limits of the system: what a job needs is said in one line, with both numbers and what to do.

use super::trial;
use crate::{
    job::{Ended, Job},
    rank::{BODY, FORKS, THREADS},
};
use libtest_mimic::Trial;

/// A shell's command by which `run` forks as many ranks as it says.
fn forks(script: &str, ranks: &str) -> Job {
    Job::shell(script).env(BODY, "finalizes").env(FORKS, ranks)
}

fn expect_error(ended: &Ended, facts: &[&str]) {
    let line = ended.stderr.trim_end();
    assert!(!line.contains('\n') && facts.iter().all(|fact| line.contains(fact)), "{facts:?}\n{ended}");
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("run_needs_more_descriptors_than_the_hard_limit", || {
            let ended = forks("ulimit -n 20; exec \"$ITSELF\"", "64").run().expect(1);
            expect_error(
                &ended,
                &["64 ranks need", "descriptors", "the limit is 20", "at most", "ulimit -Hn"],
            );
        }),
        trial("run_raises_the_soft_limit_of_descriptors", || {
            forks("ulimit -Sn 20; exec \"$ITSELF\"", "32").run().expect(0).expect_output("");
        }),
        trial("mpiexec_raises_the_soft_limit_of_descriptors_for_itself_alone", || {
            let job =
                Job::shell("ulimit -Sn 40; exec \"$MPIEXEC\" -n 32 sh -c 'ulimit -Sn; exec \"$ITSELF\"'");
            job.env(BODY, "finalizes").run().expect(0).expect_output(&"40\n".repeat(32));
        }),
        trial("mpiexec_needs_more_descriptors_than_the_hard_limit", || {
            let ended = Job::shell("ulimit -n 20; exec \"$MPIEXEC\" -n 2 true").run().expect(125);
            let facts = ["2 ranks need 40", "the limit is 20", "one rank alone needs 36", "ulimit -Hn"];
            expect_error(&ended, &facts);
        }),
        trial("more_addresses_are_needed_than_the_limit", || {
            let facts = ["MiB for 500 ranks", "the limit of addresses is 977 MiB", "ulimit -v"];
            let ended = Job::shell("ulimit -v 1000000; exec \"$MPIEXEC\" -n 500 true").run().expect(125);
            expect_error(&ended, &facts);
            expect_error(&forks("ulimit -v 1000000; exec \"$ITSELF\"", "500").run().expect(1), &facts);
        }),
        trial("larger_files_are_needed_than_the_limit", || {
            let facts = ["MiB for 2 ranks", "the limit of file sizes is 512 bytes", "ulimit -f"];
            // The output goes to a pipe: what writes to files is limited, too.
            let script =
                |program: &str| format!("{{ (ulimit -f 1; exec {program}) 2>&1; echo $?; }} | cat >&2");
            for (code, job) in [
                ("125", Job::shell(&script("\"$MPIEXEC\" -n 2 true"))),
                ("1", forks(&script("\"$ITSELF\""), "2")),
            ] {
                let ended = job.run().expect(0);
                let (error, seen) = ended.stderr.trim_end().split_once('\n').unwrap();
                assert!(seen == code && facts.iter().all(|fact| error.contains(fact)), "{facts:?}\n{ended}");
            }
        }),
        trial("a_thread_that_cannot_be_started_is_what_is_reported", || {
            // Two stacks fit, and all else is small.
            let script = "ulimit -v 6000000; RUST_MIN_STACK=2147483648 exec \"$ITSELF\"";
            let ended = Job::shell(script).env(BODY, "finalizes").env(THREADS, "4").run().expect(101);
            for fact in ["cannot start a thread for rank 2 of 4", "ulimit -v"] {
                assert!(ended.stderr.contains(fact), "{ended}");
            }
        }),
    ]
}
