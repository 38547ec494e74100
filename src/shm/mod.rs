//! Memory that ranks share: its layout, the rings, blocks, doorbells and boards in it.

pub(crate) mod arena;
pub(crate) mod board;
pub(crate) mod contexts;
mod directory;
pub(crate) mod doorbell;
pub(crate) mod far;
pub(crate) mod layout;
pub(crate) mod lock_bytes;
#[cfg(feature = "join")]
mod named;
pub(crate) mod pool;
pub(crate) mod ring;
pub(crate) mod segment;
mod shape;
pub(crate) mod slot;
pub(crate) mod stage;
pub(crate) mod starts;
pub(crate) mod tuning;
