//! Large messages, by every method, also when a method fails or its memory goes away.
#![expect(clippy::unwrap_used, reason = "what the tests are made of may fail them")]

use super::{
    Awaited, BulkOption, Config, Engine, Mode, RequestId, Until,
    packet::Place,
    request::{ReceivePhase, SendPhase},
};
use crate::{
    buffer::{Held, ReceiveBuffer, SendBuffer, SharedBuffer, of_slice, of_slice_mut},
    datatype::{Cursor, TypeMap},
    envelope::{Envelope, Pattern},
    shm::{
        doorbell::BarrierMode,
        pool::{BULK_LARGE, BULK_SMALL},
        segment::Segment,
        tuning::{Method, Tuning, class},
    },
    status::Status,
    sys::{memory, process::own_pid},
    types::{ContextId, PeerId},
};
use std::{
    os::{fd::AsFd, unix::fs::FileExt},
    sync::Arc,
    thread,
    time::Duration,
};

const CONTEXT: ContextId = ContextId(0);
const OPTIONS: [BulkOption; 5] = [
    BulkOption::Auto,
    BulkOption::Pipelined,
    BulkOption::PipelinedLarge,
    BulkOption::Cma,
    BulkOption::Direct,
];
/// Enough rounds for anything here; a test that needs more hangs.
const ROUNDS: usize = 100_000;

/// Sizes around pages, eager limits, pieces and steps of pulls; odd ones too.
const SIZES: [usize; 14] = [
    1,
    4095,
    4096,
    4097,
    16 << 10,
    (64 << 10) - 1,
    64 << 10,
    (64 << 10) + 1,
    (256 << 10) - 1,
    256 << 10,
    (256 << 10) + 1,
    777_777,
    1 << 20,
    (3 << 20) + 13,
];

fn engines<const RANKS: usize>(option: BulkOption) -> [Engine; RANKS] {
    let segment = Segment::on_heap(RANKS).unwrap();
    let config = Config { bulk: option, ..Config::new(BarrierMode::Fence) };
    std::array::from_fn(|rank| {
        segment.published(rank).slot.claim(own_pid()).unwrap();
        Engine::new(&segment, PeerId(rank as u32), config).unwrap()
    })
}

fn envelope(engine: &Engine, bytes: usize) -> Envelope {
    Envelope { context: CONTEXT, source: engine.me().0 as i32, tag: 5, bytes: bytes as u64 }
}

fn from_anyone() -> Pattern {
    Pattern { context: CONTEXT, source: None, tag: None }
}

fn isend(engine: &Engine, data: &[u8]) -> RequestId {
    let to = PeerId(1 - engine.me().0);
    engine.isend(to, envelope(engine, data.len()), Mode::Standard, of_slice(data)).unwrap()
}

fn ireceive(engine: &Engine, into: &mut [u8]) -> RequestId {
    engine.ireceive(from_anyone(), None, of_slice_mut(into)).unwrap()
}

/// Steps both until the operation of the first has ended.
fn finish(engine: &Engine, other: &Engine, id: RequestId) -> Status {
    for _ in 0..ROUNDS {
        if engine.test(id).unwrap() {
            return engine.take_outcome(id).unwrap();
        }
        other.step().unwrap();
    }
    panic!("no end after {ROUNDS} rounds");
}

fn pattern(bytes: usize, seed: usize) -> Vec<u8> {
    (0..bytes).map(|index| ((index * 31 + index / 255 + seed * 101) % 251) as u8).collect()
}

fn shared(engine: &Engine, data: &[u8]) -> SharedBuffer<u8> {
    let mut buffer = SharedBuffer::zeroed(engine.arena().unwrap(), data.len()).unwrap();
    buffer.copy_from_slice(data);
    buffer
}

/// Blocks for small and for large pieces that the rank has ever used.
fn bulk_blocks(engine: &Engine) -> [u32; 2] {
    [BULK_SMALL, BULK_LARGE].map(|class| engine.lock().pool.used(class))
}

fn assert_nothing_is_held(engines: &[Engine; 2]) {
    for engine in engines {
        engine.step().unwrap();
        engine.rest();
    }
    for engine in engines {
        assert_eq!(engine.held(), (0, 0, 0));
    }
}

