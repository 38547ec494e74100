//! A star cluster, in which every body pulls every other. Each rank owns a block of bodies. Copies of
//! the blocks travel round the ring of ranks: a rank computes with one while the next comes in.
//!
//! `cargo run --release --example nbody [BODIES [STEPS]]`, or
//! `mpiexec -n 4 target/release/examples/nbody`
//!
//! The bodies start anywhere in a ball, at velocities that just hold it up against its gravity. The
//! ball's radius, its mass and the gravitational constant are 1. Nature keeps the energy; its drift
//! tells how far to trust the computation.

use bytemuck::{Pod, Zeroable};
use indicatif::ProgressBar;
use ringmpi::{Communicator, Result, Source, op::Sum};
use std::{array::from_fn, f64::consts::TAU, time::Instant};

const TIME_STEP: f64 = 0.01;
/// Closer than this, bodies hardly pull harder, so that a time step follows any near miss.
const SOFTENING: f64 = 0.05;
/// The largest relative change of the energy that passes.
const DRIFT_MAX: f64 = 1e-3;
/// Bodies that a rank computes with before it looks after its messages again.
const PIECE: usize = 64;

type Vector = [f64; 3];

/// What travels: all that one must know of a body to feel its pull.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Body {
    position: Vector,
    mass: f64,
}

/// Gravity where a body is.
#[derive(Clone, Copy)]
struct Field {
    acceleration: Vector,
    potential: f64,
}

/// The bodies of this rank.
struct Share {
    bodies: Vec<Body>,
    velocities: Vec<Vector>,
    fields: Vec<Field>,
}

fn main() -> Result<()> {
    let (bodies, steps) = (argument(1, 2000), argument(2, 500));
    ringmpi::run(4, |world| simulate(&world, bodies, steps))
}

fn argument(index: usize, default: usize) -> usize {
    let Some(text) = std::env::args().nth(index) else { return default };
    text.parse().unwrap_or_else(|_| {
        eprintln!("'{text}' is no number; usage: nbody [BODIES [STEPS]]");
        std::process::exit(2)
    })
}

fn simulate(world: &Communicator<'_>, bodies: usize, steps: usize) -> Result<()> {
    let mut share = Share::of_rank(world, bodies);
    share.update_fields(world)?;
    let before = world.all_reduce_value(share.energy(), Sum)?;

    let is_first = world.rank() == 0;
    if is_first {
        println!("ranks: {}, bodies: {bodies}, steps: {steps}", world.size());
    }
    let bar = if is_first { ProgressBar::new(steps as u64) } else { ProgressBar::hidden() };
    let start = Instant::now();
    for _ in 0..steps {
        share.step(world)?;
        bar.inc(1);
    }
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();

    let after = world.all_reduce_value(share.energy(), Sum)?;
    let drift = ((after - before) / before).abs();
    if is_first {
        let millions = (bodies * bodies * steps) as f64 / seconds / 1e6;
        println!("{seconds:.2} s, {millions:.0} million pair interactions a second");
        let verdict = if drift < DRIFT_MAX { "ok" } else { "wrong" };
        println!("energy {before:.6} before, {after:.6} after, drift {drift:.1e}: {verdict}");
    }
    if drift < DRIFT_MAX { Ok(()) } else { world.abort(1) }
}

impl Share {
    /// The same cluster whatever the number of ranks: a body depends only on its number.
    fn of_rank(world: &Communicator<'_>, bodies: usize) -> Self {
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        let numbers = rank * bodies / size..(rank + 1) * bodies / size;
        let (positions, velocities): (Vec<_>, _) = numbers.map(start_of).unzip();
        let mass = 1.0 / bodies as f64;
        let bodies = positions.into_iter().map(|position| Body { position, mass }).collect();
        Self { bodies, velocities, fields: vec![] }
    }

