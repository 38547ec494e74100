//! Ranks behind other programs, and other programs behind ranks.

use super::{trial, unless_missing};
use crate::{
    job::{Ended, Job, itself},
    rank::{BODY, PROGRAM},
};
use libtest_mimic::Trial;
use std::process::{Command, Stdio};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("without_a_launcher_a_program_is_alone", || {
            Job::new(crate::job::itself()).env(BODY, "expects_to_be_alone").run().expect(0).expect_output("");
        }),
        trial("environment_variables_reach_all_ranks", || {
            let script = "echo $COLOUR $PMI_RANK/$PMI_SIZE $OMPI_COMM_WORLD_RANK/$OMPI_COMM_WORLD_SIZE";
            let ended = Job::mpiexec(3, &["sh", "-c", script]).env("COLOUR", "blue").run().expect(0);
            let mut lines: Vec<&str> = ended.stdout.lines().collect();
            lines.sort_unstable();
            assert_eq!(lines, ["blue 0/3 0/3", "blue 1/3 1/3", "blue 2/3 2/3"]);
        }),
        trial("a_slot_that_was_used_is_not_used_again", || {
            let script = "\"$ITSELF\" & echo $!; wait $!; \"$ITSELF\" & echo $!; wait $!";
            let ended = Job::mpiexec(1, &["sh", "-c", script]).env(BODY, "finalizes").run();
            assert_ne!(ended.code(), 0, "{ended}");
            let [first, second] = two_lines(&ended);
            let refused = format!("process {second} cannot be rank 0: process {first} was");
            assert!(ended.stderr.contains(&refused), "{ended}");
        }),
        trial("of_two_processes_that_want_a_slot_one_is_refused_with_both_numbers", || {
            let script = "\"$ITSELF\" & echo $!; \"$ITSELF\" & echo $!; wait";
            let ended = Job::mpiexec(1, &["sh", "-c", script]).env(BODY, "finalizes").run();
            let [one, other] = two_lines(&ended);
            let refused = |refused, holder| {
                ended.stderr.contains(&format!("process {refused} cannot be rank 0: process {holder} "))
            };
            assert!(refused(one, other) != refused(other, one), "{ended}");
        }),
        trial("init_is_called_once_by_a_rank", || {
            let program = itself();
            let job = Job::mpiexec(2, &[program.to_str().unwrap()]).env(PROGRAM, "inits_twice");
            job.run().expect(0).expect_output("");
        }),
        trial("a_job_that_cannot_be_reached_is_an_error_and_no_single_rank", || {
            // No process has so large a number; descriptor 9 is another file, or none.
            for script in ["exec 9</dev/null; exec \"$ITSELF\"", "exec 9<&-; exec \"$ITSELF\""] {
                let job = Job::shell(script).env("RINGMPI_JOB", &format!("1:{}:9:0:2", i32::MAX));
                let ended = job.env(BODY, "expects_to_be_alone").run().expect(101);
                for fact in ["cannot reach the job's shared memory", "/proc/2147483647/fd/9"] {
                    assert!(ended.stderr.contains(fact), "{ended}");
                }
            }
        }),
        trial("a_rank_that_does_not_come_is_named_after_the_time_out", || {
            let script = "[ \"$PMI_RANK\" = 1 ] && sleep 50; exec \"$ITSELF\"";
            let job = Job::mpiexec(3, &["sh", "-c", script]).env(BODY, "finalizes");
            let ended = job.env("RINGMPI_INIT_TIMEOUT", "1").run().expect(101);
            assert!(ended.stderr.contains("init waited 1 s for rank 1"), "{ended}");
        }),
        trial("a_rank_dies_behind_a_shell_that_goes_on", || {
            let script = "\"$ITSELF\"; sleep 30";
            let ended = Job::mpiexec(3, &["sh", "-c", script]).env(BODY, "killed").run();
            assert_ne!(ended.code(), 0, "{ended}");
            ended.expect_report(&["rank 2"]);
            assert!(ended.took.as_secs() < 5, "{ended}");
        }),
    ];
    let no_python = no_python();
    for ranks in [1, 2, 3, 4, 5, 8] {
        trials.extend(WRAPPERS.iter().map(|(name, script)| {
            trial(format!("{name}::{ranks}"), move || expect_all_ranks(ranks, script))
        }));
        trials.extend(PYTHON_WRAPPERS.iter().map(|(name, script)| {
            unless_missing(no_python, format!("{name}::{ranks}"), move || expect_all_ranks(ranks, script))
        }));
        trials.push(trial(format!("forked_children_leave::{ranks}"), move || {
            let program = itself();
            let job = Job::mpiexec(ranks, &[program.to_str().unwrap()]).env(PROGRAM, "children_leave");
            job.run().expect(0).expect_output("");
        }));
        let children = move |body| {
            let ended = Job::of_body(body, ranks).run().expect(0);
            assert_eq!(ended.stdout.matches("is well").count(), ranks, "{ended}");
        };
        trials.push(trial(format!("children_of_ranks::{ranks}"), move || children("forks_children")));
        trials.push(unless_missing(no_python, format!("children_by_python_of_ranks::{ranks}"), move || {
            children("forks_children_by_python");
        }));
    }
    trials
}

