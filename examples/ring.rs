//! A token goes round: every rank adds its number, rank 0 checks the sum.
//!
//! `cargo run --example ring`, or `mpiexec -n 4 target/debug/examples/ring`

use ringmpi::{Communicator, Source};

const ROUNDS: i64 = 1000;

fn main() -> ringmpi::Result<()> {
    ringmpi::run(4, |world| ring(&world))
}

fn ring(world: &Communicator<'_>) -> ringmpi::Result<()> {
    let token = pass_token(world)?;
    if world.rank() == 0 {
        let size = i64::from(world.size());
        let expected = ROUNDS * size * (size - 1) / 2;
        println!("{ROUNDS} rounds through {size} ranks: the token is {token}, expected {expected}");
        if token != expected {
            world.abort(1);
        }
    }
    Ok(())
}

/// The token after all rounds, on rank 0.
fn pass_token(world: &Communicator<'_>) -> ringmpi::Result<i64> {
    let (rank, size) = (world.rank(), world.size());
    let next = world.process_at_rank((rank + 1) % size);
    let previous = world.process_at_rank((rank + size - 1) % size);
    let mut token = 0;
    for _ in 0..ROUNDS {
        if rank == 0 {
            let sending = next.immediate_send(vec![token])?;
            token = previous.receive::<i64>()?.0;
            sending.wait()?;
        } else {
            token = previous.receive::<i64>()?.0 + i64::from(rank);
            next.send(&[token])?;
        }
    }
    Ok(token)
}
