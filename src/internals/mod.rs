//! What the benches and the fuzz targets reach of the inside. No stability promise.

pub mod matching;
