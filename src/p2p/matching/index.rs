//! A hash table from a pattern to the entries filed under it, oldest first.

use super::chain::{Chain, Links};
use crate::{
    envelope::Pattern,
    types::{ContextId, Rank},
};

/// One pattern and its entries. A bucket holds one pattern, so entries under one never lengthen the way
/// to those under another, however many there are.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The pattern's hash, kept for moving the bucket.
    hash: u32,
    pattern: Pattern,
    /// Empty in a free bucket only.
    entries: Chain,
}

const _: () = assert!(size_of::<Bucket>() == 32, "two to a cache line");

const FREE: Bucket = Bucket {
    hash: 0,
    pattern: Pattern { context: ContextId(0), source: None, tag: None },
    entries: Chain::EMPTY,
};

/// Open addressing, linear probing, at most half full. Removal shifts buckets back rather than leaving
/// tombstones, so that the table never needs to be rebuilt while its size suffices.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of them, or none.
    buckets: Vec<Bucket>,
    /// How many are not free.
    patterns: usize,
    links: Links,
}

impl Index {
    /// Files `place`, an entry younger than all under `pattern`.
    pub(super) fn append(&mut self, pattern: Pattern, place: u32) {
        if self.patterns * 2 >= self.buckets.len() {
            self.grow();
        }
        let hash = hash(&pattern);
        let bucket = self.find(hash, &pattern);
        let bucket = &mut self.buckets[bucket];
        if bucket.entries.is_empty() {
            *bucket = Bucket { hash, pattern, entries: Chain::EMPTY };
            self.patterns += 1;
        }
        self.links.append(&mut bucket.entries, place);
    }

    /// The place of the oldest entry under `pattern`.
    pub(super) fn first(&self, pattern: Pattern) -> Option<u32> {
        if self.patterns == 0 {
            return None;
        }
        self.buckets[self.find(hash(&pattern), &pattern)].entries.first()
    }

    /// Removes `place`, which is filed under `pattern`.
    pub(super) fn unlink(&mut self, pattern: Pattern, place: u32) {
        let position = self.find(hash(&pattern), &pattern);
        let entries = &mut self.buckets[position].entries;
        self.links.unlink(entries, place);
        if entries.is_empty() {
            self.free(position);
        }
    }

    /// The position of the pattern's bucket, or of the free one in which it would start.
    fn find(&self, hash: u32, pattern: &Pattern) -> usize {
        let mut position = self.home(hash);
        loop {
            let bucket = &self.buckets[position];
            if bucket.entries.is_empty() || bucket.pattern == *pattern {
                return position;
            }
            position = self.after(position);
        }
    }

    /// Frees the bucket at `hole`, then moves back every bucket that a search would miss for the hole.
    fn free(&mut self, mut hole: usize) {
        let mut position = hole;
        loop {
            position = self.after(position);
            let bucket = self.buckets[position];
            if bucket.entries.is_empty() {
                break;
            }
            if self.steps(self.home(bucket.hash), position) >= self.steps(hole, position) {
                self.buckets[hole] = bucket;
                hole = position;
            }
        }
        self.buckets[hole] = FREE;
        self.patterns -= 1;
    }

