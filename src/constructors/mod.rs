//! Collective constructors of communicators.

mod duplicate;
mod split;

use crate::{
    communicator::{CONTEXTS_EACH, Collectives, Communicator, Contexts, SharedBoard, Side},
    error::{Error, Result},
    group::Members,
    shm::{
        board::{Board, Place},
        layout::BOARDS,
        segment::no_contexts,
    },
    types::Rank,
};
use std::sync::Arc;

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
            [_, 0] => Ok(None),
            [_, number] => match usize::try_from(number - 1) {
                Ok(board) if board < BOARDS => Ok(Some(self.attach_board(board, members, me))),
                _ => Err(Error::corrupt(format!("a communicator with board {} of {BOARDS}", number - 1))),
            },
        }
    }

    fn attach_board(&self, board: usize, members: usize, me: usize) -> SharedBoard {
        let segment = self.engine().segment();
        let place = Place { board, members, me };
        let attached = Board::attach(segment, place, self.engine().mode(), segment.starts().collective);
        SharedBoard::new(attached, segment, board)
    }

    fn constructed(
        &self,
        foundation: Foundation,
        group: Members,
        rank: Rank,
        board: Option<SharedBoard>,
    ) -> Self {
        let collectives = Arc::new(Collectives::new(board, self.engine().segment().starts().collective));
        // Drawn from a 32-bit counter.
        let side = Side { group, contexts: Contexts::from_first(foundation[0] as u32) };
        Self::new(self.engine(), side, rank, collectives, self.alone())
    }
}
