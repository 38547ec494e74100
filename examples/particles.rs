//! An ideal gas in a square box. The ranks form a grid, and each owns a cell of the box; particles that leave it go to
//! a neighbour, in a message of as many as happen to cross. `split` makes a communicator of each row of the grid and
//! one of each column: there the neighbours are the ranks before and after.
//!
//! `cargo run --release --example particles`, or
//! `mpiexec -n 4 target/release/examples/particles`
//!
//! Particles pass through each other and bounce off the walls without loss: their number and energy stay, their
//! momentum changes by what the walls give, and the pressure is that of the gas law.

use bytemuck::{Pod, Zeroable};
use ringmpi::{Communicator, Result, Source, op::Sum, wait_all};
use std::ops::RangeInclusive;

const PARTICLES_EACH: u32 = 5000;
const STEPS: u32 = 2000;
/// In each direction.
const SPEED_MAX: f64 = 1.0;

/// How far the fastest particles move in a step, in cells.
const STRIDE: f64 = 0.5;
const _: () = assert!(STRIDE <= 1.0, "particles may reach neighbours in a step, not the ranks beyond");

/// A particle of mass 1.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Particle {
    position: [f64; 2],
    velocity: [f64; 2],
}

/// The part of the box that a rank owns. The box reaches from 0 to 1 in both directions.
struct Cell<'c> {
    /// The ranks that own what lies left and right of this cell, and those of what lies above and below: in the first the
    /// neighbours differ in direction 0, in the second in direction 1.
    lines: [Communicator<'c>; 2],
    ranges: [RangeInclusive<f64>; 2],
    particles: Vec<Particle>,
    /// How many came in from neighbours.
    crossings: u64,
    /// The momentum that walls gave to particles, by direction, and all of it without signs.
    from_walls: [f64; 3],
}

fn main() -> Result<()> {
    ringmpi::run(4, |world| simulate(&world))
}

fn simulate(world: &Communicator<'_>) -> Result<()> {
    let mut cell = Cell::of_rank(world)?;
    let [columns, rows] = [0, 1].map(|direction| cell.lines[direction].size());
    let time_step = STRIDE / f64::from(columns.max(rows)) / SPEED_MAX;
    let time = f64::from(STEPS) * time_step;
    let [count_before, x_before, y_before, energy_before] = cell.totals(world)?;
    for _ in 0..STEPS {
        cell.drift(time_step);
        // One that leaves through a corner goes to the next column first, and there to the next row.
        cell.exchange(0)?;
        cell.exchange(1)?;
    }
    let [count, x, y, energy] = cell.totals(world)?;
    world.all_reduce_in_place(&mut cell.from_walls, Sum)?;
    let [given_x, given_y, pressed] = cell.from_walls;
    let crossings = world.all_reduce_value(cell.crossings, Sum)?;

    // Name, what it is, what it should be, and the difference that rounding or chance may make. The walls are 4 long.
    let checks = [
        ("particles", count, count_before, 0.0),
        ("energy", energy, energy_before, 1e-10 * energy_before),
        ("momentum x", x, x_before + given_x, 1e-10 * pressed),
        ("momentum y", y, y_before + given_y, 1e-10 * pressed),
        ("pressure", pressed / (4.0 * time), energy_before, 0.01 * energy_before),
    ];
    let is_right = checks.iter().all(|(_, is, should_be, margin)| (is - should_be).abs() <= *margin);
    if world.rank() == 0 {
        println!("ranks: {columns} x {rows}, particles: {count_before}, steps: {STEPS}");
        for (name, is, should_be, _) in checks {
            println!("{name:10} {is:12.4}, expected {should_be:12.4}");
        }
        println!("{crossings} border crossings: {}", if is_right { "ok" } else { "wrong" });
    }
    if is_right { Ok(()) } else { world.abort(1) }
}

impl<'c> Cell<'c> {
    fn of_rank(world: &Communicator<'c>) -> Result<Self> {
        let (rank, size) = (world.rank(), world.size());
        // As square as it can be.
        let columns =
            (1..=size).filter(|columns| size % columns == 0 && columns * columns <= size).max().unwrap_or(1);
        let place = [rank % columns, rank / columns];
        let line = |colour: i32, key| {
            let line = world.split(Some(colour.unsigned_abs()), key)?;
            Ok(line.expect("every rank has a colour"))
        };
        let lines = [line(place[1], place[0])?, line(place[0], place[1])?];

        let cells = lines.each_ref().map(|line| f64::from(line.size()));
        let place = place.map(f64::from);
        let ranges = [0, 1].map(|at| place[at] / cells[at]..=(place[at] + 1.0) / cells[at]);
        let particle = |number: u32| {
            // Multiples of irrational numbers, modulo 1, spread evenly.
            let spread = |prime: f64| (f64::from(number) * prime.sqrt()).fract();
            let within = [2.0, 3.0].map(spread);
            Particle {
                position: [0, 1].map(|at| (place[at] + within[at]) / cells[at]),
                velocity: [5.0, 7.0].map(|prime| SPEED_MAX * (2.0 * spread(prime) - 1.0)),
            }
        };
        let particles = (0..PARTICLES_EACH).map(particle).collect();
        Ok(Self { lines, ranges, particles, crossings: 0, from_walls: [0.0; 3] })
    }

    fn drift(&mut self, time: f64) {
        for particle in &mut self.particles {
            for at in [0, 1] {
                let (position, velocity) = (&mut particle.position[at], &mut particle.velocity[at]);
                *position += *velocity * time;
                let wall = position.clamp(0.0, 1.0);
                if *position != wall {
                    let given = -2.0 * *velocity;
                    *position = 2.0 * wall - *position;
                    *velocity += given;
                    self.from_walls[at] += given;
                    self.from_walls[2] += given.abs();
                }
            }
        }
    }

    /// Hands over the particles that have left in a direction, and takes in those that come.
    fn exchange(&mut self, direction: usize) -> Result<()> {
        let (low, high) = (*self.ranges[direction].start(), *self.ranges[direction].end());
        let mut take = |has_left: &dyn Fn(f64) -> bool| -> Vec<_> {
            self.particles.extract_if(.., |particle| has_left(particle.position[direction])).collect()
        };
        let (leaving_below, leaving_above) =
            (take(&|position| position < low), take(&|position| position > high));
        // At the ends of the box one neighbour is the null process: it takes and sends nothing.
        let line = &self.lines[direction];
        let (below, above) = (line.neighbour(-1), line.neighbour(1));
        let sends = [below.immediate_send(leaving_below)?, above.immediate_send(leaving_above)?];
        for neighbour in [below, above] {
            let (arrived, _) = neighbour.receive_vec::<Particle>()?;
            self.crossings += arrived.len() as u64;
            self.particles.extend(arrived);
        }
        wait_all(sends).map(drop)
    }

    /// Number, momentum in both directions and energy of the particles of all ranks, each where it should be.
    fn totals(&self, world: &Communicator<'_>) -> Result<[f64; 4]> {
        let mut totals = [0.0; 4];
        let is_here =
            |particle: &&Particle| [0, 1].iter().all(|at| self.ranges[*at].contains(&particle.position[*at]));
        for Particle { velocity: [x, y], .. } in self.particles.iter().filter(is_here) {
            totals = [totals[0] + 1.0, totals[1] + x, totals[2] + y, totals[3] + (x * x + y * y) / 2.0];
        }
        world.all_reduce_in_place(&mut totals, Sum)?;
        Ok(totals)
    }
}
