//! What the benches, the fuzz targets and the tests reach of the inside. No stability promise.

pub mod datatype;
pub mod late;
pub mod litmus;
pub mod matching;
pub mod op;
pub mod packet;
pub mod plan;
pub mod ring;
#[cfg(all(test, not(loom)))]
mod seeds;
pub mod sim;
pub mod wake;
