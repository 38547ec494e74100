//! Large messages, by each way that `RINGMPI_BULK` can set.

use super::{trial, way};
use crate::{
    job::Job,
    rank::{FORKS, THREADS},
};
use libtest_mimic::Trial;

const BULK: &str = "RINGMPI_BULK";
const OPTIONS: [&str; 5] = ["auto", "pipelined", "pipelined-large", "cma", "direct"];
const BODIES: [&str; 5] = [
    "large_messages",
    "many_large_messages_at_once",
    "one_size_until_the_choice_settles",
    "large_messages_that_do_not_fit",
    "collectives_move_what_was_sent_before",
];

pub(super) fn trials() -> Vec<Trial> {
    let all = OPTIONS.into_iter().flat_map(|option| BODIES.map(|body| (option, body)));
    let trials = all.flat_map(|(option, body)| {
        let launched = [1, 2, 4].map(|ranks| {
            let job = move || _ = Job::of_body(body, ranks).env(BULK, option).run().expect(0);
            trial(format!("bulk::{option}::{body}::{ranks}"), job)
        });
        let by_themselves = [("threads", THREADS, 3), ("run", FORKS, 2)].map(|(name, variable, ranks)| {
            let job = move || _ = way(variable, body, ranks).env(BULK, option).run().expect(0);
            trial(format!("bulk::{option}::{name}::{body}::{ranks}"), job)
        });
        launched.into_iter().chain(by_themselves)
    });
    let of_memory = [
        ("shared_memory_of_others_is_mapped", 3),
        ("shared_memory_is_kept_out_of_children_and_core_dumps", 2),
    ];
    let of_memory = of_memory.map(|(body, ranks)| {
        trial(format!("bulk::direct::{body}::{ranks}"), move || {
            Job::of_body(body, ranks).env(BULK, "direct").run().expect(0);
        })
    });
    trials.chain(of_memory).collect()
}
