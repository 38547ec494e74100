//! Criterion benches and the bare machine; see docs/PERFORMANCE.md.
