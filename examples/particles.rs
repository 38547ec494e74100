//! An ideal gas in a box of one dimension. Each rank owns an interval of the box; particles that leave
//! it go to the neighbour, in a message of as many as happen to cross.
//!
//! `cargo run --release --example particles`, or
//! `mpiexec -n 4 target/release/examples/particles`
//!
//! Particles pass through each other and bounce off the walls without loss: their number and energy
//! stay, their momentum changes by what the walls give, and the pressure is that of the gas law.

use bytemuck::{Pod, Zeroable};
use ringmpi::{Communicator, Result, Source, op::Sum, wait_all};
use std::ops::RangeInclusive;

const PARTICLES_EACH: u32 = 10_000;
const STEPS: u32 = 2000;
const SPEED_MAX: f64 = 1.0;

/// How far the fastest particles move in a step, in intervals.
const STRIDE: f64 = 0.5;
const _: () = assert!(STRIDE <= 1.0, "particles may reach neighbours in a step, not the ranks beyond");

/// A particle of mass 1.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Particle {
    position: f64,
    velocity: f64,
}

/// The part of the box, which reaches from 0 to 1, that a rank owns.
struct Interval {
    range: RangeInclusive<f64>,
    particles: Vec<Particle>,
    /// How many came in from neighbours.
    crossings: u64,
    /// The momentum that walls gave to particles, and the same without signs.
    from_walls: [f64; 2],
}

fn main() -> Result<()> {
    ringmpi::run(4, |world| simulate(&world))
}

fn simulate(world: &Communicator<'_>) -> Result<()> {
    let time_step = STRIDE / f64::from(world.size()) / SPEED_MAX;
    let time = f64::from(STEPS) * time_step;
    let mut interval = Interval::of_rank(world);
    let [count_before, momentum_before, energy_before] = interval.totals(world)?;
    for _ in 0..STEPS {
        interval.drift(time_step);
        interval.exchange(world)?;
    }
    let [count, momentum, energy] = interval.totals(world)?;
    let mut from_walls = [0.0; 2];
    world.all_reduce_into(&interval.from_walls, &mut from_walls, Sum)?;
    let [given, pressed] = from_walls;
    let crossings = world.all_reduce_value(interval.crossings, Sum)?;

    // Name, what it is, what it should be, and the difference that rounding or chance may make.
    let checks = [
        ("particles", count, count_before, 0.0),
        ("energy", energy, energy_before, 1e-10 * energy_before),
        ("momentum", momentum, momentum_before + given, 1e-10 * pressed),
        ("pressure", pressed / (2.0 * time), 2.0 * energy_before, 0.01 * energy_before),
    ];
    let is_right = checks.iter().all(|(_, is, should_be, margin)| (is - should_be).abs() <= *margin);
    if world.rank() == 0 {
        println!("ranks: {}, particles: {count_before}, steps: {STEPS}", world.size());
        for (name, is, should_be, _) in checks {
            println!("{name:10} {is:12.4}, expected {should_be:12.4}");
        }
        println!("{crossings} border crossings: {}", if is_right { "ok" } else { "wrong" });
    }
    if is_right { Ok(()) } else { world.abort(1) }
}

impl Interval {
    fn of_rank(world: &Communicator<'_>) -> Self {
        let (rank, size) = (f64::from(world.rank()), f64::from(world.size()));
        let particle = |number: u32| {
            // Multiples of irrational numbers, modulo 1, spread evenly.
            let [place, speed] = [2.0, 3.0].map(|prime: f64| (f64::from(number) * prime.sqrt()).fract());
            Particle { position: (rank + place) / size, velocity: SPEED_MAX * (2.0 * speed - 1.0) }
        };
        Self {
            range: rank / size..=(rank + 1.0) / size,
            particles: (0..PARTICLES_EACH).map(particle).collect(),
            crossings: 0,
            from_walls: [0.0; 2],
        }
    }

    fn drift(&mut self, time: f64) {
        for particle in &mut self.particles {
            particle.position += particle.velocity * time;
            let wall = particle.position.clamp(0.0, 1.0);
            if particle.position != wall {
                let given = -2.0 * particle.velocity;
                particle.position = 2.0 * wall - particle.position;
                particle.velocity += given;
                self.from_walls[0] += given;
                self.from_walls[1] += given.abs();
            }
        }
    }

    /// Hands over the particles that have left, and takes in those that come.
    fn exchange(&mut self, world: &Communicator<'_>) -> Result<()> {
        // At the ends of the box one neighbour is the null process: it takes and sends nothing.
        let (below, above) = (world.neighbour(-1), world.neighbour(1));
        let sends = [
            below.immediate_send(self.take(|position, range| position < range.start()))?,
            above.immediate_send(self.take(|position, range| position > range.end()))?,
        ];
        for neighbour in [below, above] {
            let (arrived, _) = neighbour.receive_vec::<Particle>()?;
            self.crossings += arrived.len() as u64;
            self.particles.extend(arrived);
        }
        wait_all(sends).map(drop)
    }

    fn take(&mut self, is_taken: fn(&f64, &RangeInclusive<f64>) -> bool) -> Vec<Particle> {
        let range = &self.range;
        self.particles.extract_if(.., |particle| is_taken(&particle.position, range)).collect()
    }

    /// Number, momentum and energy of the particles of all ranks, each where it should be.
    fn totals(&self, world: &Communicator<'_>) -> Result<[f64; 3]> {
        let mut mine = [0.0; 3];
        for particle in self.particles.iter().filter(|particle| self.range.contains(&particle.position)) {
            let velocity = particle.velocity;
            mine = [mine[0] + 1.0, mine[1] + velocity, mine[2] + velocity * velocity / 2.0];
        }
        let mut all = [0.0; 3];
        world.all_reduce_into(&mine, &mut all, Sum)?;
        Ok(all)
    }
}
