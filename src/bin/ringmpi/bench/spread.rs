//! Median and quartiles of a measurement's batches.

/// In whatever unit the batches were in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Spread {
    /// # Panics
    /// Without samples.
    pub(super) fn of(mut samples: Vec<f64>) -> Self {
        assert!(!samples.is_empty(), "a measurement has at least one sample");
        samples.sort_by(f64::total_cmp);
        let at = |quarter: usize| samples[(samples.len() - 1) * quarter / 4];
        Self { low: at(1), median: at(2), high: at(3) }
    }

    /// In another unit: `convert` may turn more into less, as from time to speed.
    pub(super) fn map(self, convert: impl Fn(f64) -> f64) -> Self {
        let [a, b] = [self.low, self.high].map(&convert);
        Self { low: a.min(b), median: convert(self.median), high: a.max(b) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_samples_in_order_whatever_the_order_of_the_samples() {
        let spread = Spread::of(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(spread, Spread { low: 2.0, median: 3.0, high: 4.0 });
    }

    #[test]
    fn a_conversion_that_turns_the_order_round_keeps_low_below_high() {
        let spread = Spread { low: 1.0, median: 2.0, high: 4.0 }.map(|time| 1.0 / time);
        assert_eq!(spread, Spread { low: 0.25, median: 0.5, high: 1.0 });
    }
}
