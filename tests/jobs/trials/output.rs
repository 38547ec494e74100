//! What ranks print and read.

use super::trial;
use crate::{
    job::{Ended, Job},
    rank::BODY,
};
use libtest_mimic::Trial;
use std::process::Stdio;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("lines_of_8_ranks_are_whole_and_in_order", lines_are_whole_and_in_order),
        trial("output_through_a_pipe_is_complete", || {
            let script = "\"$MPIEXEC\" -n 8 \"$ITSELF\" | sort | uniq | wc -l";
            Job::shell(script).env(BODY, "prints_many_lines").run().expect(0).expect_output("16000\n");
        }),
        trial("megabytes_without_a_line_end_arrive", || {
            let script = "\"$MPIEXEC\" -n 1 head -c 20000000 /dev/zero | wc -c";
            Job::shell(script).run().expect(0).expect_output("20000000\n");
            // Two ranks never share a line: between their pieces are line ends.
            let script = "\"$MPIEXEC\" -n 2 head -c 20000000 /dev/zero | tr -d '\\n' | wc -c";
            Job::shell(script).run().expect(0).expect_output("40000000\n");
        }),
        trial("a_line_without_end_is_printed", || {
            Job::mpiexec(1, &["printf", "no end"]).run().expect(0).expect_output("no end");
        }),
        trial("a_prompt_is_shown_before_the_program_ends", || {
            let running = Job::mpiexec(1, &["sh", "-c", "printf 'your name? '; sleep 30"]).start();
            while running.stdout() != "your name? " {
                std::thread::sleep(std::time::Duration::from_millis(5));
                assert!(!running.session().processes().is_empty());
            }
        }),
        trial("a_reader_that_has_enough_ends_the_job", || {
            let script = "\"$MPIEXEC\" -n 3 yes | head -n 2";
            Job::shell(script).run().expect(0).expect_output("y\ny\n");
        }),
        trial("what_was_printed_before_a_failure_is_not_lost", || {
            for ranks in [1, 4] {
                let ended = Job::of_body("prints_then_panics", ranks).run().expect(101);
                assert_eq!(ended.stdout.lines().count(), 1000 * ranks, "{ended}");
            }
        }),
        trial("standard_error_is_standard_error", || {
            let ended = Job::mpiexec(2, &["sh", "-c", "echo out; echo err >&2"]).run().expect(0);
            assert_eq!((&*ended.stdout, &*ended.stderr), ("out\nout\n", "err\nerr\n"));
        }),
        trial("rank_0_has_the_standard_input", || {
            let script = "head -c 3000000 /dev/zero | \"$MPIEXEC\" -n 3 \"$ITSELF\" | sort";
            let expected = "rank 0 read 3000000 bytes\nrank 1 read 0 bytes\nrank 2 read 0 bytes\n";
            Job::shell(script).env(BODY, "echo_stdin").run().expect(0).expect_output(expected);
        }),
        trial("closed_standard_streams_do_no_harm", || {
            let script = "\"$MPIEXEC\" -n 2 \"$ITSELF\" <&- >&- 2>&-";
            Job::shell(script).env(BODY, "finalizes").stdin(Stdio::null()).run().expect(0);
        }),
    ]
}

fn lines_are_whole_and_in_order() {
    let ended = Job::of_body("prints_many_lines", 8).run().expect(0);
    let mut next = [0; 8];
    for line in ended.stdout.lines() {
        let (rank, number) = parse(line).unwrap_or_else(|| panic!("a mixed line: {line}"));
        assert_eq!(number, next[rank], "rank {rank}");
        assert!(line.ends_with(&format!(" {}", "x".repeat(number % 200))), "{line}");
        next[rank] += 1;
    }
    assert_eq!(next, [2000; 8], "{}", summary(&ended));
}

fn parse(line: &str) -> Option<(usize, usize)> {
    let fields: Vec<&str> = line.split(' ').collect();
    match fields[..] {
        ["rank", rank, "line", number, _] => Some((rank.parse().ok()?, number.parse().ok()?)),
        _ => None,
    }
}

fn summary(ended: &Ended) -> String {
    format!("{} lines, standard error: {}", ended.stdout.lines().count(), ended.stderr)
}
