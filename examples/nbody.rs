//! A star cluster: every body pulls every other. Blocks of bodies travel round a ring of ranks; while
//! a rank computes with one block, the next comes in.
//!
//! `cargo run --release --example nbody [BODIES [STEPS]]`, or
//! `mpiexec -n 4 target/release/examples/nbody`
//!
//! The cluster is a Plummer sphere, in units in which its mass and the gravitational constant are 1.
//! Gravity keeps the energy, so the energy's drift tells how far to trust the result.

use bytemuck::{Pod, Zeroable};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use ringmpi::{Communicator, Result, Source, op::Sum};
use std::{array::from_fn, f64::consts::TAU, time::Instant};

const TIME_STEP: f64 = 0.01;
/// Bodies that come closer than this hardly pull harder: no step is too long for a near miss.
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
    let (bodies, steps) = (argument(1, 2000), argument(2, 400));
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
    let is_first = world.rank() == 0;
    if is_first {
        println!("{bodies} bodies on {} ranks, {steps} steps", world.size());
    }
    let mut share = Share::of_rank(world, bodies);
    share.update_fields(world)?;
    let before = world.all_reduce_value(share.energy(), Sum)?;

    let start = Instant::now();
    let bar = if is_first { progress_bar(steps) } else { ProgressBar::hidden() };
    for _ in 0..steps {
        share.step(world)?;
        bar.inc(1);
    }
    let after = world.all_reduce_value(share.energy(), Sum)?;
    bar.finish_and_clear();

    let seconds = start.elapsed().as_secs_f64();
    let drift = ((after - before) / before).abs();
    if is_first {
        let pairs = (bodies * bodies * steps) as f64 / seconds;
        println!("{seconds:.2} s, {} pair interactions a second", HumanCount(pairs as u64));
        println!("energy {before:.6} before, {after:.6} after: a drift of {drift:.1e}");
        println!("{}", if drift < DRIFT_MAX { "ok" } else { "wrong: the energy has drifted too far" });
    }
    if drift < DRIFT_MAX { Ok(()) } else { world.abort(1) }
}

fn progress_bar(steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {eta} left");
    ProgressBar::new(steps as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl Share {
    /// The same cluster whatever the number of ranks: a body depends only on its number.
    fn of_rank(world: &Communicator<'_>, bodies: usize) -> Self {
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        let numbers = rank * bodies / size..(rank + 1) * bodies / size;
        let (bodies, velocities) = numbers.map(|number| plummer_body(number, bodies)).unzip();
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
        let largest = world.all_reduce_value(self.bodies.len(), ringmpi::op::Max)?;

        self.fields = self.bodies.iter().map(Field::before_pulls).collect();
        let mut visitors = self.bodies.clone();
        for _ in 1..size {
            let mut incoming = previous.immediate_receive::<Body>(largest)?;
            // The scope ends when the block has been sent; until then it may be read.
            world.scope(|scope| {
                let _ = scope.immediate_send(next, &visitors)?;
                for piece in visitors.chunks(PIECE) {
                    self.add_pulls(piece);
                    // Messages move only inside calls: a look is all that they need.
                    incoming.test()?;
                }
                Ok(())
            })?;
            visitors = incoming.wait()?;
        }
        self.add_pulls(&visitors);
        Ok(())
    }

    fn add_pulls(&mut self, visitors: &[Body]) {
        for (body, field) in self.bodies.iter().zip(&mut self.fields) {
            for visitor in visitors {
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

/// Position and velocity by Aarseth, Hénon and Wielen: distances by the inverse of the mass inside,
/// speeds by rejection, in parts of the speed of escape.
fn plummer_body(number: usize, bodies: usize) -> (Body, Vector) {
    let mut random = random_numbers(number as u64);
    let mut draw = || random.next().unwrap_or_default();
    let distance = (draw().powf(-2.0 / 3.0) - 1.0).sqrt().recip();
    let part = loop {
        let (part, height) = (draw(), draw());
        if height / 10.0 < part * part * (1.0 - part * part).powf(3.5) {
            break part;
        }
    };
    let speed = part * (2.0 / (1.0 + distance * distance).sqrt()).sqrt();
    let position = direction(&mut draw).map(|x| x * distance);
    let velocity = direction(&mut draw).map(|x| x * speed);
    (Body { position, mass: 1.0 / bodies as f64 }, velocity)
}

fn direction(draw: &mut impl FnMut() -> f64) -> Vector {
    let z = 2.0 * draw() - 1.0;
    let (sin, cos) = (TAU * draw()).sin_cos();
    let ring = (1.0 - z * z).sqrt();
    [ring * cos, ring * sin, z]
}

/// Numbers in (0, 1), by the SplitMix64 generator.
fn random_numbers(seed: u64) -> impl Iterator<Item = f64> {
    (1..).map(move |count: u64| {
        let mut bits = (seed << 32 | count).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) >> 11) as f64 / (1u64 << 53) as f64
    })
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn add_scaled(to: &mut Vector, factor: f64, vector: &Vector) {
    for (to, x) in to.iter_mut().zip(vector) {
        *to += factor * x;
    }
}
