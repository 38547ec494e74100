//! The table of context records: which context ids are in use, and by whom still.
//!
//! A communicator takes [`CONTEXTS_EACH`] consecutive ids. Those of a record are given again when nobody has to
//! do with them any more; when all records are in use, ids come from a counter and are never given again.
//!
//! | word | written by | meaning |
//! | --- | --- | --- |
//! | `in_use` | all, by read-modify-write | bit b of word w: record 64 w + b is taken |
//! | `holders` of a record | who takes it; then every member once, subtracting | members that may still send |
//! | `unclean` of a record | who takes it; then every member once, subtracting | members that may still keep a message |
//! | `drawn` | all, by read-modify-write | ids that the counter has given |
//!
//! Its life is in docs/PROTOCOL.md, "Context ids". Named pairs: `CONTEXT_OWNER`, `CONTEXT_LEFT`,
//! `CONTEXT_CLEAN`.

use super::{
    far::{Far, Words},
    shape::{Shape, shape},
};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Ids that a communicator takes: for messages, for collectives, for nonblocking collectives and for what the
/// library tells itself.
pub(crate) const CONTEXTS_EACH: u32 = 4;

/// Which of them is that of blocking collectives, which come one after the other, and which that of nonblocking ones,
/// which overlap each other. The first is divisible by their number, so that an id tells by itself.
pub(crate) const CONSECUTIVE: u32 = 1;
pub(crate) const OVERLAPPING: u32 = 2;

#[cfg(not(loom))]
mod sizes {
    pub(crate) const RECORDS: usize = 4096;
}
#[cfg(loom)]
mod sizes {
    pub(crate) const RECORDS: usize = 1;
}
pub(crate) use sizes::RECORDS;

/// Words of a bitmap with a bit for every record.
pub(crate) const RECORD_WORDS: usize = RECORDS.div_ceil(64);

/// Untouched, it says that all is free.
#[repr(C)]
pub(crate) struct Table {
    in_use: [AtomicU64; RECORD_WORDS],
    drawn: AtomicU64,
    records: [Record; RECORDS],
}

#[derive(Default)]
#[repr(C)]
struct Record {
    holders: AtomicU32,
    unclean: AtomicU32,
}

// SAFETY: all atomics.
unsafe impl Words for Table {
    const SHAPE: Shape =
        shape!(Table { in_use, drawn, records }).with(shape!(Record { holders, unclean }).hash());
}

/// A count would fall below zero: no member does that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Miscounted;

/// The table, as a rank sees it.
#[derive(Clone)]
pub(crate) struct ContextTable {
    table: Far<Table>,
    /// The first id of the first record.
    first: u32,
}

impl ContextTable {
    pub(super) fn new(table: Far<Table>, first: u32) -> Self {
        debug_assert!(first.is_multiple_of(CONTEXTS_EACH));
        Self { table, first }
    }

