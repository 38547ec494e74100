//! [`Arrivals`]: the order in which messages come to matching, for simulations that ask for it.

use crate::envelope::Envelope;

#[derive(Default)]
pub(super) struct Arrivals {
    #[cfg(any(all(test, not(loom)), feature = "internals"))]
    noted: Option<Vec<Envelope>>,
}

impl Arrivals {
    /// A message has come out of a ring, or from the rank itself, and is about to be matched.
    #[inline]
    pub(super) fn note(&mut self, envelope: &Envelope) {
        #[cfg(any(all(test, not(loom)), feature = "internals"))]
        if let Some(noted) = &mut self.noted {
            noted.push(*envelope);
        }
        #[cfg(not(any(all(test, not(loom)), feature = "internals")))]
        let _ = envelope;
    }

    /// What has come since the last call. The first only asks that it be noted.
    #[cfg(any(all(test, not(loom)), feature = "internals"))]
    pub(super) fn take(&mut self) -> Vec<Envelope> {
        std::mem::take(self.noted.get_or_insert_default())
    }
}
