//! Groups: ordered sets of processes.
