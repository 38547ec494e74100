//! Type maps: where the bytes of non-contiguous data lie.
//!
//! A [`TypeMap`] says at which displacements from a buffer's address the bytes of one element lie,
//! in the order in which they are packed; a [`Cursor`] walks `count` elements of it, run by run, from
//! any byte on. Nothing here touches memory: `crate::buffer` copies what a cursor names.
//!
//! In reading order: [`bounds`] (lb, ub, extent), [`node`] (the normal form), [`assemble`] (lists of
//! blocks into nodes), [`typemap`] (the constructors), [`cursor`].

mod assemble;
mod bounds;
mod cursor;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod node;
#[cfg(any(test, fuzzing))]
mod oracle;
#[cfg(all(test, not(loom)))]
mod tests;
mod typemap;

pub(crate) use cursor::Cursor;
pub(crate) use node::Strided;
#[cfg_attr(not(any(test, feature = "internals")), allow(unused_imports))]
pub(crate) use typemap::TypeMap;
