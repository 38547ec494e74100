//! Cost: one line from every other rank, all at the same time; on the board.

use crate::{
    coll::on_board::{Operation, Waiting},
    error::Result,
};

pub(in crate::coll) fn run(mut operation: Operation<'_, '_, '_>) -> Result<()> {
    operation.enter(Waiting::All);
    operation.wait_for_all()
}
