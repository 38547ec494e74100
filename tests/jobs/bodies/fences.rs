//! Who pays for the barrier between publishing and sleeping: all ranks decide alike.

use crate::filter::WITHOUT_MEMBARRIER;
use ringmpi::{Communicator, Result};

pub(crate) fn all_ranks_pay_for_fences_or_none(world: &Communicator<'_>) -> Result<()> {
    let mine = world.has_fences();
    assert_eq!(world.all_gather(&[mine])?, vec![mine; world.size() as usize]);
    let one_cannot_register = std::env::var_os(WITHOUT_MEMBARRIER).is_some();
    assert!(mine || !one_cannot_register, "a rank cannot register");
    Ok(())
}