/// Sends every size from private memory and from the arena, with the receive before or after.
fn send_all_sizes(engines: &[Engine; 2]) {
    let [from, to] = engines;
    for (turn, bytes) in SIZES.into_iter().enumerate() {
        for in_arena in [false, true] {
            let data = pattern(bytes, turn);
            let arena = in_arena.then(|| shared(from, &data));
            let source = arena.as_deref().unwrap_or(&data);
            let mut into = vec![0; bytes];
            let early = turn.is_multiple_of(2).then(|| ireceive(to, &mut into));
            let send = isend(from, source);
            let receive = early.unwrap_or_else(|| {
                to.step().unwrap();
                ireceive(to, &mut into)
            });
            let status = finish(to, from, receive);
            assert_eq!(status.bytes(), bytes as u64);
            finish(from, to, send);
            assert!(into == data, "{bytes} bytes, in the arena: {in_arena}");
        }
    }
    assert_nothing_is_held(engines);
}

#[test]
fn messages_of_all_sizes_arrive_in_small_and_in_large_pieces() {
    for (option, used) in [(BulkOption::Pipelined, 0), (BulkOption::PipelinedLarge, 1)] {
        let engines = engines(option);
        send_all_sizes(&engines);
        let blocks = bulk_blocks(&engines[0]);
        assert!(blocks[used] > 1 && blocks[1 - used] == 0, "{option:?}: {blocks:?}");
    }
}

#[test]
fn messages_of_all_sizes_arrive_by_cross_memory_attach_and_need_no_blocks() {
    let engines = engines(BulkOption::Cma);
    send_all_sizes(&engines);
    assert_eq!(bulk_blocks(&engines[0]), [0, 0]);
}

#[test]
fn messages_of_all_sizes_arrive_from_the_arena_and_need_no_blocks() {
    let engines = engines(BulkOption::Direct);
    let [from, to] = &engines;
    send_all_sizes(&engines);
    let blocks = bulk_blocks(from);
    let data = shared(from, &pattern(1 << 20, 1));
    let mut into = vec![0; 1 << 20];
    for _ in 0..20 {
        let (receive, send) = (ireceive(to, &mut into), isend(from, &data));
        finish(to, from, receive);
        finish(from, to, send);
    }
    assert_eq!(bulk_blocks(from), blocks);
}

#[test]
fn messages_of_all_sizes_arrive_whatever_is_chosen_and_tried() {
    let engines = engines(BulkOption::Auto);
    (0..30).for_each(|_| send_all_sizes(&engines));
}

#[test]
fn many_transfers_at_once_in_both_directions_all_end() {
    let engines = engines(BulkOption::Auto);
    let sizes = [100_000, 1 << 20, 70_000, 300_001, 5000, 2 << 20, 66_000, 500_000];
    let data: Vec<Vec<u8>> = sizes.iter().map(|bytes| pattern(*bytes, *bytes)).collect();
    thread::scope(|scope| {
        for engine in &engines {
            let data = &data;
            scope.spawn(move || {
                let mut into: Vec<Vec<u8>> = data.iter().map(|data| vec![0; data.len()]).collect();
                let arena: Vec<_> = data.iter().map(|data| shared(engine, data)).collect();
                let mut requests: Vec<RequestId> =
                    into.iter_mut().map(|into| ireceive(engine, into)).collect();
                for turn in 0..data.len() {
                    let source: &[u8] = if turn % 2 == 0 { &arena[turn] } else { &data[turn] };
                    requests.push(isend(engine, source));
                }
                for id in requests {
                    engine.wait(id).unwrap();
                }
                assert!(into == *data);
                engine.leave().unwrap();
            });
        }
    });
    assert_nothing_is_held(&engines);
}

/// A pull of the second engine that has come some way but not to its end.
fn half_a_pull(engines: &[Engine; 2], data: &[u8], into: &mut [u8]) -> (RequestId, RequestId) {
    let [from, to] = engines;
    let (receive, send) = (ireceive(to, into), isend(from, data));
    to.step().unwrap();
    to.step().unwrap();
    assert!(!to.test(receive).unwrap());
    (send, receive)
}

#[test]
fn what_cannot_be_read_any_more_comes_in_pieces() {
    let engines = engines(BulkOption::Cma);
    let [from, to] = &engines;
    for round in 0..2 {
        let data = pattern(2 << 20, round);
        let mut into = vec![0; data.len()];
        let (send, receive) = half_a_pull(&engines, &data, &mut into);
        let mut core = to.lock();
        match &mut core.requests.receive(receive).unwrap().phase {
            ReceivePhase::Pulling(pull) => pull.set_place(Place::Private(8)),
            other => panic!("{other:?}"),
        }
        drop(core);
        finish(to, from, receive);
        finish(from, to, send);
        assert!(into == data);
    }
    assert!(bulk_blocks(from)[0] > 0);
    assert_nothing_is_held(&engines);
}

