//! Credit: how much a sender may send that nobody has asked for yet.
//!
//! Rings are always drained, so a full ring is no flow control. Eager payload is sent on credit per
//! pair; without it a send publishes only its envelope and keeps the data. Envelopes have credit of
//! their own. The receiver gives credit back when a message is matched. Counters are cumulative.
//!
//! The limits belong to the sender, who doubles them when a cycle of blocked ranks goes through a
//! wait for credit: a program that unlimited buffering would finish does finish.

use crate::{
    shm::ring::ReceiverLine,
    sync::{AtomicU64, Ordering},
};

/// How much a pair may have unmatched before a cycle of blocked ranks asks for more. Each is at least 1: the
/// double of nothing is nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CreditLimits {
    /// Bytes of eager payload, a message's overhead included.
    pub(crate) eager: u64,
    /// Envelopes whose data stays with the sender.
    pub(crate) envelopes: u64,
}

impl Default for CreditLimits {
    fn default() -> Self {
        Self { eager: 512 << 10, envelopes: 1024 }
    }
}

/// What an eager message costs besides its bytes: the receiver keeps its envelope.
const EAGER_OVERHEAD: u64 = 64;

/// What an eager message of `bytes` costs.
#[inline]
pub(super) fn eager_cost(bytes: u64) -> u64 {
    bytes + EAGER_OVERHEAD
}

/// One kind of credit, as its sender counts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spending {
    spent: u64,
    returned: u64,
    limit: u64,
}

impl Spending {
    fn new(limit: u64, start: u64) -> Self {
        Self { spent: start, returned: start, limit }
    }

    /// Takes `cost` if it is there.
    #[inline]
    fn take(&mut self, cost: u64, returned: &AtomicU64) -> bool {
        if self.outstanding() + cost > self.limit && !self.refresh(cost, returned) {
            return false;
        }
        self.spent += cost;
        true
    }

    #[inline]
    fn outstanding(&self) -> u64 {
        self.spent - self.returned
    }

    #[cold]
    fn refresh(&mut self, cost: u64, returned: &AtomicU64) -> bool {
        // Relaxed: CREDIT; a count, which orders nothing else.
        let returned = returned.load(Ordering::Relaxed);
        // A count beyond what was spent is a scribbling peer's, and no credit.
        if returned <= self.spent {
            self.returned = self.returned.max(returned);
        }
        self.outstanding() + cost <= self.limit || self.outstanding() == 0
    }

    fn double(&mut self) {
        self.limit = self.limit.saturating_mul(2);
    }
}

/// Both kinds of credit of a pair, in both directions.
#[derive(Debug)]
pub(super) struct Credits {
    eager: Spending,
    envelopes: Spending,
    /// Given back to the peer, but not yet published.
    eager_back: u64,
    envelopes_back: u64,
    eager_published: u64,
    envelopes_published: u64,
    /// All ranks of a job start with the same limits.
    limits: CreditLimits,
}

impl Credits {
    /// Counting from `start` on. Both limits have to be at least 1.
    pub(super) fn new(limits: CreditLimits, start: u64) -> Self {
        assert!(limits.eager > 0 && limits.envelopes > 0, "credit of 0 cannot double: {limits:?}");
        Self {
            limits,
            eager: Spending::new(limits.eager, start),
            envelopes: Spending::new(limits.envelopes, start),
            eager_back: start,
            envelopes_back: start,
            eager_published: start,
            envelopes_published: start,
        }
    }

    /// Takes the credit for an eager message of `bytes`, if there is enough.
    #[inline]
    pub(super) fn take_eager(&mut self, bytes: u64, line: &ReceiverLine) -> bool {
        self.eager.take(eager_cost(bytes), &line.eager_returned)
    }

    /// Takes the credit for an envelope whose data stays here, if there is any.
    pub(super) fn take_envelope(&mut self, line: &ReceiverLine) -> bool {
        self.envelopes.take(1, &line.envelopes_returned)
    }

    /// The peer may send more, because a cycle of blocked ranks goes through its lack of credit.
    pub(super) fn double(&mut self) {
        self.eager.double();
        self.envelopes.double();
    }