    #[cold]
    fn grow(&mut self) {
        let size = (self.buckets.len() * 2).max(4 * super::SCAN_MAX);
        let old = std::mem::replace(&mut self.buckets, vec![FREE; size]);
        for bucket in old.into_iter().filter(|bucket| !bucket.entries.is_empty()) {
            let position = self.find(bucket.hash, &bucket.pattern);
            self.buckets[position] = bucket;
        }
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    fn after(&self, position: usize) -> usize {
        (position + 1) & (self.buckets.len() - 1)
    }

    /// How far a search goes from one position to the other.
    fn steps(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.buckets.len() - 1)
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn capacity(&self) -> usize {
        self.buckets.len() + self.links.capacity()
    }
}

/// Programs number tags and ranks in regular steps (64 · i, i << 16, …). The two halves of a product,
/// folded into one, bring every bit of the key to bear on about every bit of the hash.
fn hash(pattern: &Pattern) -> u32 {
    let wild = u64::from(pattern.source.is_none()) << 1 | u64::from(pattern.tag.is_none());
    let bits = |value: Option<Rank>| u64::from(value.unwrap_or(0).cast_unsigned());
    let left = u64::from(pattern.context.0) << 32 | bits(pattern.source);
    let right = wild << 32 | bits(pattern.tag);
    fold(fold(left ^ 0x9e37_79b9_7f4a_7c15, right ^ 0xd1b5_4a32_d192_ed03), 0xf135_7aea_2e62_a9c5) as u32
}

fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn exact(context: u32, source: i32, tag: i32) -> Pattern {
        Pattern { context: ContextId(context), source: Some(source), tag: Some(tag) }
    }

    /// The mean number of buckets that a search for a pattern in the table looks at.
    fn mean_search(patterns: impl Iterator<Item = Pattern>) -> f64 {
        let (mut index, mut count) = (Index::default(), 0);
        for (place, pattern) in (0..).zip(patterns) {
            index.append(pattern, place);
            count += 1;
        }
        let occupied = (0..index.buckets.len()).filter(|&at| !index.buckets[at].entries.is_empty());
        let steps: usize = occupied.map(|at| 1 + index.steps(index.home(index.buckets[at].hash), at)).sum();
        steps as f64 / f64::from(count)
    }

    #[test]
    fn regularly_spaced_keys_are_found_in_few_steps() {
        // 1.5 is what linear probing expects of random keys at half load; runs vary a little.
        const BOUND: f64 = 2.0;
        for shift in 0..18 {
            for step in [1, 3, 7, 10, 1000].map(|step: i32| step << shift) {
                let tags = (0..8192).map(|i: i32| exact(8, 3, i.wrapping_mul(step) & i32::MAX));
                assert!(mean_search(tags) < BOUND, "tags {step} apart");
            }
            let contexts = (0..8192).map(|i: u32| exact(i << shift, 3, 5));
            assert!(mean_search(contexts) < BOUND, "contexts {} apart", 1 << shift);
        }
        for tag_step in [1, 64, 1 << 16] {
            let grid = (0..8192).map(|i| exact(8, i & 63, (i >> 6) * tag_step));
            assert!(mean_search(grid) < BOUND, "64 sources times 128 tags {tag_step} apart");
        }
        let sources = (0..4096).map(|i| Pattern { tag: None, ..exact(8, i, 0) });
        assert!(mean_search(sources) < BOUND, "sources");
    }

    #[test]
    fn patterns_stay_findable_while_others_come_and_go() {
        let mut index = Index::default();
        for place in 0..1000u32 {
            index.append(exact(0, 0, place.cast_signed()), place);
            if place >= 100 {
                let gone = place - 100;
                index.unlink(exact(0, 0, gone.cast_signed()), gone);
            }
            for kept in place.saturating_sub(99)..=place {
                assert_eq!(index.first(exact(0, 0, kept.cast_signed())), Some(kept));
            }
        }
        assert_eq!(index.patterns, 100);
        assert_eq!(index.first(exact(0, 0, 899)), None);
    }

    #[test]
    fn entries_under_one_pattern_come_oldest_first() {
        let mut index = Index::default();
        for place in [5, 2, 9] {
            index.append(exact(0, 0, 7), place);
        }
        index.unlink(exact(0, 0, 7), 2);
        assert_eq!(index.first(exact(0, 0, 7)), Some(5));
        index.unlink(exact(0, 0, 7), 5);
        assert_eq!(index.first(exact(0, 0, 7)), Some(9));
        index.unlink(exact(0, 0, 7), 9);
        assert_eq!((index.first(exact(0, 0, 7)), index.patterns), (None, 0));
    }
}
