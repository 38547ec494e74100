//! What the benches, the fuzz targets and the simulator reach of the inside. No stability promise.

pub mod datatype;
pub mod late;
pub mod litmus;
pub mod matching;
pub mod packet;
pub mod plan;
pub mod ring;
pub mod sim;
pub mod wake;
