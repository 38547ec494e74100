//! Poisson's equation by conjugate gradients: a sparse system of equations, distributed by rows. Each rank owns some
//! lines of a grid. A product with the matrix needs the neighbours' lines at the borders, which travel while the rank
//! works on those within; a scalar product is a reduction.
//!
//! `cargo run --release --example cg [LINES]`, or `mpiexec -n 4 target/release/examples/cg`
//!
//! The right-hand side is made from a solution, so that the result can be compared with it. Reductions go by the order
//! of ranks: every rank sees the same sums, and all of them stop after the same step.

use ringmpi::{Communicator, Result, op};

/// Points of a line of the grid.
const WIDTH: usize = 64;
/// How much smaller than the right-hand side the residual has to become.
const TOLERANCE: f64 = 1e-10;
const STEPS_MAX: usize = 10_000;

type Line = [f64; WIDTH];

fn main() -> Result<()> {
    let lines = std::env::args().nth(1).map_or(40, |text| {
        text.parse().ok().filter(|lines| *lines > 0).unwrap_or_else(|| {
            eprintln!("'{text}' is no positive number; usage: cg [LINES]");
            std::process::exit(2)
        })
    });
    ringmpi::run(4, |world| solve_and_check(&world, lines))
}

fn solve_and_check(world: &Communicator<'_>, lines: usize) -> Result<()> {
    let first = world.rank() as usize * lines;
    let expected: Vec<Line> =
        (first..first + lines).map(|line| std::array::from_fn(|at| chosen(line, at))).collect();
    let right = product(world, &expected)?;
    let (solution, steps) = conjugate_gradients(world, &right)?;

    let rest = difference(&right, &product(world, &solution)?);
    let residual = (dot(world, &rest, &rest)? / dot(world, &right, &right)?).sqrt();
    let off = difference(&expected, &solution)
        .as_flattened()
        .iter()
        .fold(0.0, |most: f64, off| most.max(off.abs()));
    let off = world.all_reduce_value(off, op::commutative(|a: &f64, b: &f64| a.max(*b)))?;

    let is_right = steps < STEPS_MAX && residual <= 2.0 * TOLERANCE && off <= 1e-6;
    if world.rank() == 0 {
        println!(
            "ranks: {}, unknowns: {}, steps: {steps}",
            world.size(),
            lines * WIDTH * world.size() as usize
        );
        println!("relative residual {residual:.1e}, largest error {off:.1e}");
        println!("{}", if is_right { "ok" } else { "wrong" });
    }
    if is_right { Ok(()) } else { world.abort(1) }
}

/// The solution, at a point of the whole grid.
fn chosen(line: usize, at: usize) -> f64 {
    (0.1 * line as f64).sin() + (0.07 * (line + 1) as f64 * at as f64).cos()
}

/// The solution, and the number of steps.
fn conjugate_gradients(world: &Communicator<'_>, right: &[Line]) -> Result<(Vec<Line>, usize)> {
    let mut solution = vec![[0.0; WIDTH]; right.len()];
    let mut residual = right.to_vec();
    let mut direction = residual.clone();
    let mut square = dot(world, &residual, &residual)?;
    let enough = TOLERANCE * TOLERANCE * square;
    for step in 0..STEPS_MAX {
        if square <= enough {
            return Ok((solution, step));
        }
        let image = product(world, &direction)?;
        let stride = square / dot(world, &direction, &image)?;
        add_scaled(&mut solution, stride, &direction);
        add_scaled(&mut residual, -stride, &image);
        let next_square = dot(world, &residual, &residual)?;
        let keep = next_square / square;
        for (direction, residual) in direction.as_flattened_mut().iter_mut().zip(residual.as_flattened()) {
            *direction = residual + keep * *direction;
        }
        square = next_square;
    }
    Ok((solution, STEPS_MAX))
}

/// The matrix times `lines`: four times each point minus those around it, which are 0 beyond the edge of the grid.
fn product(world: &Communicator<'_>, lines: &[Line]) -> Result<Vec<Line>> {
    let last = lines.len() - 1;
    let mut image = vec![[0.0; WIDTH]; lines.len()];
    let (mut from_above, mut from_below) = ([0.0; WIDTH], [0.0; WIDTH]);
    // Beyond the first and the last rank is the null process: the lines that come from there stay 0.
    let (above, below) = (world.neighbour(-1), world.neighbour(1));
    world.scope(|scope| {
        let _ = scope.immediate_receive_into(above, &mut from_above)?;
        let _ = scope.immediate_receive_into(below, &mut from_below)?;
        let _ = scope.immediate_send(above, &lines[0])?;
        let _ = scope.immediate_send(below, &lines[last])?;
        for (at, line) in image.iter_mut().enumerate() {
            let zero = [0.0; WIDTH];
            let before = if at > 0 { &lines[at - 1] } else { &zero };
            *line = stencil(before, &lines[at], lines.get(at + 1).unwrap_or(&zero));
        }
        Ok(())
    })?;
    subtract(&mut image[0], &from_above);
    subtract(&mut image[last], &from_below);
    Ok(image)
}

fn stencil(before: &Line, line: &Line, after: &Line) -> Line {
    std::array::from_fn(|at| {
        let left = if at > 0 { line[at - 1] } else { 0.0 };
        let right = line.get(at + 1).copied().unwrap_or(0.0);
        4.0 * line[at] - left - right - before[at] - after[at]
    })
}

/// The scalar product of vectors that lie on all ranks.
fn dot(world: &Communicator<'_>, a: &[Line], b: &[Line]) -> Result<f64> {
    let mine = a.as_flattened().iter().zip(b.as_flattened()).map(|(a, b)| a * b).sum::<f64>();
    world.all_reduce_value(mine, op::Sum)
}

fn add_scaled(to: &mut [Line], factor: f64, what: &[Line]) {
    for (to, what) in to.as_flattened_mut().iter_mut().zip(what.as_flattened()) {
        *to += factor * what;
    }
}

fn difference(a: &[Line], b: &[Line]) -> Vec<Line> {
    let mut rest = a.to_vec();
    add_scaled(&mut rest, -1.0, b);
    rest
}

fn subtract(from: &mut Line, what: &Line) {
    for (from, what) in from.iter_mut().zip(what) {
        *from -= what;
    }
}
