//! What the ranks of a trial do. Every body works with any number of ranks that it is listed for.

mod bulk;
mod cancel;
mod collectives;
mod communicators;
mod contexts;
mod crowd;
pub(crate) mod different;
mod errors;
mod fences;
mod flow;
pub(crate) mod forked;
pub(crate) mod futures;
pub(crate) mod idle;
mod immediate;
mod launched;
mod leaving;
mod messages;
mod modes;
mod order;
mod persistent;
mod probes;
mod scopes;
mod scribbler;
mod threads;
mod topologies;
mod traffic;
mod values;
mod waiting;

use ringmpi::{Communicator, Process, Rank, Result};

/// What a rank does.
pub(crate) type Body = fn(&Communicator<'_>) -> Result<()>;

/// A body that becomes trials.
pub(crate) struct Listed {
    pub(crate) name: &'static str,
    pub(crate) body: Body,
    pub(crate) ranks: &'static [usize],
    pub(crate) ways: Ways,
}

/// How the ranks may be made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ways {
    All,
    /// Only as processes: it measures its process, or would need too much memory.
    Processes,
    /// Other trials start it, and expect something of its end.
    ByName,
}

const ALL: &[usize] = &[1, 2, 3, 4, 5, 8];
const MANY: &[usize] = &[2, 3, 4, 5, 8];
const PAIR: &[usize] = &[2];
const TWO_OR_MORE: &[usize] = &[2, 5];
const FEW: &[usize] = &[2, 3, 8];
const CROWD: &[usize] = &[16, 32];
const UP_TO_16: &[usize] = &[1, 2, 3, 5, 8, 16];
const ODD_UP_TO_16: &[usize] = &[1, 2, 3, 4, 5, 7, 8, 16];
const AT_LEAST_2: &[usize] = &[2, 3, 4, 7, 16];
const AT_LEAST_3: &[usize] = &[3, 5, 8, 16];
const PAIR_AND_4: &[usize] = &[2, 4];

macro_rules! list {
    ($($ranks:ident, $ways:ident: $module:ident :: { $($name:ident),* $(,)? };)*) => {
        /// All bodies.
        pub(crate) const LIST: &[Listed] = &[$($(
            Listed { name: stringify!($name), body: $module::$name, ranks: $ranks, ways: Ways::$ways },
        )*)*];
    };
}