#[test]
fn a_read_that_ends_at_a_page_that_is_not_there_goes_on_in_pieces() {
    /// Within a step of a pull.
    const READABLE: usize = (1 << 20) + (8 << 10);
    let engines = engines(BulkOption::Cma);
    let [from, to] = &engines;
    let data = pattern(2 << 20, 6);
    let mut into = vec![0; data.len()];
    let file = memory::create_memfd("partly-there", READABLE as u64).unwrap();
    file.write_all_at(&data[..READABLE], 0).unwrap();
    let partly_there = memory::map_shared(file.as_fd(), data.len()).unwrap();
    let (send, receive) = half_a_pull(&engines, &data, &mut into);
    let phase = || to.lock().requests.receive(receive).unwrap().phase;
    let mut core = to.lock();
    match &mut core.requests.receive(receive).unwrap().phase {
        ReceivePhase::Pulling(pull) => pull.set_place(Place::Private(partly_there.as_ptr() as u64)),
        other => panic!("{other:?}"),
    }
    drop(core);
    while matches!(phase(), ReceivePhase::Pulling(_)) {
        to.step().unwrap();
    }
    assert!(matches!(phase(), ReceivePhase::Cleared(clearance) if clearance.arrived == READABLE as u64));
    finish(to, from, receive);
    finish(from, to, send);
    assert!(into == data);
    assert_nothing_is_held(&engines);
}

/// What a MiB costs by a method, in ms, as found when each rank comes late for the other.
fn cost_with_late_ranks(method: Method, late: Duration) -> u64 {
    const BYTES: usize = 1 << 20;
    let engines = engines(BulkOption::Auto);
    let [from, to] = &engines;
    let (private, mut into) = (pattern(BYTES, 1), vec![0; BYTES]);
    let arena = shared(from, &private);
    let source: &[u8] = if method == Method::Direct { &arena } else { &private };
    let cost = || Tuning::new(from.segment()).cost(method, class(BYTES as u64));
    for turn in 0.. {
        if cost().is_some() {
            break;
        }
        let (receive, send) = (ireceive(to, &mut into), isend(from, source));
        for engine in [to, from, to, to] {
            engine.step().unwrap();
            // The first ones are not timed.
            thread::sleep(if turn < 2 { Duration::ZERO } else { late });
        }
        finish(to, from, receive);
        finish(from, to, send);
    }
    cost().unwrap() / 1_000_000
}

#[test]
fn a_rank_that_comes_late_makes_no_method_look_slow() {
    for method in [Method::SmallPieces, Method::Direct] {
        // Others may use the CPU in the middle of a copy, but not every time.
        let least = (0..5).map(|_| cost_with_late_ranks(method, Duration::from_millis(50))).min().unwrap();
        assert!(least < 25, "{method:?}: {least} ms");
    }
}

#[test]
fn a_place_outside_the_arena_is_not_read_and_the_data_comes_in_pieces() {
    let engines = engines(BulkOption::Direct);
    let [from, to] = &engines;
    let data = shared(from, &pattern(2 << 20, 3));
    for offset in [1 << 40, u64::MAX, u64::MAX - (1 << 20)] {
        let mut into = vec![0; data.len()];
        let (send, receive) = half_a_pull(&engines, &data, &mut into);
        let mut core = to.lock();
        match &mut core.requests.receive(receive).unwrap().phase {
            ReceivePhase::Pulling(pull) => pull.set_place(Place::Arena { offset, address: 0 }),
            other => panic!("{other:?}"),
        }
        drop(core);
        finish(to, from, receive);
        finish(from, to, send);
        assert!(into == *data);
    }
}

#[test]
fn a_process_without_the_nonce_is_not_read() {
    let segment = Segment::on_heap(2).unwrap();
    let config = Config { bulk: BulkOption::Cma, ..Config::new(BarrierMode::Fence) };
    // The first rank claims to be a process that does not exist, or has no rank in it.
    for pid in [0, 1, i32::MAX] {
        let _ = segment.published(0).slot.claim(pid);
    }
    segment.published(1).slot.claim(own_pid()).unwrap();
    let engines = [0, 1].map(|rank| Engine::new(&segment, PeerId(rank), config).unwrap());
    send_all_sizes(&engines);
    assert!(bulk_blocks(&engines[0])[0] > 0);
}

