//! The bare machine: what any message-passing library could reach at best between two processes here.
//!
//! [`Machine`] forks a partner process, gives each of the two a CPU of its own, and times hand-written exchanges over
//! memory that they share: no matching, no envelopes, no progress, one flag a transfer. Nothing here uses the library, so
//! these figures are a floor to print beside the library's. Needs only `std` and `libc`, and names its own parts only
//! through `super`, so that another binary can include this folder as a module.
//!
//! In reading order: `machine` (the interface), `pair` (two processes, one command word), `play` (rounds and batches),
//! `exchange` (ping-pong and stream), `payload` (what the programs do with the bytes), `ring`, `bulk`, `kernel`, `futex`
//! (the ways to move a message), `scheme` and `survey` (which way is best), `collective` (both sides do one thing together),
//! `copy`, `memory`, `spin`, `stats`; then `crowd` (more processes than two).

mod bulk;
mod collective;
mod copy;
mod crowd;
mod exchange;
mod futex;
mod kernel;
mod machine;
mod memory;
mod pair;
mod payload;
mod play;
mod ring;
mod scheme;
mod spin;
mod stats;
mod survey;

pub(crate) use crowd::Crowd;
pub(crate) use machine::Machine;
pub(crate) use memory::MAX_BYTES;
pub(crate) use payload::{Buffers, Touch};
pub(crate) use ring::CELL_BYTES;
pub(crate) use scheme::Size;
pub(crate) use stats::Stats;
