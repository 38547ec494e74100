//! Init and finalize.