    /// One step of the leapfrog: half a kick, a drift, half a kick.
    fn step(&mut self, world: &Communicator<'_>) -> Result<()> {
        self.kick(TIME_STEP / 2.0);
        for (body, velocity) in self.bodies.iter_mut().zip(&self.velocities) {
            add_scaled(&mut body.position, TIME_STEP, velocity);
        }
        self.update_fields(world)?;
        self.kick(TIME_STEP / 2.0);
        Ok(())
    }

    fn kick(&mut self, time: f64) {
        for (velocity, field) in self.velocities.iter_mut().zip(&self.fields) {
            add_scaled(velocity, time, &field.acceleration);
        }
    }

    /// Lets the blocks of all ranks travel past this one, in `size` − 1 shifts.
    fn update_fields(&mut self, world: &Communicator<'_>) -> Result<()> {
        let (rank, size) = (world.rank(), world.size());
        let next = world.process_at_rank((rank + 1) % size);
        let previous = world.process_at_rank((rank + size - 1) % size);

        self.fields = self.bodies.iter().map(Field::before_pulls).collect();
        let mut visitors = self.bodies.clone();
        for _ in 1..size {
            // Ranks differ by one body at most.
            let mut incoming = previous.immediate_receive::<Body>(self.bodies.len() + 1)?;
            // The scope lends the block to the send, and ends when that has.
            world.scope(|scope| {
                let _ = scope.immediate_send(next, &visitors)?;
                for piece in visitors.chunks(PIECE) {
                    self.add_pulls(piece);
                    // Large messages move only inside calls: `test` lets them.
                    incoming.test()?;
                }
                Ok(())
            })?;
            visitors = incoming.wait()?;
        }
        self.add_pulls(&visitors);
        Ok(())
    }

    /// In this order of loops the compiler takes several bodies at once.
    fn add_pulls(&mut self, visitors: &[Body]) {
        for visitor in visitors {
            for (body, field) in self.bodies.iter().zip(&mut self.fields) {
                field.add_pull(body, visitor);
            }
        }
    }

    /// Kinetic energy, and half of the potential energy, which each pair counts twice.
    fn energy(&self) -> f64 {
        let states = self.bodies.iter().zip(&self.velocities).zip(&self.fields);
        states.map(|((body, v), field)| body.mass * (dot(v, v) + field.potential) / 2.0).sum()
    }
}

impl Field {
    /// The body meets itself too, at distance 0: this cancels that part of the potential.
    fn before_pulls(body: &Body) -> Self {
        Self { acceleration: [0.0; 3], potential: body.mass / SOFTENING }
    }

    fn add_pull(&mut self, body: &Body, visitor: &Body) {
        let towards: Vector = from_fn(|axis| visitor.position[axis] - body.position[axis]);
        let nearness = 1.0 / (dot(&towards, &towards) + SOFTENING * SOFTENING).sqrt();
        let potential = visitor.mass * nearness;
        self.potential -= potential;
        add_scaled(&mut self.acceleration, potential * nearness * nearness, &towards);
    }
}

/// Position and velocity of a body. Multiples of irrational numbers, modulo 1, spread evenly.
fn start_of(number: usize) -> (Vector, Vector) {
    let [a, b, c, d, e, f] =
        [2.0f64, 3.0, 5.0, 7.0, 11.0, 13.0].map(|prime| (number as f64 * prime.sqrt()).fract());
    (point_in_ball(a, b, c), point_in_ball(d, e, f))
}

/// The point of a ball of radius 1 that is picked by three numbers between 0 and 1.
fn point_in_ball(volume: f64, height: f64, turn: f64) -> Vector {
    let (sin, cos) = (TAU * turn).sin_cos();
    let z = 2.0 * height - 1.0;
    let ring = (1.0 - z * z).sqrt();
    [ring * cos, ring * sin, z].map(|x| volume.cbrt() * x)
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn add_scaled(to: &mut Vector, factor: f64, vector: &Vector) {
    for (to, x) in to.iter_mut().zip(vector) {
        *to += factor * x;
    }
}