/// What is missing, if Python and what these trials use of it are not there.
fn no_python() -> Option<&'static str> {
    let mut python = Command::new("python3");
    python.args(["-c", "import multiprocessing, subprocess"]).stderr(Stdio::null());
    let works = python.status().is_ok_and(|status| status.success());
    (!works).then_some("python3 is missing")
}

const PYTHON_FORK: &str = "exec python3 -c 'import os, sys
pid = os.fork()
if pid == 0:
    os.execv(os.environ[\"ITSELF\"], [\"rank\"])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))'";

/// `close_fds` is Python's default: the job is reached through the keeper.
const PYTHON_SUBPROCESS: &str = "exec python3 -c 'import os, subprocess, sys
sys.exit(subprocess.call([os.environ[\"ITSELF\"]], close_fds=True))'";

const PYTHON_MULTIPROCESSING: &str = "exec python3 -c 'import multiprocessing, os, sys
def run():
    os.execv(os.environ[\"ITSELF\"], [\"rank\"])
process = multiprocessing.get_context(\"fork\").Process(target=run)
process.start()
process.join()
sys.exit(process.exitcode)'";

/// What has been printed: two numbers of processes.
fn two_lines(ended: &Ended) -> [u32; 2] {
    let numbers: Vec<u32> = ended.stdout.lines().map(|line| line.parse().unwrap()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{ended}"))
}

/// Programs between the launcher and the ranks.
const WRAPPERS: &[(&str, &str)] = &[
    ("behind_a_shell", "\"$ITSELF\"; true"),
    ("behind_exec", "exec \"$ITSELF\""),
    ("behind_two_shells", "sh -c '\"$ITSELF\"; true'; true"),
    ("after_other_programs", "sleep 0.02; true | cat; env \"$ITSELF\""),
    ("with_closed_descriptors", "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; \"$ITSELF\"; true"),
];
const PYTHON_WRAPPERS: &[(&str, &str)] = &[
    ("behind_fork", PYTHON_FORK),
    ("behind_subprocess", PYTHON_SUBPROCESS),
    ("behind_multiprocessing", PYTHON_MULTIPROCESSING),
];

fn expect_all_ranks(ranks: usize, script: &str) {
    let ended = Job::mpiexec(ranks, &["sh", "-c", script]).env(BODY, "tells_its_rank").run().expect(0);
    let mut lines: Vec<String> = ended.stdout.lines().map(String::from).collect();
    lines.sort_unstable();
    let expected: Vec<String> = (0..ranks).map(|rank| format!("{rank} of {ranks}")).collect();
    assert_eq!(lines, expected, "{ended}");
}
