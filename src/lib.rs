//! MPI for one machine: ranks are processes that talk through lock-free shared-memory rings.
#![deny(unsafe_code)]

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("ringmpi runs on Linux, on x86-64 and aarch64: it is built on futexes, memfd and membarrier");

#[allow(unsafe_code)]
mod buffer;
mod coll;
mod communicator;
mod constructors;
mod datatype;
mod envelope;
mod error;
mod group;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod join;
#[doc(hidden)]
pub mod launch;
pub mod op;
mod p2p;
mod run;
#[allow(unsafe_code)]
mod shm;
mod status;
#[allow(unsafe_code)]
mod sync;
#[allow(unsafe_code)]
mod sys;
mod types;
mod world;

pub use buffer::{Owned, Plain};
pub use bytemuck;
pub use communicator::{
    AnyProcess, Communicator, Message, Persistent, Process, Request, Scope, Scoped, Source, wait_all,
    wait_any, wait_some,
};
pub use error::{Error, ErrorClass, Result, Truncated};
#[cfg(feature = "join")]
pub use join::join;
pub use run::{run, threads};
pub use status::{PROC_NULL, Status};
pub use types::{Rank, TAG_MAX, Tag};
pub use world::{Universe, init};
