//! What two sides do together: wait for each other, broadcast, reduce.
//!
//! Few bytes travel in the line of the word that announces them; such rounds follow each other without a pause, and what is sent
//! is rewritten inside the time. More bytes are rewritten before each round, outside the time: both sides meet, the clock
//! starts, the operation runs, both meet again, the clock stops. So the last side is done when the clock stops, and one meeting is
//! in the time.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Instant;

use super::copy::{Kind, wait_for_load};
use super::memory::{Cell, MAX_BYTES};
use super::play::{Pace, Player, Side};
use super::ring::CELL_BYTES;
use super::scheme::Split;

/// Polls until `ready`.
#[inline(always)]
fn await_word(side: &Side<'_>, pace: Pace, mut ready: impl FnMut() -> bool) {
    side.spin.until(|| {
        let is_ready = ready();
        if pace == Pace::Paced && !is_ready {
            wait_for_load();
        }
        is_ready
    });
}

/// Both sides wait for each other: a line each way, at the same time.
pub(super) struct Meeting<'a> {
    side: &'a Side<'a>,
    pace: Pace,
    count: u64,
}

impl<'a> Meeting<'a> {
    pub(super) fn new(side: &'a Side<'a>, pace: Pace) -> Self {
        Meeting { side, pace, count: 0 }
    }

    #[inline(always)]
    fn meet(&mut self) {
        self.count += 1;
        // MET: pairs with the Acquire below, on the other side.
        self.side.out().met.0.store(self.count, Release);
        let met = &self.side.back().met.0;
        // MET: pairs with the Release above, on the other side, which may have come to the next meeting already.
        await_word(self.side, self.pace, || met.load(Acquire) >= self.count);
    }
}

/// Meetings, one after the other.
pub(super) struct Barrier<'a>(pub(super) Meeting<'a>);

impl Player for Barrier<'_> {
    #[inline(always)]
    fn round(&mut self) {
        self.0.meet();
    }
}

/// The cell of a round: two in turn. A side that is a round ahead uses the other one, and it cannot be further.
fn cell(cells: &[Cell], round: u64) -> &Cell {
    &cells[round as usize % 2]
}

/// Number `at` of side `index` in a round. Sums of two such numbers are exact, and many of them are made at once.
#[inline(always)]
fn number(index: usize, round: u64, at: usize) -> f64 {
    ((index as u64 + 1) * round) as f64 + f64::from(at as i32)
}

/// The first side's numbers go to the second in a cell; then both meet.
pub(super) struct BroadcastCell<'a> {
    meeting: Meeting<'a>,
    words: usize,
}

impl<'a> BroadcastCell<'a> {
    pub(super) fn new(side: &'a Side<'a>, bytes: usize, pace: Pace) -> Self {
        assert!(bytes <= CELL_BYTES, "{bytes} bytes do not fit a cell of {CELL_BYTES}");
        BroadcastCell { meeting: Meeting::new(side, pace), words: bytes / 8 }
    }
}

impl Player for BroadcastCell<'_> {
    #[inline(always)]
    fn round(&mut self) {
        let (side, round) = (self.meeting.side, self.meeting.count + 1);
        if side.is_first() {
            let cell = cell(&side.out().cells, round);
            for (at, word) in cell.payload[..self.words].iter().enumerate() {
                word.store(number(0, round, at).to_bits(), Relaxed); // ordered by NUMBERS
            }
            // NUMBERS: pairs with the Acquire below.
            cell.sequence.store(round, Release);
        } else {
            let cell = cell(&side.back().cells, round);
            // NUMBERS: pairs with the Release above.
            await_word(side, self.meeting.pace, || cell.sequence.load(Acquire) == round);
            let words = cell.payload[..self.words].iter().enumerate();
            let is_wrong = |(at, word): (usize, &std::sync::atomic::AtomicU64)| {
                f64::from_bits(word.load(Relaxed)) != number(0, round, at) // ordered by NUMBERS
            };
            count_wrong(side, words.filter(|word| is_wrong(*word)).count());
        }
        self.meeting.meet();
    }
}

/// Each side's numbers go to the other in a cell, and both add them up.
pub(super) struct AllReduceWords<'a> {
    side: &'a Side<'a>,
    pace: Pace,
    words: usize,
    round: u64,
}

impl<'a> AllReduceWords<'a> {
    pub(super) fn new(side: &'a Side<'a>, bytes: usize, pace: Pace) -> Self {
        assert!(bytes <= CELL_BYTES, "{bytes} bytes do not fit a cell of {CELL_BYTES}");
        AllReduceWords { side, pace, words: bytes / 8, round: 0 }
    }
}