list! {
    ALL, All: messages::{all_sizes, head_to_head, null_process, to_itself, extreme_tags, many_hops};
    ALL, All: modes::{
        every_mode_into_a_posted_receive, every_mode_to_a_late_receive, buffered_sends_have_ended_at_once,
    };
    MANY, All: modes::{synchronous_sends_wait_for_the_receive};
    ALL, All: persistent::{
        persistent_requests, persistent_modes, persistent_requests_start_together, persistent_receives_are_cancelled,
    };
    ALL, All: waiting::{
        wait_all_in_any_order, wait_any_takes_what_has_ended, wait_some_takes_all, test_ends,
        test_all_takes_all_or_nothing, test_any_takes_what_has_ended, test_some_takes_all_that_have_ended,
        one_that_fails_costs_no_other, different_requests_together, persistent_requests_together, nothing_to_wait_for,
    };
    ALL, All: cancel::{cancelled_receives, dropped_requests};
    ALL, All: probes::{
        probes_tell_the_size, matched_probes_take_the_message, matched_messages_are_received_nonblocking,
        matched_messages_that_fail,
    };
    MANY, All: order::{any_source_keeps_each_order, posted_receives_match_in_order, wildcards_do_not_overtake};
    ALL, All: errors::{truncation, bad_arguments, counts_out_of_range, parts_of_other_lengths, calls_in_operations};
    MANY, All: flow::{flood_of_blocking_sends, flood_of_isends};
    ALL, All: flow::{flood_before_receiving};
    TWO_OR_MORE, All: flow::{flood_to_a_rank_that_probes, flood_to_a_rank_that_tests};
    ALL, All: values::{checked_types, parts_of_elements, uninitialised_memory, empty_messages};
    PAIR, Processes: values::{uninitialised_memory_is_received_in_place};
    ALL, All: scopes::{
        scopes_complete, scopes_withdraw_on_error, scopes_withdraw_on_panic, scopes_in_every_mode,
        scopes_wait_for_the_match, scoped_receives_are_cancelled, scoped_sends_beyond_all_credit,
    };
    ALL, All: threads::{threads_with_partners, threads_that_receive_from_any, threads_that_probe, threads_in_collectives};
    TWO_OR_MORE, All: threads::{threads_that_make_communicators};
    ALL, All: threads::{threads_that_end_each_others_waits, threads_that_receive_large_messages, threads_that_wait_for_several};
    ALL, All: contexts::{duplicates_do_not_mix, splits_do_not_mix, split_by_colour_and_key, self_communicator};
    FEW, All: contexts::{more_communicators_than_boards};
    PAIR_AND_4, Processes: communicators::{duplicates_without_end};
    UP_TO_16, All: communicators::{splits_of_splits, subgroups_of_all_kinds, duplicates_that_go_on_meanwhile};
    FEW, All: communicators::{long_and_short_lives};
    AT_LEAST_3, All: communicators::{subgroups_that_contradict_each_other};
    TWO_OR_MORE, All: communicators::{threads_that_make_subgroups, intercommunicators_that_cannot_be};
    AT_LEAST_2, All: communicators::{two_groups_talk_and_merge};
    FEW, All: communicators::{two_groups_again_and_again};
    ALL, All: collectives::{collectives_match_naive_values, collectives_of_large_slices};
    UP_TO_16, All: topologies::{
        grids_of_all_shapes, grids_of_grids, random_graphs, neighbours_of_checked_types, topologies_that_cannot_be,
    };
    ODD_UP_TO_16, All: immediate::{random_collectives};
    ALL, All: immediate::{
        collectives_under_way_at_the_end, threads_in_immediate_collectives, threads_that_reduce_for_each_other,
        collectives_as_futures_in_block_on, collectives_as_futures_in_an_executor, collectives_and_messages_together,
        operations_wait_until_the_request_has_begun,
    };
    ALL, All: traffic::{random_traffic};
    ALL, All: futures::{
        futures_in_block_on, futures_in_an_executor, futures_in_an_executor_of_threads, futures_of_large_messages,
        futures_that_lose_a_race, futures_beside_blocking_calls,
    };
    MANY, All: futures::{flood_of_futures_in_block_on, flood_of_futures_in_an_executor};
    ALL, All: forked::{
        children_that_are_no_ranks, children_forked_in_scopes, children_forked_in_operations,
        children_forked_in_immediate_operations,
        children_that_panic_in_operations,
    };
    MANY, Processes: idle::{idle_in_a_receive};
    TWO_OR_MORE, Processes: idle::{
        idle_in_a_barrier, idle_in_a_probe, idle_in_wait_any, idle_in_block_on, idle_in_an_executor,
    };
    PAIR, Processes: idle::{idle_in_a_synchronous_send, idle_in_a_large_send, idle_in_wait_all};
    TWO_OR_MORE, All: fences::{all_ranks_pay_for_fences_or_none};
    CROWD, All: crowd::{all_pairs_and_barriers};
    ALL, ByName: bulk::{
        large_messages, many_large_messages_at_once, one_size_until_the_choice_settles,
        large_messages_that_do_not_fit, collectives_move_what_was_sent_before, shared_memory_of_others_is_mapped,
        shared_memory_is_kept_out_of_children_and_core_dumps,
    };
    PAIR, ByName: messages::{beyond_4_gib};
    MANY, ByName: flow::{memory_of_a_flood};
    ALL, ByName: traffic::{endless_traffic};
    ALL, ByName: scribbler::{endless_traffic_over_scribbled_memory};
    ALL, ByName: leaving::{
        fails_while_others_receive, fails_while_others_probe, fails_while_others_probe_again_and_again,
        fails_while_others_test, fails_while_two_threads_wait, fails_while_others_wait_for_any, fails_while_others_await,
        fails_while_others_await_in_an_executor, fails_while_others_send,
        fails_while_others_send_synchronously, fails_while_others_are_in_a_barrier, fails_while_others_broadcast,
        fails_while_others_reduce,
        fails_while_others_wait_for_an_immediate_reduction, fails_after_others_forgot_a_collective, fails_after_a_flood, fails_while_the_other_receives_from_any, fails_at_the_end_of_a_chain, sends_to_those_who_have_left, sends_what_nobody_receives,
        waits_for_sends_in_vain, drops_collectives_that_differ, waits_for_collectives_that_others_drop,
        waits_for_another_groups_leader, drops_collectives_that_the_last_waits_for,
        leaves_before_its_messages_are_received, panics_with_messages_to_send,
    };
    MANY, ByName: different::{calls_that_differ};
    MANY, ByName: collectives::{every_collective_once};
    ALL, ByName: launched::{
        finalizes, prints_many_lines, prints_then_panics, returns_error, fails_on_purpose, panics,
        panics_in_a_short_reduction, panics_in_a_long_reduction, panics_in_a_large_reduction,
        panics_in_a_prefix_reduction, panics_in_a_persistent_reduction, panics_in_another_reduction,
        panics_in_an_immediate_reduction, panics_in_an_awaited_reduction, aborts_with_42, exits_without_finalize,
        exits_with_7_without_finalize, segfaults, killed, blocks, echo_stdin, forks_children, forks_children_by_python,
        expects_to_be_alone, tells_its_rank,
    };
}

/// The body with this name.
pub(crate) fn find(name: &str) -> Body {
    LIST.iter().find(|listed| listed.name == name).unwrap_or_else(|| panic!("no body is called {name}")).body
}

/// The next rank, in a ring.
fn next<'c, 'u>(world: &'c Communicator<'u>) -> Process<'c, 'u> {
    world.process_at_rank(ahead(world, 1))
}

/// The previous rank, in a ring.
fn previous<'c, 'u>(world: &'c Communicator<'u>) -> Process<'c, 'u> {
    world.process_at_rank(ahead(world, -1))
}

/// The rank `offset` places ahead, in a ring.
fn ahead(world: &Communicator<'_>, offset: Rank) -> Rank {
    (world.rank() + offset).rem_euclid(world.size())
}

/// Bytes that tell who sent them and which message they are.
fn bytes(source: Rank, number: usize, len: usize) -> Vec<u8> {
    let start = (source as usize).wrapping_mul(101).wrapping_add(number.wrapping_mul(37));
    (0..len).map(|index| (start + index + (index >> 8)) as u8).collect()
}

/// Fails with the first difference, not with megabytes.
#[track_caller]
fn assert_same(got: &[u8], expected: &[u8]) {
    let differs = got.iter().zip(expected).position(|(a, b)| a != b);
    assert!(
        differs.is_none() && got.len() == expected.len(),
        "got {} bytes instead of {}, first difference at {differs:?}",
        got.len(),
        expected.len()
    );
}

/// Nanoseconds that all processes of the machine count alike.
fn clock() -> i64 {
    // SAFETY: all-zero is a valid `timespec`.
    let mut now: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: `now` is valid for writes.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) }, 0);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
