//! Every system call: memory, futexes, membarrier, processes, CPUs. Nothing here knows MPI.