impl Player for AllReduceWords<'_> {
    #[inline(always)]
    fn round(&mut self) {
        self.round += 1;
        let (side, round) = (self.side, self.round);
        let mine = cell(&side.out().cells, round);
        for (at, word) in mine.payload[..self.words].iter().enumerate() {
            word.store(number(side.index, round, at).to_bits(), Relaxed); // ordered by NUMBERS
        }
        // NUMBERS: pairs with the Acquire below, on the other side.
        mine.sequence.store(round, Release);
        let theirs = cell(&side.back().cells, round);
        // NUMBERS: pairs with the Release above, on the other side.
        await_word(side, self.pace, || theirs.sequence.load(Acquire) == round);
        let mut wrong = 0;
        for (at, word) in theirs.payload[..self.words].iter().enumerate() {
            let theirs = f64::from_bits(word.load(Relaxed)); // ordered by NUMBERS
            let sum = number(side.index, round, at) + theirs;
            wrong += usize::from(sum != total(round, at));
        }
        count_wrong(side, wrong);
    }
}

fn total(round: u64, at: usize) -> f64 {
    number(0, round, at) + number(1, round, at)
}

/// DONE orders it before the first side's look.
#[inline(always)]
fn count_wrong(side: &Side<'_>, wrong: usize) {
    if wrong > 0 {
        side.memory.control().wrong.0.fetch_add(wrong as u64, Relaxed);
    }
}

/// A side's buffers of numbers, by what is done with them.
struct Numbers<'a> {
    side: &'a Side<'a>,
    words: usize,
}

impl<'a> Numbers<'a> {
    /// The result gets its pages.
    fn new(side: &'a Side<'a>, bytes: usize) -> Self {
        assert!(bytes <= MAX_BYTES, "{bytes} bytes: at most {MAX_BYTES} can be measured");
        let numbers = Numbers { side, words: bytes / 8 };
        numbers.result().fill(0.0);
        numbers
    }

    /// What side `index` contributes, in shared memory.
    fn loan(&self, index: usize) -> *mut f64 {
        self.side.memory.loans[index].base().cast()
    }

    /// The half that side `index` has computed, in shared memory.
    fn half(&self, index: usize) -> *mut f64 {
        self.side.memory.staging[index].base().cast()
    }

    fn write_own(&self, round: u64) {
        let (base, index) = (self.loan(self.side.index), self.side.index);
        // SAFETY: this side's own buffer, page-aligned and of MAX_BYTES (checked in `new`); the other side reads it only between
        // the two meetings of a round, when this slice is gone.
        let words = unsafe { std::slice::from_raw_parts_mut(base, self.words) };
        for (at, word) in words.iter_mut().enumerate() {
            *word = number(index, round, at);
        }
    }

    /// This side's private result; no two such slices live at the same time.
    #[allow(clippy::mut_from_ref, reason = "the memory is not this value's own")]
    fn result(&self) -> &mut [f64] {
        let base = self.side.memory.receive.base().cast();
        // SAFETY: this side's own buffer, page-aligned and of MAX_BYTES (checked in `new`).
        unsafe { std::slice::from_raw_parts_mut(base, self.words) }
    }

    fn check(&self, expected: impl Fn(usize) -> f64) {
        let result = self.result().iter().enumerate();
        count_wrong(self.side, result.filter(|(at, word)| **word != expected(*at)).count());
    }
}

/// Times operations between two meetings, each after something that is not timed.
struct Stopwatch {
    nanoseconds: u128,
}

impl Stopwatch {
    fn time(&mut self, meeting: &mut Meeting<'_>, operation: impl FnOnce(&mut Meeting<'_>)) {
        meeting.meet();
        // The other may have had to wait: it is there for sure when it has come again.
        meeting.meet();
        let start = Instant::now();
        operation(meeting);
        meeting.meet();
        self.nanoseconds += start.elapsed().as_nanos();
    }

    fn take(&mut self) -> f64 {
        std::mem::take(&mut self.nanoseconds) as f64
    }
}

/// The first side rewrites its numbers and says so; the second copies them out of the first one's memory.
pub(super) struct Broadcast<'a> {
    numbers: Numbers<'a>,
    meeting: Meeting<'a>,
    watch: Stopwatch,
    kind: Kind,
    round: u64,
}

impl<'a> Broadcast<'a> {
    pub(super) fn new(side: &'a Side<'a>, bytes: usize, kind: Kind) -> Self {
        let (numbers, meeting) = (Numbers::new(side, bytes), Meeting::new(side, Pace::Ahead));
        Broadcast { numbers, meeting, watch: Stopwatch { nanoseconds: 0 }, kind, round: 0 }
    }
}

