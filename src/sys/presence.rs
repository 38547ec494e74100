//! Whether this process is a rank, told without global state: the kernel lists what a process has mapped.

use super::{fork::HiddenMap, memory};
use std::{io, os::fd::AsFd};

/// While it lives, [`is_any`] is true in this process; in its forked children, which are no ranks, it is false.
#[derive(Debug)]
pub(crate) struct Presence(#[expect(dead_code, reason = "only mapped, never touched")] HiddenMap);

/// As it is among the mappings.
const NAME: &str = "ringmpi-rank";

impl Presence {
    pub(crate) fn new() -> io::Result<Self> {
        let file = memory::create_growing_memfd(NAME)?;
        memory::map_ahead(file.as_fd(), 1).and_then(HiddenMap::new).map(Self)
    }
}

/// Whether this process has a [`Presence`].
pub(crate) fn is_any() -> io::Result<bool> {
    memory::is_mapped(NAME)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_presence_is_found_by_its_name() {
        let _presence = Presence::new().unwrap();
        assert!(is_any().unwrap());
    }
}