    /// The first of the ids of a new communicator with so many members; None if all ids are used up.
    pub(crate) fn draw(&self, members: u32) -> Option<u32> {
        if let Some(record) = self.take(members) {
            return Some(self.first + record as u32 * CONTEXTS_EACH);
        }
        let start = u64::from(self.first) + (RECORDS as u64) * u64::from(CONTEXTS_EACH);
        let end = |drawn| start + drawn + u64::from(CONTEXTS_EACH);
        let is_left =
            |drawn: u64| (end(drawn) <= u64::from(u32::MAX)).then(|| drawn + u64::from(CONTEXTS_EACH));
        // Relaxed: a counter; the ids travel to the others in messages.
        let drawn = self.table.drawn.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_left).ok()?;
        u32::try_from(start + drawn).ok()
    }

    /// The record that an id belongs to.
    pub(crate) fn record_of(&self, id: u32) -> Option<usize> {
        let record = (id.checked_sub(self.first)? / CONTEXTS_EACH) as usize;
        (record < RECORDS).then_some(record)
    }

    /// The ids of a record.
    pub(crate) fn ids(&self, record: usize) -> std::ops::Range<u32> {
        let first = self.first + record as u32 * CONTEXTS_EACH;
        first..first + CONTEXTS_EACH
    }

    /// Takes the first free record, for so many members, whom the caller tells.
    fn take(&self, members: u32) -> Option<usize> {
        // Those whose ids a 32-bit number can name.
        let usable = RECORDS.min(((u32::MAX - self.first) / CONTEXTS_EACH) as usize);
        for (at, word) in self.table.in_use.iter().enumerate() {
            loop {
                // Relaxed: a hint; what counts is the read-modify-write below.
                let bit = (!word.load(Ordering::Relaxed)).trailing_zeros();
                let record = at * 64 + bit as usize;
                if bit == u64::BITS || record >= usable {
                    break;
                }
                // AcqRel: CONTEXT_OWNER; `clean` of the last user happens before what is done with it now.
                if word.fetch_or(1 << bit, Ordering::AcqRel) & 1 << bit == 0 {
                    // Relaxed: the message that tells the other members of the record publishes these.
                    self.table.records[record].holders.store(members, Ordering::Relaxed);
                    // Relaxed: as above.
                    self.table.records[record].unclean.store(members, Ordering::Relaxed);
                    return Some(record);
                }
            }
        }
        None
    }

    /// This member sends nothing any more with the record's ids: all that it has sent is in the rings.
    pub(crate) fn let_go(&self, record: usize) -> Result<(), Miscounted> {
        // Release: CONTEXT_LEFT, pairs with the Acquire in `is_over`.
        match self.table.records[record].holders.fetch_sub(1, Ordering::Release) {
            0 => Err(Miscounted),
            _ => Ok(()),
        }
    }

    /// Whether no member sends any more. What they have sent is visible then.
    pub(crate) fn is_over(&self, record: usize) -> bool {
        // Acquire: CONTEXT_LEFT, pairs with the Releases in `let_go`, each of which begins a release
        // sequence that the later ones continue.
        self.table.records[record].holders.load(Ordering::Acquire) == 0
    }

    /// This member keeps no message with the record's ids, and none can come. The last one frees it.
    pub(crate) fn clean(&self, record: usize) -> Result<(), Miscounted> {
        // AcqRel: CONTEXT_CLEAN, pairs with itself: the last has seen what the others did before.
        match self.table.records[record].unclean.fetch_sub(1, Ordering::AcqRel) {
            0 => Err(Miscounted),
            1 => {
                // AcqRel: CONTEXT_OWNER, pairs with `take`.
                self.table.in_use[record / 64].fetch_and(!(1 << (record % 64)), Ordering::AcqRel);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// How many records are in use.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn in_use(&self) -> u32 {
        // Relaxed: a statistic.
        self.table.in_use.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum()
    }
}

#[cfg(test)]
impl ContextTable {
    /// A table of its own, for tests and models.
    fn on_heap(first: u32) -> Self {
        let table = Table {
            in_use: std::array::from_fn(|_| AtomicU64::new(0)),
            drawn: AtomicU64::new(0),
            records: std::array::from_fn(|_| Record::default()),
        };
        Self::new(Far::on_heap(Box::new(table)), first)
    }
}

#[cfg(all(test, loom))]
#[path = "contexts_loom.rs"]
mod models;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// No communicator begins here: its last id would be the number behind the last.
    const END: u32 = u32::MAX - (CONTEXTS_EACH - 1);

    #[test]
    fn ids_are_given_again_when_the_last_member_has_cleaned_and_not_before() {
        let table = ContextTable::on_heap(16);
        assert_eq!([table.draw(2), table.draw(1), table.draw(3)], [Some(16), Some(20), Some(24)]);
        assert_eq!((table.record_of(15), table.record_of(16), table.record_of(27)), (None, Some(0), Some(2)));
        assert!(!table.is_over(0));
        table.let_go(0).unwrap();
        assert!(!table.is_over(0));
        table.let_go(0).unwrap();
        assert!(table.is_over(0));
        table.clean(0).unwrap();
        assert_eq!((table.draw(1), table.in_use()), (Some(28), 4));
        table.clean(0).unwrap();
        assert_eq!(table.in_use(), 3);
        assert_eq!(table.draw(5), Some(16));
        assert!(!table.is_over(0), "its counts are new");
        assert_eq!((table.let_go(1), table.let_go(1)), (Ok(()), Err(Miscounted)));
        assert_eq!((table.clean(1), table.clean(1)), (Ok(()), Err(Miscounted)));
    }

    #[test]
    fn beyond_the_records_ids_are_never_given_again_and_they_end() {
        let few = 3;
        let first = END - (RECORDS as u32 + few) * CONTEXTS_EACH;
        let table = ContextTable::on_heap(first);
        let ids: Vec<u32> = std::iter::from_fn(|| table.draw(1)).collect();
        let expected: Vec<u32> = (first..).step_by(4).take(RECORDS + few as usize).collect();
        assert_eq!(ids, expected);
        assert_eq!(table.record_of(ids[RECORDS]), None);
        table.let_go(7).unwrap();
        table.clean(7).unwrap();
        assert_eq!([table.draw(1), table.draw(1)], [Some(ids[7]), None]);
    }

    #[test]
    fn records_whose_ids_would_wrap_are_not_given() {
        let table = ContextTable::on_heap(END - 2 * CONTEXTS_EACH);
        let ids: Vec<u32> = std::iter::from_fn(|| table.draw(1)).collect();
        assert_eq!(ids, [END - 8, END - 4]);
    }
}
