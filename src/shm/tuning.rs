//! What copies have cost on this machine while the job ran: a table that its ranks share.
//!
//! One word for each (method, size class): nanoseconds per MiB, averaged; 0: not measured yet. Any
//! rank writes any word: two that write at the same time lose a sample, and nothing else.

use super::{far::Far, segment::Segment, shape::Shape};
use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;

/// How the data of a message gets from one rank to the other after a rendezvous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Both sides copy, through blocks of the sender's pool that fit into the nearer caches.
    SmallPieces,
    /// Both sides copy, through larger blocks and more of them.
    LargePieces,
    /// The receiver reads the sender's private memory through the kernel.
    Cma,
    /// The receiver reads the sender's arena.
    Direct,
}

impl Method {
    pub(crate) const ALL: [Self; 4] = [Self::SmallPieces, Self::LargePieces, Self::Cma, Self::Direct];
}

/// Size classes: powers of two from 4 KiB on.
pub(crate) const CLASSES: usize = 16;
const FIRST_CLASS: u32 = 12;

/// How the table is numbered.
pub(super) const SHAPE: Shape =
    Shape::START.with_all(&[Method::ALL.len() as u64, CLASSES as u64, FIRST_CLASS as u64]);

/// The size class of a message.
pub(crate) fn class(bytes: u64) -> usize {
    (bytes.max(1).ilog2().saturating_sub(FIRST_CLASS) as usize).min(CLASSES - 1)
}

/// A sample counts for a quarter, and one that is less than the average for a half: delays that have
/// nothing to do with the method only ever add to it.
const WEIGHT: u64 = 4;
const WEIGHT_LESS: u64 = 2;
/// For the same reason it counts for no more than this many times the average.
const OUTLIER: u64 = 4;

/// The table.
#[derive(Clone)]
pub(crate) struct Tuning(Far<[AtomicU64]>);

impl Tuning {
    pub(crate) fn new(segment: &Arc<Segment>) -> Self {
        Self(segment.tuning())
    }

    fn word(&self, method: Method, class: usize) -> &AtomicU64 {
        &self.0[method as usize * CLASSES + class]
    }

    /// Nanoseconds per MiB, if measured.
    pub(crate) fn cost(&self, method: Method, class: usize) -> Option<u64> {
        // Relaxed: a statistic.
        Some(self.word(method, class).load(Ordering::Relaxed)).filter(|&cost| cost > 0)
    }

    /// A message of `bytes` bytes took `nanos` of copying.
    pub(crate) fn note(&self, method: Method, bytes: u64, nanos: u64) {
        let word = self.word(method, class(bytes));
        let sample = u64::try_from((u128::from(nanos) << 20) / u128::from(bytes.max(1))).unwrap_or(u64::MAX);
        // Relaxed: a statistic.
        let cost = match word.load(Ordering::Relaxed) {
            0 => sample,
            old if sample < old => old - old / WEIGHT_LESS + sample / WEIGHT_LESS,
            old => old - old / WEIGHT + sample.min(old.saturating_mul(OUTLIER)) / WEIGHT,
        };
        // Relaxed: a statistic.
        word.store(cost.max(1), Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn tuning() -> Tuning {
        Tuning::new(&Segment::on_heap(1).expect("memory for one rank"))
    }

    #[test]
    fn every_method_and_class_has_a_word_of_its_own_in_the_table() {
        let tuning = tuning();
        for (nanos, method) in (1..).zip(Method::ALL) {
            for class in 0..CLASSES {
                assert_eq!(tuning.cost(method, class), None);
                tuning.note(method, 4096 << class, nanos * (4096 << class));
                assert_eq!(tuning.cost(method, class), Some(nanos << 20));
            }
        }
    }

    #[test]
    fn sizes_below_and_above_all_classes_belong_to_the_first_and_last() {
        assert_eq!([0, 1, 4096, 8191, 8192].map(class), [0, 0, 0, 0, 1]);
        assert_eq!(class(u64::MAX), CLASSES - 1);
    }

    #[test]
    fn one_outlier_does_not_spoil_the_average_and_steady_samples_win() {
        let tuning = tuning();
        let cost = || tuning.cost(Method::Cma, class(1 << 20)).unwrap();
        tuning.note(Method::Cma, 1 << 20, 1000);
        tuning.note(Method::Cma, 1 << 20, 1_000_000_000);
        assert_eq!(cost(), 1750);
        (0..40).for_each(|_| tuning.note(Method::Cma, 1 << 20, 400));
        assert!((390..=410).contains(&cost()), "{}", cost());
    }
}