    /// An eager message of `bytes` has been matched. True when so much is unpublished that the
    /// sender should learn of it.
    #[inline]
    pub(super) fn give_back_eager(&mut self, bytes: u64) -> bool {
        self.eager_back += eager_cost(bytes);
        self.eager_back - self.eager_published >= self.limits.eager / 4
    }

    /// An envelope has been matched; true as above.
    pub(super) fn give_back_envelope(&mut self) -> bool {
        self.envelopes_back += 1;
        self.envelopes_back - self.envelopes_published >= self.limits.envelopes / 4
    }

    /// Tells the sender. False if it knew all.
    pub(super) fn publish(&mut self, line: &ReceiverLine) -> bool {
        let is_news =
            self.eager_back != self.eager_published || self.envelopes_back != self.envelopes_published;
        if is_news {
            (self.eager_published, self.envelopes_published) = (self.eager_back, self.envelopes_back);
            // Relaxed: CREDIT; counts, which order nothing else.
            line.eager_returned.store(self.eager_back, Ordering::Relaxed);
            line.envelopes_returned.store(self.envelopes_back, Ordering::Relaxed);
        }
        is_news
    }

    /// Bytes and envelopes that messages to the peer have cost.
    #[cfg(any(test, feature = "internals"))]
    pub(super) fn spent(&self) -> (u64, u64) {
        (self.eager.spent, self.envelopes.spent)
    }

    /// Bytes and envelopes that the peer has got back, published or not.
    #[cfg(any(test, feature = "internals"))]
    pub(super) fn given_back(&self) -> (u64, u64) {
        (self.eager_back, self.envelopes_back)
    }

    /// Whether a cycle of blocked ranks has raised the limits.
    #[cfg(any(test, feature = "internals"))]
    pub(super) fn is_raised(&self) -> bool {
        self.envelopes.limit > self.limits.envelopes
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn credits() -> Credits {
        Credits::new(CreditLimits::default(), 0)
    }

    #[test]
    fn credit_runs_out_and_comes_back_when_published() {
        let (mut sender, mut receiver, line) = (credits(), credits(), ReceiverLine::default());
        let mut sent = 0;
        while sender.take_eager(1000, &line) {
            sent += 1;
        }
        assert_eq!(sent, CreditLimits::default().eager / eager_cost(1000));
        let _ = receiver.give_back_eager(1000);
        assert!(!sender.take_eager(1000, &line));
        assert!(receiver.publish(&line));
        assert!(!receiver.publish(&line));
        assert!(sender.take_eager(1000, &line));
        assert!(!sender.take_eager(1000, &line));
    }

    #[test]
    fn doubling_lets_as_much_again_through() {
        let (mut credits, line) = (credits(), ReceiverLine::default());
        let count = |credits: &mut Credits| {
            std::iter::repeat(()).take_while(|()| credits.take_envelope(&line)).count()
        };
        assert_eq!(count(&mut credits) as u64, CreditLimits::default().envelopes);
        credits.double();
        assert_eq!(count(&mut credits) as u64, CreditLimits::default().envelopes);
    }

    #[test]
    fn the_least_credit_doubles_and_less_is_refused() {
        let (mut credits, line) =
            (Credits::new(CreditLimits { eager: 1, envelopes: 1 }, 0), ReceiverLine::default());
        assert!(credits.take_envelope(&line) && !credits.take_envelope(&line));
        credits.double();
        assert!(credits.take_envelope(&line) && !credits.take_envelope(&line));
        for limits in [CreditLimits { eager: 0, envelopes: 1 }, CreditLimits { eager: 1, envelopes: 0 }] {
            let refused = std::panic::catch_unwind(|| Credits::new(limits, 0));
            assert!(refused.is_err(), "{limits:?}");
        }
    }

    #[test]
    fn a_count_beyond_what_was_spent_is_no_credit() {
        let (mut credits, line) = (credits(), ReceiverLine::default());
        while credits.take_envelope(&line) {}
        line.envelopes_returned.store(u64::MAX, Ordering::SeqCst);
        assert!(!credits.take_envelope(&line));
    }
}
