//! The directory of regions at a segment's start: its creator writes it, and whoever attaches checks it.

use super::layout::{Header, Layout, Region, RegionKind};
use crate::{
    error::{Error, Result},
    sync::{AtomicU64, Ordering},
};

/// The version of every kind of region.
const VERSION: u32 = 1;

/// A region that no rank owns, in the segment itself.
const SHARED: u64 = u64::MAX;

/// What an entry says.
#[derive(Clone, Copy)]
struct Entry {
    kind: u32,
    version: u32,
    owner: u64,
    offset: u64,
    size: u64,
}

impl Entry {
    fn read(region: &Region) -> Self {
        // Relaxed: SEGMENT_READY published them.
        let read = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let kind = read(&region.kind);
        let [owner, offset, size] = [&region.owner, &region.offset, &region.size].map(read);
        Self { kind: kind as u32, version: (kind >> 32) as u32, owner, offset, size }
    }

    /// Whether it is the region of the layout that it should be; else what is wrong.
    fn check(self, (kind, offset, size): (RegionKind, usize, usize), segment: u64) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("{kind:?} has version {} instead of {VERSION}", self.version));
        }
        if self.owner != SHARED {
            return Err(format!("{kind:?} has the owner {:#x}", self.owner));
        }
        let said = (self.offset, self.size);
        if self.offset.checked_add(self.size).is_none_or(|end| end > segment) {
            return Err(format!("{kind:?} has {} bytes at {}, the segment {segment}", said.1, said.0));
        }
        if said != (offset as u64, size as u64) {
            let (found_offset, found_size) = said;
            return Err(format!(
                "{kind:?} has {found_size} bytes at {found_offset} instead of {size} at {offset}"
            ));
        }
        Ok(())
    }
}

pub(super) fn write(header: &Header, layout: &Layout) {
    for (region, (kind, offset, size)) in header.regions.iter().zip(layout.directory()) {
        // Relaxed: SEGMENT_READY publishes them.
        let set = |word: &AtomicU64, value| word.store(value, Ordering::Relaxed);
        set(&region.kind, u64::from(VERSION) << 32 | u64::from(kind as u32));
        set(&region.owner, SHARED);
        set(&region.offset, offset as u64);
        set(&region.size, size as u64);
    }
}

/// Errs unless every region of the layout is there, once, where and as large as the layout says, inside the
/// `segment` bytes that there are. Other kinds are ignored.
pub(super) fn check(header: &Header, layout: &Layout, segment: u64) -> Result<()> {
    let entries = header.regions.each_ref().map(Entry::read);
    for expected in layout.directory() {
        let of_kind = entries.iter().filter(|entry| entry.kind == expected.0 as u32);
        let checked = match of_kind.collect::<Vec<_>>()[..] {
            [entry] => entry.check(expected, segment),
            ref entries => Err(format!("{:?} is there {} times", expected.0, entries.len())),
        };
        checked.map_err(|what| Error::corrupt(format!("in the directory of regions {what}")))?;
    }
    Ok(())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::shm::segment::Segment;
    use std::sync::Arc;

    const RANKS: usize = 3;

    fn made() -> (Arc<Segment>, Layout) {
        (Segment::on_heap(RANKS).unwrap(), Layout::new(RANKS))
    }

    fn checked(segment: &Segment, layout: &Layout) -> Result<()> {
        check(segment.header(), layout, layout.size as u64)
    }

    #[test]
    fn what_the_creator_writes_is_accepted_beside_kinds_that_nobody_knows() {
        let (segment, layout) = made();
        checked(&segment, &layout).unwrap();
        let unknown = &segment.header().regions[layout.directory().len()];
        unknown.kind.store(7 << 32 | 4711, Ordering::SeqCst);
        unknown.offset.store(u64::MAX, Ordering::SeqCst);
        checked(&segment, &layout).unwrap();
    }

    #[test]
    fn every_word_of_every_entry_is_checked() {
        let (segment, layout) = made();
        for (region, (kind, ..)) in segment.header().regions.iter().zip(layout.directory()) {
            for word in [&region.kind, &region.owner, &region.offset, &region.size] {
                for bit in 0..64 {
                    let good = word.load(Ordering::SeqCst);
                    word.store(good ^ 1 << bit, Ordering::SeqCst);
                    let error = checked(&segment, &layout).unwrap_err().to_string();
                    let of_other_kind =
                        error.contains("is there 0 times") || error.contains("is there 2 times");
                    assert!(error.contains(&format!("{kind:?}")) || of_other_kind, "bit {bit}: {error}");
                    word.store(good, Ordering::SeqCst);
                }
            }
        }
        checked(&segment, &layout).unwrap();
    }

    #[test]
    fn a_region_beyond_the_end_is_refused_with_all_three_numbers() {
        let (segment, layout) = made();
        let directory = layout.directory();
        let last = directory.len() - 1;
        let (_, offset, size) = directory[last];
        for (word, wrong) in [
            (&segment.header().regions[last].size, layout.size as u64),
            (&segment.header().regions[last].offset, u64::MAX - 5),
        ] {
            let good = word.swap(wrong, Ordering::SeqCst);
            let error = checked(&segment, &layout).unwrap_err().to_string();
            let unchanged = if good == size as u64 { offset } else { size };
            for number in [wrong, unchanged as u64, layout.size as u64] {
                assert!(error.contains(&number.to_string()), "{number} is missing in: {error}");
            }
            word.store(good, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_region_that_is_missing_or_there_twice_is_refused() {
        let (segment, layout) = made();
        let regions = &segment.header().regions;
        let slots = regions[0].kind.swap(0, Ordering::SeqCst);
        assert!(checked(&segment, &layout).unwrap_err().to_string().contains("Slots is there 0 times"));
        regions[0].kind.store(slots, Ordering::SeqCst);
        regions[15].kind.store(slots, Ordering::SeqCst);
        assert!(checked(&segment, &layout).unwrap_err().to_string().contains("Slots is there 2 times"));
    }
}
