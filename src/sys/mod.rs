//! The system calls: memory, futexes, membarrier, processes, CPUs. Nothing here knows MPI. (Those of named
//! segments are in `shm::named`.)

pub(crate) mod biased_lock;
pub(crate) mod cma;
pub(crate) mod cpus;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod io;
pub(crate) mod membarrier;
pub(crate) mod memory;
pub(crate) mod presence;
pub(crate) mod process;
pub(crate) mod process_stat;
pub(crate) mod record_lock;
pub(crate) mod signals;
pub(crate) mod thread;
