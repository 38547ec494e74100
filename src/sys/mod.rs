//! Every system call: memory, futexes, membarrier, processes, CPUs. Nothing here knows MPI.

pub(crate) mod fork;
pub(crate) mod io;
pub(crate) mod process;
pub(crate) mod signals;
