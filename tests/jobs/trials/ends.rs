//! How jobs end: exit codes, and one report for a failure.

use super::{trial, way};
use crate::{
    job::{Job, itself},
    rank::{FORKS, MAIN, THREADS},
};
use libtest_mimic::Trial;
use std::{os::unix::fs::PermissionsExt, time::Duration};

/// Ranks that wait for the failed one are woken, so a job ends long before this.
const PROMPT: Duration = Duration::from_secs(5);

pub(super) fn trials() -> Vec<Trial> {
    let failures = FAILURES.iter().flat_map(|failure| {
        let launched = [1, 2, 4, 8].map(|ranks| {
            trial(format!("fails::{}::{ranks}", failure.body), move || failure.expect_with(ranks))
        });
        let forked = [1, 4].map(|ranks| {
            trial(format!("fails::run::{}::{ranks}", failure.body), move || failure.expect_of_run(ranks))
        });
        launched.into_iter().chain(forked)
    });
    failures.chain(others()).collect()
}

struct Failing {
    body: &'static str,
    code: i32,
    facts: &'static [&'static str],
}

const FAILURES: &[Failing] = &[
    Failing { body: "panics", code: 101, facts: &["panicked"] },
    Failing { body: "aborts_with_42", code: 42, facts: &["aborted", "42"] },
    Failing { body: "exits_without_finalize", code: 1, facts: &["code 0 without calling MPI_Finalize"] },
    Failing {
        body: "exits_with_7_without_finalize",
        code: 7,
        facts: &["code 7 without calling MPI_Finalize"],
    },
    Failing { body: "returns_error", code: 3, facts: &["code 3"] },
    Failing { body: "segfaults", code: 139, facts: &["signal 11 (SIGSEGV)"] },
    Failing { body: "killed", code: 137, facts: &["signal 9 (SIGKILL)"] },
];

impl Failing {
    /// The last rank fails; the report names it and its process.
    fn expect_with(&self, ranks: usize) {
        let ended = Job::of_body(self.body, ranks).run().expect(self.code);
        ended.expect_report(self.facts);
        ended.expect_report(&[&format!("rank {} (pid ", ranks - 1)]);
        assert!(ended.took < PROMPT, "{ended}");
    }

    /// The same of forked ranks: their parent gets the report as an error, and returns it from `main`.
    fn expect_of_run(&self, ranks: usize) {
        let ended = way(FORKS, self.body, ranks).run().expect(1);
        ended.expect_one_line("Error:", self.facts);
        ended.expect_one_line("Error:", &[&format!("rank {} (pid ", ranks - 1)]);
        assert!(ended.took < PROMPT, "{ended}");
    }
}

