//! Every rank says who it is.
//!
//! `cargo run --example hello`, or `mpiexec -n 4 target/debug/examples/hello`

fn main() -> ringmpi::Result<()> {
    ringmpi::run(4, |world| hello(&world))
}

fn hello(world: &ringmpi::Communicator<'_>) -> ringmpi::Result<()> {
    let (rank, size) = (world.rank(), world.size());
    println!("rank {rank} of {size} is process {}", std::process::id());
    let ranks = world.all_reduce_value(1, ringmpi::op::Sum)?;
    if ranks != size {
        eprintln!("rank {rank} counts {ranks} ranks instead of {size}");
        world.abort(1);
    }
    Ok(())
}