impl Player for Broadcast<'_> {
    fn round(&mut self) {
        self.round += 1;
        let (side, round, kind, numbers) = (self.meeting.side, self.round, self.kind, &self.numbers);
        if side.is_first() {
            numbers.write_own(round);
        }
        self.watch.time(&mut self.meeting, |_| {
            if side.is_first() {
                // NUMBERS: pairs with the Acquire below.
                return side.out().cells[0].sequence.store(round, Release);
            }
            let sequence = &side.back().cells[0].sequence;
            // NUMBERS: pairs with the Release above.
            side.spin.until(|| sequence.load(Acquire) == round);
            let (from, into) = (numbers.loan(0).cast_const(), numbers.result().as_mut_ptr());
            // SAFETY: both buffers have MAX_BYTES; the first side leaves its own alone until the next meeting.
            unsafe { kind.copy(from.cast(), into.cast(), 8 * numbers.words) };
        });
        if !side.is_first() {
            numbers.check(|at| number(0, round, at));
        }
    }

    fn time(&mut self, rounds: u32) -> f64 {
        (0..rounds).for_each(|_| self.round());
        self.watch.take()
    }
}

/// Both sides rewrite their numbers, which lie in shared memory. Timed: they tell each other so; then either each adds up one half
/// of both, leaves the sums in its private result and in shared memory, tells the other so, and copies the other half; or each adds up
/// all. Then they meet, and each has the whole result in private memory.
pub(super) struct Reduction<'a> {
    numbers: Numbers<'a>,
    meeting: Meeting<'a>,
    watch: Stopwatch,
    split: Split,
    round: u64,
}

impl<'a> Reduction<'a> {
    pub(super) fn new(side: &'a Side<'a>, bytes: usize, split: Split) -> Self {
        let (numbers, meeting) = (Numbers::new(side, bytes), Meeting::new(side, Pace::Ahead));
        Reduction { numbers, meeting, watch: Stopwatch { nanoseconds: 0 }, split, round: 0 }
    }
}

impl Player for Reduction<'_> {
    fn round(&mut self) {
        self.round += 1;
        let (round, split, numbers) = (self.round, self.split, &self.numbers);
        numbers.write_own(round);
        self.watch.time(&mut self.meeting, |meeting| {
            meeting.meet();
            match split {
                Split::Halves => halves(numbers, meeting),
                Split::Whole => add(numbers, 0, numbers.words, None),
            }
        });
        numbers.check(|at| total(round, at));
    }

    fn time(&mut self, rounds: u32) -> f64 {
        (0..rounds).for_each(|_| self.round());
        self.watch.take()
    }
}

fn halves(numbers: &Numbers<'_>, meeting: &mut Meeting<'_>) {
    let (index, half) = (numbers.side.index, numbers.words / 2);
    let starts = [0, half, numbers.words];
    let own = numbers.half(index);
    add(numbers, starts[index], starts[index + 1], Some(own));
    meeting.meet();
    let other = 1 - index;
    let (from, len) = (numbers.half(other).cast_const(), starts[other + 1] - starts[other]);
    let into = numbers.result()[starts[other]..].as_mut_ptr();
    // SAFETY: the other half of the result, and of the sums that the other side has finished before the meeting; it writes
    // them again only after two more.
    unsafe { from.copy_to_nonoverlapping(into, len) };
}

/// The sums of both sides' numbers from `start` to `end` go into the result and, from its beginning, `copy`, which is this side's own
/// staging area.
fn add(numbers: &Numbers<'_>, start: usize, end: usize, copy: Option<*mut f64>) {
    let len = end - start;
    // SAFETY: shared buffers of MAX_BYTES, page-aligned, which nobody writes between the meetings of a round.
    let [a, b] = [0, 1].map(|index| unsafe {
        std::slice::from_raw_parts(numbers.loan(index).wrapping_add(start).cast_const(), len)
    });
    let result = &mut numbers.result()[start..end];
    let Some(copy) = copy else { return sums(a, b, result) };
    // SAFETY: page-aligned, and large enough for a half of MAX_BYTES; the other side reads it only after the next meeting.
    let copy = unsafe { std::slice::from_raw_parts_mut(copy, len) };
    both_sums(a, b, result, copy);
}

/// Defines a loop that the compiler may vectorise as far as this CPU goes.
macro_rules! widest {
    ($name:ident, $wide:ident, ($($argument:ident: $kind:ty),*), $body:block) => {
        fn $name($($argument: $kind),*) {
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: this CPU has AVX2.
                return unsafe { $wide($($argument),*) };
            }
            $body
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        fn $wide($($argument: $kind),*) $body
    };
}

widest!(sums, sums_avx2, (a: &[f64], b: &[f64], into: &mut [f64]), {
    for ((a, b), into) in a.iter().zip(b).zip(into) {
        *into = a + b;
    }
});

widest!(both_sums, both_sums_avx2, (a: &[f64], b: &[f64], into: &mut [f64], copy: &mut [f64]), {
    for (((a, b), into), copy) in a.iter().zip(b).zip(into).zip(copy) {
        *into = a + b;
        *copy = a + b;
    }
});
