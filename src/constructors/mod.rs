//! Collective constructors of communicators.

mod duplicate;
mod split;

use crate::{
    communicator::{CONTEXTS_EACH, Collective, Communicator, Contexts, SharedBoard},
    error::Result,
    group::Group,
    shm::{
        board::{Board, Place},
        segment::no_contexts,
    },
    types::Rank,
};
use std::sync::{Arc, Mutex};

/// What the leader of a new communicator tells its members: the first context id, and the board plus
/// one (0: none is free, they use messages).
type Foundation = [u64; 2];

/// What the leader tells them if there are no ids: nobody gets a communicator.
const NOT_FOUNDED: Foundation = [0; 2];

impl<'u> Communicator<'u> {
    /// The leader of the new group draws its context ids, and sets up its board.
    fn found(&self, members: usize) -> Result<(Foundation, Option<SharedBoard>)> {
        self.check_caller()?;
        let segment = self.engine().segment();
        let (first, start) = (segment.draw_contexts(CONTEXTS_EACH)?, segment.starts().collective);
        let board = segment.take_board().map(|index| {
            let place = Place { board: index, members, me: 0 };
            SharedBoard::new(Board::create(segment, place, self.engine().mode(), start), segment, index)
        });
        let index = board.as_ref().map_or(0, |board| board.index() as u64 + 1);
        Ok(([first.into(), index], board))
    }

    /// A member's part in what the leader has set up.
    fn attach(&self, foundation: Foundation, members: usize, me: usize) -> Result<Option<SharedBoard>> {
        match foundation {
            NOT_FOUNDED => Err(no_contexts()),
            _ => Ok(self.attach_board(foundation, members, me)),
        }
    }

    fn attach_board(&self, foundation: Foundation, members: usize, me: usize) -> Option<SharedBoard> {
        let segment = self.engine().segment();
        let index = usize::try_from(foundation[1].checked_sub(1)?).ok()?;
        let place = Place { board: index, members, me };
        let board = Board::attach(segment, place, self.engine().mode(), segment.starts().collective);
        Some(SharedBoard::new(board, segment, index))
    }

    fn constructed(
        &self,
        foundation: Foundation,
        group: Group,
        rank: Rank,
        board: Option<SharedBoard>,
    ) -> Self {
        let collective =
            Arc::new(Mutex::new(Collective::new(board, self.engine().segment().starts().collective)));
        // Drawn from a 32-bit counter.
        let contexts = Contexts::from_first(foundation[0] as u32);
        Self::new(self.engine(), contexts, group, rank, collective, self.alone())
    }
}
