//! Pi, as the integral of 4 / (1 + x²) from 0 to 1: each rank adds up a part of the strips, and a reduction adds up
//! the parts.
//!
//! `cargo run --release --example pi [STRIPS]`, or `mpiexec -n 4 target/release/examples/pi`

use ringmpi::{Communicator, Result, op::Sum};
use std::f64::consts::PI;

fn main() -> Result<()> {
    let strips = std::env::args().nth(1).map_or(10_000_000, |text| {
        text.parse().ok().filter(|strips| *strips > 0).unwrap_or_else(|| {
            eprintln!("'{text}' is no positive number; usage: pi [STRIPS]");
            std::process::exit(2)
        })
    });
    ringmpi::run(4, |world| integrate(&world, strips))
}

fn integrate(world: &Communicator<'_>, strips: u64) -> Result<()> {
    // Only the first rank knows how many strips there are: any rank's arguments would do, but this is how one tells
    // the others.
    let strips = world.broadcast_value(strips, 0)?;
    let width = 1.0 / strips as f64;
    let mine = (world.rank() as u64..strips).step_by(world.size() as usize).map(|strip| {
        let x = (strip as f64 + 0.5) * width;
        4.0 / (1.0 + x * x)
    });
    let Some(sum) = world.reduce_value(mine.sum::<f64>(), Sum, 0)? else { return Ok(()) };

    let (pi, error) = (sum * width, (sum * width - PI).abs());
    // The midpoint rule is off by width² / 12; rounding adds a little for each strip.
    let margin = width * width / 12.0 * 1.01 + strips as f64 * f64::EPSILON;
    let verdict = if error <= margin { "ok" } else { "wrong" };
    println!("ranks: {}, strips: {strips}, pi: {pi:.15}, error: {error:.1e}: {verdict}", world.size());
    if error <= margin { Ok(()) } else { world.abort(1) }
}
