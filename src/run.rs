//! Jobs without a launcher: forked ranks, ranks as threads, joined processes.
