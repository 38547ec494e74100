//! What a new communicator stands on: context ids, and a board if one is free. Its leader lays it and tells the
//! other members, who join.

use super::{Contexts, SharedBoard};
use crate::{
    error::{Error, ErrorClass, Result},
    p2p::{Engine, Hold},
    shm::{
        board::{Board, Place},
        contexts::CONTEXTS_EACH,
        layout::BOARDS,
    },
};

/// What the leader of a new communicator tells its members: the first context id, and the board plus one
/// (0: none is free, they use messages).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Foundation(pub(crate) [u64; 2]);

/// A member's part in a foundation. Dropping it gives it up.
pub(crate) struct Base {
    pub(super) contexts: Contexts,
    pub(super) board: Option<SharedBoard>,
    pub(super) hold: Option<Hold>,
}

/// How many members a communicator will have, and which of them this process is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership {
    pub(crate) members: usize,
    pub(crate) me: usize,
}

impl Foundation {
    /// What the leader tells the members if there are no ids: nobody gets a communicator.
    pub(crate) const NONE: Self = Self([0; 2]);

    /// What the leader tells the others, whatever has come of laying it.
    pub(crate) fn of(laid: &Result<(Self, Base)>) -> Self {
        laid.as_ref().map_or(Self::NONE, |laid| laid.0)
    }

    /// Draws the ids, and sets up a board; what the leader tells the others, and its own part.
    pub(crate) fn lay(engine: &Engine, members: usize) -> Result<(Self, Base)> {
        let (first, mut base) = Self::lay_ids(engine, members)?;
        let segment = engine.segment();
        base.board = segment.take_board().map(|index| {
            let (place, start) = (Place { board: index, members, me: 0 }, segment.starts().collective);
            SharedBoard::new(Board::create(segment, place, engine.mode(), start), segment, index)
        });
        let number = base.board.as_ref().map_or(0, |board| board.index() as u64 + 1);
        Ok((Self([first.into(), number]), base))
    }

    /// As [`Self::lay`], without a board.
    pub(crate) fn lay_without_board(engine: &Engine, members: usize) -> Result<(Self, Base)> {
        let (first, base) = Self::lay_ids(engine, members)?;
        Ok((Self([first.into(), 0]), base))
    }

    fn lay_ids(engine: &Engine, members: usize) -> Result<(u32, Base)> {
        engine.check_caller()?;
        let first = engine.draw_contexts(members).ok_or_else(no_contexts)?;
        Ok((first, Base::with_ids(engine, first)))
    }

    /// A member's part in what the leader has laid.
    pub(crate) fn join(self, engine: &Engine, membership: Membership) -> Result<Base> {
        let Self([first, number]) = self;
        if self == Self::NONE {
            return Err(no_contexts());
        }
        // Drawn from 32-bit numbers.
        let first = u32::try_from(first).ok().filter(|first| first.is_multiple_of(CONTEXTS_EACH));
        let first =
            first.ok_or_else(|| Error::corrupt(format!("a communicator with context {}", self.0[0])))?;
        let mut base = Base::with_ids(engine, first);
        base.board = match usize::try_from(number).ok().map(|number| number.checked_sub(1)) {
            Some(None) => None,
            Some(Some(board)) if board < BOARDS => Some(attach_board(engine, board, membership)),
            _ => return Err(Error::corrupt(format!("a communicator with board {number} of {BOARDS}"))),
        };
        Ok(base)
    }
}

impl Base {
    fn with_ids(engine: &Engine, first: u32) -> Self {
        Self { contexts: Contexts::from_first(first), board: None, hold: engine.hold_contexts(first) }
    }
}

fn attach_board(engine: &Engine, board: usize, membership: Membership) -> SharedBoard {
    let (segment, Membership { members, me }) = (engine.segment(), membership);
    let start = segment.starts().collective;
    let attached = Board::attach(segment, Place { board, members, me }, engine.mode(), start);
    SharedBoard::new(attached, segment, board)
}

/// There are no more context ids to draw.
#[cold]
fn no_contexts() -> Error {
    Error::new(ErrorClass::OTHER, "all context ids of the job have been used")
}
