//! Heat on a tube that is unrolled into a square: it spreads round the tube, and is lost at the cold ends. Ranks are a
//! grid; each owns a tile, and swaps the borders with its neighbours before every step, while it computes the inside.
//!
//! `cargo run --release --example heat [PICTURE.png]`, or
//! `mpiexec -n 4 target/release/examples/heat [PICTURE.png]`
//!
//! One rank alone does the same in the end, and every bit of the result has to be equal.

use ringmpi::{CartesianCommunicator, Communicator, Rank, Result, Tag, dimensions_create};
use std::{array::from_fn, fs::File, io::BufWriter, ops::Range, path::Path};

/// Cells along each side of the square.
const SIDE: usize = 240;
const STEPS: usize = 800;
/// How much of a difference between neighbours goes over in a step; more than a quarter is unstable.
const CONDUCTIVITY: f64 = 0.24;

/// Sides of a tile, in the order of the neighbours in a grid.
const NORTH: usize = 0;
const SOUTH: usize = 1;
const WEST: usize = 2;
const EAST: usize = 3;

/// A rectangle of cells, row by row.
struct Tile {
    rows: Range<usize>,
    columns: Range<usize>,
    cells: Vec<f64>,
    /// The cells beyond each side; cold where there are none.
    beyond: [Vec<f64>; 4],
}

fn main() -> Result<()> {
    let picture = std::env::args().nth(1);
    ringmpi::run(4, |world| simulate(&world, picture.as_deref().map(Path::new)))
}

fn simulate(world: &Communicator<'_>, picture: Option<&Path>) -> Result<()> {
    let mut dims = [0; 2];
    dimensions_create(world.size().min(SIDE as Rank), &mut dims)?;
    // Rows end, columns go round the tube.
    let Some(grid) = world.create_cartesian(&dims, &[false, true], false)? else { return Ok(()) };
    let mut tile = Tile::of(share(&grid, 0, grid.coordinates()[0]), share(&grid, 1, grid.coordinates()[1]));
    for _ in 0..STEPS {
        tile.step(&grid)?;
    }
    // At rank 0 there is a result, elsewhere none.
    let Some(parts) = grid.gather_varcount(&tile.cells, 0)? else { return Ok(()) };
    let cells = assemble(&grid, &parts)?;
    let expected = alone();
    let is_right = cells.iter().zip(&expected).all(|(is, should_be)| is.to_bits() == should_be.to_bits());
    let heat: f64 = cells.iter().sum();
    println!("{} x {} tiles of {SIDE} x {SIDE} cells, {STEPS} steps", dims[0], dims[1]);
    println!("heat left: {heat:.3}, the same as one rank alone: {}", if is_right { "ok" } else { "wrong" });
    if !is_right {
        world.abort(1);
    }
    if let Some(path) = picture
        && let Err(error) = paint(path, &cells)
    {
        eprintln!("{}: {error}", path.display());
        world.abort(1);
    }
    Ok(())
}

/// The cells along one dimension that belong to a coordinate.
fn share(grid: &CartesianCommunicator<'_>, dimension: usize, coordinate: Rank) -> Range<usize> {
    let (coordinate, dim) = (coordinate as usize, grid.dims()[dimension] as usize);
    coordinate * SIDE / dim..(coordinate + 1) * SIDE / dim
}

/// Three hot spots, one of which lies over the seam of the tube.
fn at_first(row: usize, column: usize) -> f64 {
    let is_near = |(y, x, radius): (usize, usize, usize)| {
        let across = column.abs_diff(x).min(SIDE - column.abs_diff(x));
        row.abs_diff(y).pow(2) + across.pow(2) < radius.pow(2)
    };
    let spots =
        [(SIDE / 3, 0, SIDE / 6), (SIDE / 2, SIDE / 2, SIDE / 10), (5 * SIDE / 6, SIDE / 3, SIDE / 8)];
    if spots.into_iter().any(is_near) { 1.0 } else { 0.0 }
}

/// A cell after a step.
fn after(cell: f64, around: [f64; 4]) -> f64 {
    let [north, south, west, east] = around;
    cell + CONDUCTIVITY * ((north + south) + (west + east) - 4.0 * cell)
}

impl Tile {
    fn of(rows: Range<usize>, columns: Range<usize>) -> Self {
        let (height, width) = (rows.len(), columns.len());
        let row = |row| columns.clone().map(move |column| at_first(row, column));
        let cells = rows.clone().flat_map(row).collect();
        let beyond = [width, width, height, height].map(|len| vec![0.0; len]);
        Self { rows, columns, cells, beyond }
    }

