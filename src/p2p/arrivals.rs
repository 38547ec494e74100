//! [`Arrivals`]: what simulations ask to be noted: the order in which messages come to matching, and the ways
//! that data with gaps takes.

use crate::envelope::Envelope;
#[cfg(any(all(test, not(loom)), feature = "internals"))]
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct Arrivals {
    #[cfg(any(all(test, not(loom)), feature = "internals"))]
    noted: Option<Noted>,
}

#[cfg(any(all(test, not(loom)), feature = "internals"))]
#[derive(Default)]
struct Noted {
    messages: Vec<Envelope>,
    ways_with_gaps: BTreeSet<&'static str>,
}

impl Arrivals {
    /// A message has come out of a ring, or from the rank itself, and is about to be matched.
    #[inline]
    pub(super) fn note(&mut self, envelope: &Envelope) {
        #[cfg(any(all(test, not(loom)), feature = "internals"))]
        if let Some(noted) = &mut self.noted {
            noted.messages.push(*envelope);
        }
        #[cfg(not(any(all(test, not(loom)), feature = "internals")))]
        let _ = envelope;
    }

    /// Data goes some way, perhaps from or to memory with gaps.
    #[inline]
    pub(super) fn note_way(&mut self, way: &'static str, has_gaps: impl FnOnce() -> bool) {
        #[cfg(any(all(test, not(loom)), feature = "internals"))]
        if let Some(noted) = &mut self.noted
            && has_gaps()
        {
            noted.ways_with_gaps.insert(way);
        }
        #[cfg(not(any(all(test, not(loom)), feature = "internals")))]
        let _ = (way, has_gaps);
    }

    /// What has come since the last call. The first only asks that it be noted.
    #[cfg(any(all(test, not(loom)), feature = "internals"))]
    pub(super) fn take(&mut self) -> Vec<Envelope> {
        std::mem::take(&mut self.noted.get_or_insert_default().messages)
    }

    /// The ways that data with gaps has taken since the last call, once [`Self::take`] has been called.
    #[cfg(any(all(test, not(loom)), feature = "internals"))]
    pub(super) fn take_ways_with_gaps(&mut self) -> BTreeSet<&'static str> {
        self.noted.as_mut().map(|noted| std::mem::take(&mut noted.ways_with_gaps)).unwrap_or_default()
    }
}
