//! What a measurement says: the median of its batches and how far they spread.

/// The most batches that a measurement takes.
pub(super) const MAX_BATCHES: usize = 15;

/// What one figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    /// Half of a round trip: one message, one way.
    HalfRoundTrip,
    /// One message of a stream.
    Message,
    /// One call.
    Call,
}

impl Per {
    /// The unit's name, for people and JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Per::HalfRoundTrip => "half round trip",
            Per::Message => "message",
            Per::Call => "call",
        }
    }
}

/// Nanoseconds per [`Per`]: median and quartiles over the batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stats {
    /// The lower quartile, in ns.
    pub(crate) low: f64,
    /// The median, in ns.
    pub(crate) median: f64,
    /// The upper quartile, in ns.
    pub(crate) high: f64,
    /// What the nanoseconds are of.
    pub(crate) per: Per,
    /// The payload of one message, in bytes.
    pub(crate) bytes: usize,
}

impl Stats {
    /// Sorts `samples` (ns each) and takes their median and quartiles.
    pub(super) fn of(samples: &mut [f64], per: Per, bytes: usize) -> Stats {
        assert!(!samples.is_empty(), "a measurement has at least one batch");
        samples.sort_by(f64::total_cmp);
        let at = |quarter: usize| samples[(samples.len() - 1) * quarter / 4];
        Stats { low: at(1), median: at(2), high: at(3), per, bytes }
    }

    /// Bytes per nanosecond, which is 10⁹ bytes a second.
    pub(crate) fn gigabytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.median
    }
}