    fn step(&mut self, grid: &CartesianCommunicator<'_>) -> Result<()> {
        let (height, width) = (self.rows.len(), self.columns.len());
        let (cells, mut next) = (&self.cells, vec![0.0; self.cells.len()]);
        let column = |column: usize| cells.iter().skip(column).step_by(width).copied().collect();
        let (west, east): (Vec<f64>, Vec<f64>) = (column(0), column(width - 1));
        // Rows lie in one piece and go from where they are.
        let borders = [&cells[..width], &cells[(height - 1) * width..], &west, &east];
        let neighbours = [(0, -1), (0, 1), (1, -1), (1, 1)];
        grid.scope(|scope| {
            for (side, into) in self.beyond.iter_mut().enumerate() {
                // Both sides may have the same neighbour: the tag is the side of the one who sends.
                let (neighbour, tag) = (neighbour(grid, neighbours[side])?, (side ^ 1) as Tag);
                let _ = scope.immediate_receive_into(grid.process_at_rank(neighbour).tag(tag), into)?;
            }
            for (side, border) in borders.into_iter().enumerate() {
                let neighbour = neighbour(grid, neighbours[side])?;
                let _ = scope.immediate_send(grid.process_at_rank(neighbour).tag(side as Tag), border)?;
            }
            for row in 1..height - 1 {
                for at in row * width + 1..(row + 1) * width - 1 {
                    let around = [cells[at - width], cells[at + width], cells[at - 1], cells[at + 1]];
                    next[at] = after(cells[at], around);
                }
            }
            Ok(())
        })?;
        let is_border =
            |row: usize, column: usize| row == 0 || row == height - 1 || column == 0 || column == width - 1;
        for at in (0..cells.len()).filter(|at| is_border(at / width, at % width)) {
            next[at] = after(cells[at], self.around(at / width, at % width));
        }
        self.cells = next;
        Ok(())
    }

    /// The cells around one, also beyond the tile.
    fn around(&self, row: usize, column: usize) -> [f64; 4] {
        let (height, width) = (self.rows.len(), self.columns.len());
        let at = row * width + column;
        from_fn(|side| match side {
            NORTH if row == 0 => self.beyond[NORTH][column],
            NORTH => self.cells[at - width],
            SOUTH if row == height - 1 => self.beyond[SOUTH][column],
            SOUTH => self.cells[at + width],
            WEST if column == 0 => self.beyond[WEST][row],
            WEST => self.cells[at - 1],
            _ if column == width - 1 => self.beyond[EAST][row],
            _ => self.cells[at + 1],
        })
    }
}

/// The rank beside this one; the null process beyond the ends, which moves nothing.
fn neighbour(grid: &CartesianCommunicator<'_>, (dimension, displacement): (usize, Rank)) -> Result<Rank> {
    grid.shift(dimension, displacement).map(|(_, there)| there)
}

/// The square, from the tiles of all ranks.
fn assemble(grid: &CartesianCommunicator<'_>, parts: &[Vec<f64>]) -> Result<Vec<f64>> {
    let mut all = vec![0.0; SIDE * SIDE];
    for (rank, part) in (0..).zip(parts) {
        let place = grid.rank_to_coordinates(rank)?;
        let columns = share(grid, 1, place[1]);
        for (row, cells) in share(grid, 0, place[0]).zip(part.chunks(columns.len())) {
            all[row * SIDE..][columns.clone()].copy_from_slice(cells);
        }
    }
    Ok(all)
}

/// What a program without neighbours computes.
fn alone() -> Vec<f64> {
    let mut cells: Vec<f64> = (0..SIDE * SIDE).map(|at| at_first(at / SIDE, at % SIDE)).collect();
    for _ in 0..STEPS {
        let cell = |row: Option<usize>, column: usize| {
            row.filter(|row| *row < SIDE).map_or(0.0, |row| cells[row * SIDE + column % SIDE])
        };
        let step = |at: usize| {
            let (row, column) = (at / SIDE, at % SIDE);
            let here = Some(row);
            let (north, south) = (cell(row.checked_sub(1), column), cell(Some(row + 1), column));
            after(cells[at], [north, south, cell(here, column + SIDE - 1), cell(here, column + 1)])
        };
        cells = (0..cells.len()).map(step).collect();
    }
    cells
}

/// Black, red, yellow, white: from cold to hot.
fn paint(path: &Path, cells: &[f64]) -> std::result::Result<(), png::EncodingError> {
    let hottest = cells.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let colour = |cell: &f64| {
        [0.0, 1.0, 2.0].map(|from| (255.0 * (3.0 * cell / hottest - from)).clamp(0.0, 255.0) as u8)
    };
    let pixels: Vec<u8> = cells.iter().flat_map(colour).collect();
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), SIDE as u32, SIDE as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)
}
