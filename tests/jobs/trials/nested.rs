//! Ranks behind other programs, and other programs behind ranks.

use super::trial;
use crate::{
    job::{Job, itself},
    rank::{BODY, LEAVES},
};
use libtest_mimic::Trial;

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
            let script = "\"$ITSELF\"; \"$ITSELF\"";
            let ended = Job::mpiexec(1, &["sh", "-c", script]).env(BODY, "finalizes").run();
            assert_ne!(ended.code(), 0, "{ended}");
            assert!(ended.stderr.contains("was") && ended.stderr.contains("rank 0"), "{ended}");
        }),
        trial("a_rank_dies_behind_a_shell_that_goes_on", || {
            let script = "\"$ITSELF\"; sleep 30";
            let ended = Job::mpiexec(3, &["sh", "-c", script]).env(BODY, "killed").run();
            assert_ne!(ended.code(), 0, "{ended}");
            ended.expect_report(&["rank 2"]);
            assert!(ended.took.as_secs() < 5, "{ended}");
        }),
    ];
    for ranks in [1, 2, 3, 4, 5, 8] {
        trials.extend(WRAPPERS.iter().map(|(name, script)| {
            trial(format!("{name}::{ranks}"), move || expect_all_ranks(ranks, script))
        }));
        trials.push(trial(format!("forked_children_leave::{ranks}"), move || {
            let program = itself();
            let job = Job::mpiexec(ranks, &[program.to_str().unwrap()]).env(LEAVES, "");
            job.run().expect(0).expect_output("");
        }));
        trials.push(trial(format!("children_of_ranks::{ranks}"), move || {
            let ended = Job::of_body("forks_children", ranks).run().expect(0);
            assert_eq!(ended.stdout.matches("is well").count(), ranks, "{ended}");
        }));
    }
    trials
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

/// Programs between the launcher and the ranks.
const WRAPPERS: &[(&str, &str)] = &[
    ("behind_a_shell", "\"$ITSELF\"; true"),
    ("behind_exec", "exec \"$ITSELF\""),
    ("behind_two_shells", "sh -c '\"$ITSELF\"; true'; true"),
    ("after_other_programs", "sleep 0.02; true | cat; env \"$ITSELF\""),
    ("with_closed_descriptors", "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; \"$ITSELF\"; true"),
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