fn others() -> Vec<Trial> {
    vec![
        trial("programs_without_mpi_are_no_failure", || {
            Job::mpiexec(4, &["true"]).run().expect(0).expect_output("");
            Job::mpiexec(3, &["echo", "hello"]).run().expect(0).expect_output(&"hello\n".repeat(3));
            Job::mpiexec(2, &["uname", "-n"]).run().expect(0);
        }),
        trial("the_code_of_a_program_without_mpi_is_the_jobs", || {
            Job::mpiexec(3, &["sh", "-c", "exit 5"]).run().expect(5);
        }),
        trial("failing_after_finalize_ends_the_job", || {
            let script = "RINGMPI_TEST_BODY=finalizes \"$ITSELF\"; exit 9";
            Job::mpiexec(2, &["sh", "-c", script]).run().expect(9);
        }),
        trial("a_missing_program_is_127", || {
            Job::mpiexec(2, &["/no/such/program"]).run().expect(127).expect_report(&["/no/such/program"]);
            Job::mpiexec(2, &["no-such-program-anywhere"]).run().expect(127);
        }),
        trial("a_file_that_is_no_program_is_126", || {
            let script = "printf x >\"$TMPDIR/data\"; \"$MPIEXEC\" -n 2 \"$TMPDIR/data\"; code=$?; \
                          rm \"$TMPDIR/data\"; exit $code";
            Job::shell(script).run().expect(126).expect_report(&["data"]);
            let mode = std::fs::metadata(itself()).unwrap().permissions().mode();
            assert_ne!(mode & 0o111, 0, "a program can be executed, which the file above cannot");
        }),
        trial("a_wrong_command_line_is_2", || {
            for count in ["0", "-1", "x", "4097", "1.5", ""] {
                let ended = Job::new(crate::job::MPIEXEC).args(&["-n", count, "true"]).run().expect(2);
                ended.expect_report(&[count, "4096"]);
            }
            Job::new(crate::job::MPIEXEC).run().expect(2).expect_report(&["no program"]);
            Job::new(crate::job::MPIEXEC)
                .args(&["--bogus", "true"])
                .run()
                .expect(2)
                .expect_report(&["--bogus"]);
        }),
        trial("a_rank_that_ends_without_init_ends_those_that_wait_for_it", || {
            // Before the others call init, and when they have waited for some time.
            for (code, of_job) in [(3, 3), (0, 1)] {
                for delay in ["0", "0.4"] {
                    let script = format!(
                        "[ \"$PMI_RANK\" = 1 ] && sleep {delay} && exit {code}; \
                         RINGMPI_TEST_BODY=finalizes exec \"$ITSELF\""
                    );
                    let ended = Job::mpiexec(3, &["sh", "-c", &script]).run().expect(of_job);
                    ended.expect_report(&["rank 1", &format!("code {code}"), "without calling MPI_Init"]);
                    assert!(ended.took < PROMPT, "{ended}");
                }
            }
        }),
        trial("of_a_rank_whose_function_fails_the_cause_is_printed_once_and_nothing_else", || {
            for ranks in [1, 2, 4, 8] {
                let ended = Job::of_body("fails_on_purpose", ranks).env(FORKS, "3").run().expect(1);
                let lines: Vec<&str> = ended.stderr.lines().collect();
                let [cause, report] = lines[..] else { panic!("{} lines\n{ended}", lines.len()) };
                let rank = format!("rank {}", ranks - 1);
                for (line, facts) in [
                    (cause, ["Error:", &rank, "rank -4 does not exist"]),
                    (report, ["mpiexec: error:", &rank, "returned an error"]),
                ] {
                    assert!(facts.iter().all(|fact| line.contains(fact)), "{facts:?}\n{ended}");
                }
            }
        }),
        trial("of_a_forked_rank_whose_function_fails_the_cause_is_printed_once_and_nothing_else", || {
            for ranks in [1, 2, 4, 8] {
                let ended = way(FORKS, "fails_on_purpose", ranks).run().expect(1);
                let rank = format!("rank {}", ranks - 1);
                let is_of = |line: &&str, what: &str| line.contains(&rank) && line.contains(what);
                assert_eq!(ended.stderr.lines().count(), 2, "{ended}");
                let cause = ended.stderr.lines().next().filter(|line| is_of(line, "rank -4 does not exist"));
                assert!(cause.is_some(), "{ended}");
                assert!(ended.stderr.lines().last().is_some_and(|line| is_of(&line, "returned an error")));
            }
        }),
        trial("a_panic_says_why_before_the_job_ends", || {
            let ended = Job::of_body("panics", 3).run().expect(101);
            assert!(ended.stderr.contains("on purpose"), "{ended}");
        }),
        trial("a_panic_in_an_operation_ends_the_job_also_if_it_is_caught", || {
            let where_from = [
                "a_short",
                "a_long",
                "a_large",
                "a_prefix",
                "an_immediate",
                "an_awaited",
                "a_persistent",
                "another",
            ];
            for body in where_from.map(|it| format!("panics_in_{it}_reduction")) {
                for ranks in [2, 4, 8] {
                    let ended =
                        without_backtrace(Job::of_body(&body, ranks)).env(MAIN, "1").run().expect(101);
                    ended.expect_report(&["panicked; the job has been ended"]);
                    assert!(ended.took < PROMPT, "{ended}");
                    let ended = without_backtrace(way(FORKS, &body, ranks)).run().expect(1);
                    assert!(ended.stderr.contains("panicked; the job has been ended"), "{ended}");
                    assert!(ended.took < PROMPT, "{ended}");
                    let ended = without_backtrace(way(THREADS, &body, ranks)).run().expect(101);
                    let threads = "panicked in the operation of a reduction";
                    assert!(ended.stderr.contains(threads) && ended.took < PROMPT, "{ended}");
                }
            }
        }),
        trial("a_signal_to_mpiexec_ends_the_job", || {
            for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143), (libc::SIGHUP, 129)] {
                let running = Job::of_body("blocks", 3).start();
                while running.stdout().lines().count() < 3 {
                    std::thread::sleep(Duration::from_millis(5));
                }
                let mpiexec = running.pid();
                let processes = running.session().processes();
                processes.iter().find(|process| process.pid == mpiexec).unwrap().signal(signal);
                let ended = running.wait().expect(code);
                assert!(ended.took < PROMPT, "{ended}");
            }
        }),
    ]
}

/// Of panics on purpose: finding the names in it takes longer than the job.
fn without_backtrace(job: Job) -> Job {
    job.env("RUST_BACKTRACE", "0")
}
