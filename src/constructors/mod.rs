//! Constructors of communicators: most of them are collective.

mod duplicate;
mod immediate;
mod inter;
mod internal;
mod split;
mod subgroup;

pub use immediate::ImmediateDuplicate;
