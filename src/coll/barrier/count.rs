//! Cost: a line that all change one after the other, and then one from the last of them; on the board. Every rank but the
//! last sleeps once at most.

use crate::{coll::on_board::Operation, error::Result};

pub(in crate::coll) fn run(mut operation: Operation<'_, '_, '_>) -> Result<()> {
    if operation.arrive() { Ok(()) } else { operation.wait_for_release() }
}
