//! Groups: ordered sets of processes.

use crate::types::{PeerId, Rank};
use std::sync::Arc;

/// The processes of a communicator, by rank.
#[derive(Clone, Debug)]
pub(crate) struct Group(Arc<[PeerId]>);

impl Group {
    pub(crate) fn new(members: impl IntoIterator<Item = PeerId>) -> Self {
        Self(members.into_iter().collect())
    }

    /// How many processes there are.
    #[inline]
    pub(crate) fn size(&self) -> Rank {
        // At most RANKS_MAX.
        self.0.len() as Rank
    }

    /// The process with a rank.
    #[inline]
    pub(crate) fn peer(&self, rank: Rank) -> Option<PeerId> {
        self.0.get(usize::try_from(rank).ok()?).copied()
    }

    /// All members, in the order of their ranks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.0.iter().copied()
    }
}