#[test]
fn a_pull_from_memory_that_its_sender_abandons_gets_what_was_sent() {
    for (option, in_arena) in [(BulkOption::Cma, false), (BulkOption::Direct, true)] {
        let engines = engines(option);
        let [from, to] = &engines;
        let data = pattern(2 << 20, 9);
        let (mut private, mut arena) = (data.clone(), shared(from, &data));
        let source: &mut [u8] = if in_arena { &mut arena } else { &mut private };
        let mut into = vec![0; data.len()];
        let (send, receive) = half_a_pull(&engines, source, &mut into);
        from.abandon(send);
        source.fill(0xee);
        finish(to, from, receive);
        assert!(into == data, "{option:?}");
        assert_nothing_is_held(&engines);
    }
}

#[test]
fn a_receive_that_is_abandoned_writes_nothing_and_ends_its_sender() {
    for option in [BulkOption::Cma, BulkOption::Pipelined, BulkOption::PipelinedLarge] {
        let engines = engines(option);
        let [from, to] = &engines;
        let data = pattern(2 << 20, 9);
        let mut into = vec![0; data.len()];
        let (send, receive) = half_a_pull(&engines, &data, &mut into);
        to.abandon(receive);
        into.fill(7);
        finish(from, to, send);
        assert!(into.iter().all(|byte| *byte == 7), "{option:?}");
        to.wait_until(Until::Quiet).unwrap();
        assert_nothing_is_held(&engines);
    }
}

#[test]
fn a_detached_send_keeps_its_buffer_in_the_arena_until_it_has_been_read() {
    let engines = engines(BulkOption::Direct);
    let [from, to] = &engines;
    for bytes in [5000, 50_000, 1 << 20] {
        let data = pattern(bytes, 4);
        let held = Held::new(shared(from, &data));
        let envelope = envelope(from, bytes);
        let send = from.isend(PeerId(1), envelope, Mode::Standard, held.to_send()).unwrap();
        from.detach(send, Some(held.into_keep()));
        // Were the memory free, it would be taken again and overwritten.
        let other = shared(from, &vec![0xee; bytes]);
        to.step().unwrap();
        let mut into = vec![0; bytes];
        let receive = ireceive(to, &mut into);
        finish(to, from, receive);
        assert!(into == data, "{bytes} bytes");
        from.wait_until(Until::Quiet).unwrap();
        drop(other);
    }
    assert_nothing_is_held(&engines);
    let arena = engines[0].arena().unwrap();
    assert_eq!(Arc::strong_count(&arena), 2, "all buffers have let go of the arena");
}

/// Every other block of 24 bytes.
fn with_gaps(count: u64) -> Cursor {
    let block = TypeMap::bytes(24).unwrap();
    let element = TypeMap::resized(0, 48, &block).unwrap();
    Cursor::new(element, count).unwrap()
}

fn without_gaps(bytes: &[u8]) -> Vec<u8> {
    bytes.chunks(48).flat_map(|chunk| &chunk[..24]).copied().collect()
}

#[test]
fn data_with_gaps_on_either_side_arrives_by_every_method() {
    for option in OPTIONS {
        let engines = engines(option);
        let [from, to] = &engines;
        for count in [200, 3000, 50_000] {
            let wide = pattern(count as usize * 48, 2);
            let packed = shared(from, &without_gaps(&wide));
            for has_gaps in [false, true] {
                let bytes = packed.len();
                let source = if has_gaps {
                    SendBuffer::mapped(wide.as_ptr(), with_gaps(count))
                } else {
                    of_slice(&packed).into()
                };
                let send = from.isend(PeerId(1), envelope(from, bytes), Mode::Standard, source).unwrap();
                let mut into = vec![0; wide.len()];
                let buffer = ReceiveBuffer::mapped(into.as_mut_ptr(), with_gaps(count));
                let receive = to.ireceive(from_anyone(), None, buffer).unwrap();
                finish(to, from, receive);
                finish(from, to, send);
                assert!(without_gaps(&into) == *packed, "{option:?}, {bytes} bytes, gaps: {has_gaps}");
                let gaps = into.chunks(48).flat_map(|chunk| &chunk[24..]);
                assert!(gaps.copied().all(|byte| byte == 0));
            }
        }
    }
}

/// A call of the first engine that ends at once, because the second has done its part before.
type Call = fn(from: &Engine, other: &Engine);

fn send(from: &Engine, to: &Engine, bytes: usize) {
    from.send(to.me(), envelope(from, bytes), Mode::Standard, of_slice(&vec![1u8; bytes])).unwrap();
}

