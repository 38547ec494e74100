//! Ranks that leave early: a job never hangs after an error, and loses no message without one.

use super::trial;
use crate::{
    job::{Ended, Job, itself},
    rank::{BODY, MAIN},
};
use libtest_mimic::Trial;
use std::time::Duration;

/// Ranks look at those who have left once a second, or more often: a job ends long before this.
const LIMIT: Duration = Duration::from_secs(40);

const RANKS: [usize; 4] = [1, 2, 3, 8];

/// The last rank returns an error, or panics; it has begun to send what nobody receives.
const FAILING: [(&str, i32); 18] = [
    ("fails_while_others_receive", 1),
    ("fails_while_others_probe", 1),
    ("fails_while_others_probe_again_and_again", 1),
    ("fails_while_others_test", 1),
    ("fails_while_two_threads_wait", 1),
    ("fails_while_others_wait_for_any", 1),
    ("fails_while_others_await", 1),
    ("fails_while_others_await_in_an_executor", 1),
    ("fails_while_others_send", 1),
    ("fails_while_others_send_synchronously", 1),
    ("fails_while_others_are_in_a_barrier", 1),
    ("fails_while_others_broadcast", 1),
    ("fails_while_others_reduce", 1),
    ("fails_while_others_wait_for_an_immediate_reduction", 1),
    ("fails_after_others_forgot_a_collective", 1),
    ("fails_after_a_flood", 1),
    ("fails_at_the_end_of_a_chain", 1),
    ("panics_with_messages_to_send", 101),
];

/// No rank fails.
const GOOD: [&str; 8] = [
    "sends_to_those_who_have_left",
    "sends_what_nobody_receives",
    "leaves_before_its_messages_are_received",
    "waits_for_sends_in_vain",
    "drops_collectives_that_differ",
    "waits_for_collectives_that_others_drop",
    "waits_for_another_groups_leader",
    "drops_collectives_that_the_last_waits_for",
];

pub(super) fn trials() -> Vec<Trial> {
    let failing = FAILING.iter().flat_map(|&(body, code)| {
        RANKS.map(|ranks| trial(format!("leaves::{body}::{ranks}"), move || fails(body, ranks, code)))
    });
    let good = GOOD.iter().flat_map(|&body| {
        RANKS.map(|ranks| trial(format!("leaves::{body}::{ranks}"), move || _ = run(body, ranks).expect(0)))
    });
    let any = "fails_while_the_other_receives_from_any";
    failing.chain(good).chain([trial(format!("leaves::{any}::2"), move || fails(any, 2, 1))]).collect()
}

/// One rank is alone, without a launcher.
fn run(body: &str, ranks: usize) -> Ended {
    let job = if ranks == 1 { Job::new(itself()).env(BODY, body) } else { Job::of_body(body, ranks) };
    job.env(MAIN, "1").limit(LIMIT).run()
}

fn fails(body: &str, ranks: usize, code: i32) {
    let ended = run(body, ranks).expect(code);
    // Of the first cause, also where others have failed in consequence.
    let reason = if code == 1 { "rank -4 does not exist" } else { "on purpose" };
    assert!(ended.stderr.contains(reason), "the first cause is missing\n{ended}");
}
