//! Collective constructors of communicators.

mod duplicate;
mod split;

use crate::{
    communicator::{CONTEXTS_EACH, Communicator, Contexts},
    error::Result,
    group::Group,
    types::Rank,
};

impl<'u> Communicator<'u> {
    /// Draws the context ids of a new communicator: the leader of its group does.
    fn draw_contexts(&self) -> Result<u32> {
        self.engine().segment().draw_contexts(CONTEXTS_EACH)
    }

    fn constructed(&self, first: u32, group: Group, rank: Rank) -> Self {
        Self::new(self.engine(), Contexts::from_first(first), group, rank, std::sync::Arc::default())
    }
}