fn receive(engine: &Engine, source: Option<&Engine>) {
    let source = source.map(Engine::me);
    let pattern = Pattern { source: source.map(|source| source.0 as i32), ..from_anyone() };
    engine.receive(pattern, source, of_slice_mut(&mut vec![0u8; 64 << 10])).unwrap();
}

fn send_and_let_receive(from: &Engine, other: &Engine, bytes: usize) {
    send(from, other, bytes);
    let mut into = vec![0; bytes];
    let received = ireceive(other, &mut into);
    assert!(other.test(received).unwrap());
    other.take_outcome(received).unwrap();
}

fn let_send_and_receive(from: &Engine, other: &Engine, bytes: usize) {
    send(other, from, bytes);
    receive(from, Some(other));
}

#[test]
fn a_rank_whose_calls_all_end_at_once_still_goes_on_with_what_others_wait_for() {
    // 8 pieces.
    const LARGE: usize = 256 << 10;
    // Every 64th polls, and every poll sends a piece.
    const CALLS: usize = 64 * 16;
    let calls: [(&str, Call); 10] = [
        ("sends of 8 bytes", |from, other| send_and_let_receive(from, other, 8)),
        ("sends of 41 bytes", |from, other| send_and_let_receive(from, other, 41)),
        ("sends of 20 000 bytes", |from, other| send_and_let_receive(from, other, 20_000)),
        ("sends of 64 KiB", |from, other| send_and_let_receive(from, other, 64 << 10)),
        ("receives of 8 bytes", |from, other| let_send_and_receive(from, other, 8)),
        ("receives of 1000 bytes", |from, other| let_send_and_receive(from, other, 1000)),
        ("receives of 20 000 bytes", |from, other| let_send_and_receive(from, other, 20_000)),
        ("receives of unexpected messages", |from, _| receive(from, None)),
        ("matched receives", |from, _| {
            let pattern = from_anyone();
            let (message, _) = from.mprobe(Awaited { pattern: &pattern, from: None }).unwrap();
            from.mreceive(message, of_slice_mut(&mut [0u8; 8])).unwrap();
        }),
        ("messages to itself", |from, _| {
            send(from, from, 1000);
            receive(from, Some(from));
        }),
    ];
    let needs_unexpected = ["receives of unexpected messages", "matched receives"];
    for (what, call) in calls {
        let engines = engines(BulkOption::Pipelined);
        let [from, other, to] = &engines;
        for _ in 0..if needs_unexpected.contains(&what) { CALLS } else { 0 } {
            send(other, from, 8);
            from.step().unwrap();
        }
        let (data, mut into) = (pattern(LARGE, 1), vec![0; LARGE]);
        let received = ireceive(to, &mut into);
        let sent = from.isend(to.me(), envelope(from, LARGE), Mode::Standard, of_slice(&data)).unwrap();
        let is_done = (0..CALLS).any(|_| {
            call(from, other);
            to.test(received).unwrap()
        });
        assert!(is_done, "{what}");
        assert!(into == data);
        from.wait(sent).unwrap();
    }
}

#[test]
fn small_sends_from_the_arena_to_each_other_end_before_their_receives_begin() {
    let engines = engines(BulkOption::Direct);
    thread::scope(|scope| {
        for engine in &engines {
            scope.spawn(move || {
                let other = PeerId(1 - engine.me().0);
                let mut data = shared(engine, &[0; 16 << 10]);
                for round in 0..1000 {
                    data.copy_from_slice(&pattern(16 << 10, round));
                    let envelope = envelope(engine, data.len());
                    engine.send(other, envelope, Mode::Standard, of_slice(&data)).unwrap();
                    // The send is over: its memory may change.
                    data.fill(0xee);
                    let mut into = vec![0; data.len()];
                    let receive = ireceive(engine, &mut into);
                    engine.wait(receive).unwrap();
                    assert!(into == pattern(16 << 10, round));
                }
                engine.leave().unwrap();
            });
        }
    });
    assert_nothing_is_held(&engines);
}

#[test]
fn a_clearance_beyond_the_message_is_reported() {
    let [from, _to] = engines(BulkOption::Pipelined);
    let data = pattern(1 << 20, 1);
    let send = isend(&from, &data);
    let mut core = from.lock();
    assert!(matches!(core.requests.send(send).unwrap().phase, SendPhase::Announced));
    for offset in [1 << 20, u64::MAX] {
        let cts = super::packet::Cts { send, receive: send, offset, is_large: false, is_timed: false };
        assert!(core.arrive_clearance(PeerId(1), cts).is_err(), "{offset}");
    }
}
