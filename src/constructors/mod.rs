//! Constructors of communicators: most of them are collective.

mod agreement;
mod cartesian;
mod duplicate;
mod graph;
mod immediate;
mod inter;
mod internal;
mod leaders;
mod members;
mod split;
mod subgroup;

pub use immediate::ImmediateDuplicate;
