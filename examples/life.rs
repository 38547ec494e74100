//! The game of life on a torus. Ranks are a grid without ends; each owns a tile of cells, and in every generation
//! tells its eight neighbours what lies along their common border, or corner.
//!
//! `cargo run --release --example life`, or `mpiexec -n 4 target/release/examples/life`
//!
//! A glider flies once round the torus, over all borders, and has to be back where it began. Then a soup of random
//! cells has to become what it becomes without neighbours.

use ringmpi::{
    Communicator, GraphCommunicator, Partition, PartitionMut, Rank, Result, dimensions_create, op::LogicalAnd,
};
use std::{ops::Range, time::Instant};

/// Cells along each side.
const SIDE: usize = 96;
const GENERATIONS: usize = 300;
/// A glider moves by one cell in each direction.
const GLIDER_PERIOD: usize = 4;

/// Whether a cell is alive at the start.
type Start = fn(row: usize, column: usize) -> bool;

fn main() -> Result<()> {
    ringmpi::run(4, |world| play(&world))
}

fn play(world: &Communicator<'_>) -> Result<()> {
    let start = Instant::now();
    let Some(mut tile) = Tile::new(world)? else { return Ok(()) };
    let flight = GLIDER_PERIOD * SIDE;
    let has_returned = tile.play(glider, flight)? == tile.seed(glider);
    let soup = tile.play(soup, GENERATIONS)?;
    let expected = tile.cut(&alone(GENERATIONS));
    let mut all = [false; 2];
    tile.graph.all_reduce_into(&[has_returned, soup == expected], &mut all, LogicalAnd)?;
    if tile.graph.rank() == 0 {
        let say = |is_right: bool| if is_right { "ok" } else { "wrong" };
        println!("{} tiles of {SIDE} x {SIDE} cells, {:.2?}", tile.graph.size(), start.elapsed());
        println!("glider, back after {flight} generations: {}", say(all[0]));
        println!("soup, the same as without neighbours after {GENERATIONS} generations: {}", say(all[1]));
    }
    if all == [true; 2] { Ok(()) } else { world.abort(1) }
}

fn glider(row: usize, column: usize) -> bool {
    [(1, 2), (2, 3), (3, 1), (3, 2), (3, 3)].contains(&(row, column))
}

/// One cell in three.
fn soup(row: usize, column: usize) -> bool {
    let mixed = ((row * SIDE + column) as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32 & 0xffff < 0xffff / 3
}

fn is_alive_next(is_alive: bool, neighbours: usize) -> bool {
    neighbours == 3 || is_alive && neighbours == 2
}

/// All directions but that of standing still.
fn directions() -> impl Iterator<Item = [Rank; 2]> {
    (-1..=1)
        .flat_map(|down| (-1..=1).map(move |right| [down, right]))
        .filter(|direction| *direction != [0, 0])
}

/// A part of the torus, and who has those around it.
struct Tile<'u> {
    rows: Range<usize>,
    columns: Range<usize>,
    /// To the neighbour in each direction goes an edge, and from the one in the opposite direction comes one. On a small
    /// torus some of them are the same rank: edges between two ranks pair up in the order of the directions, in which
    /// both have them.
    graph: GraphCommunicator<'u>,
    /// Whether each cell lives, with those of a rim around the tile.
    cells: Vec<bool>,
}

impl<'u> Tile<'u> {
    /// None if there are more ranks than rows.
    fn new(world: &Communicator<'u>) -> Result<Option<Self>> {
        let mut dims = [0; 2];
        dimensions_create(world.size().min(SIDE as Rank), &mut dims)?;
        let Some(torus) = world.create_cartesian(&dims, &[true; 2], false)? else { return Ok(None) };
        let place = torus.coordinates();
        let neighbour = |sign: Rank, [down, right]: [Rank; 2]| {
            torus.coordinates_to_rank(&[place[0] + sign * down, place[1] + sign * right])
        };
        let there: Vec<Rank> =
            directions().map(|direction| neighbour(1, direction)).collect::<Result<_>>()?;
        let opposite: Vec<Rank> =
            directions().map(|direction| neighbour(-1, direction)).collect::<Result<_>>()?;
        let graph = torus.create_graph_adjacent(&opposite, None, &there, None, false)?;
        let share = |dimension: usize| {
            let (coordinate, dim) = (place[dimension] as usize, dims[dimension] as usize);
            coordinate * SIDE / dim..(coordinate + 1) * SIDE / dim
        };
        Ok(Some(Self { rows: share(0), columns: share(1), graph, cells: vec![] }))
    }

    /// Of a row, with the rim.
    fn width(&self) -> usize {
        self.columns.len() + 2
    }

    /// Where the cells of a rectangle of the tile and its rim are.
    fn places(&self, [rows, columns]: [Range<usize>; 2]) -> impl Iterator<Item = usize> + use<> {
        let width = self.width();
        rows.flat_map(move |row| columns.clone().map(move |column| row * width + column))
    }

    fn inside(&self) -> impl Iterator<Item = usize> + use<> {
        self.places([1..self.rows.len() + 1, 1..self.columns.len() + 1])
    }

    /// The cells of the tile at the start, without a rim.
    fn seed(&self, start: Start) -> Vec<bool> {
        let row = |row| self.columns.clone().map(move |column| start(row, column));
        self.rows.clone().flat_map(row).collect()
    }

    /// The cells of the tile out of those of the torus.
    fn cut(&self, torus: &[bool]) -> Vec<bool> {
        self.rows.clone().flat_map(|row| torus[row * SIDE..][self.columns.clone()].to_vec()).collect()
    }

    /// The cells of the tile after so many generations.
    fn play(&mut self, start: Start, generations: usize) -> Result<Vec<bool>> {
        self.cells = vec![false; (self.rows.len() + 2) * self.width()];
        for (place, is_alive) in self.inside().zip(self.seed(start)) {
            self.cells[place] = is_alive;
        }
        for _ in 0..generations {
            self.fill_rim()?;
            self.next_generation();
        }
        Ok(self.inside().map(|place| self.cells[place]).collect())
    }

    fn fill_rim(&mut self) -> Result<()> {
        let lens = [self.rows.len(), self.columns.len()];
        // The border towards a direction, and the rim on the other side, which the opposite neighbour's border fills.
        let border = |[down, right]: [Rank; 2]| {
            [(down, lens[0]), (right, lens[1])].map(|(step, len)| match step {
                -1 => 1..2,
                0 => 1..len + 1,
                _ => len..len + 1,
            })
        };
        let rim = |[down, right]: [Rank; 2]| {
            [(down, lens[0]), (right, lens[1])].map(|(step, len)| match step {
                -1 => len + 1..len + 2,
                0 => 1..len + 1,
                _ => 0..1,
            })
        };
        let places: Vec<Vec<usize>> =
            directions().map(|direction| self.places(border(direction)).collect()).collect();
        let counts: Vec<usize> = places.iter().map(Vec::len).collect();
        let mine: Vec<bool> = places.into_iter().flatten().map(|place| self.cells[place]).collect();
        let mut all = vec![false; mine.len()];
        let into = PartitionMut::new(&mut all, &counts[..]);
        self.graph.neighbour_all_to_all_varcount_into(Partition::new(&mine, &counts[..]), into)?;
        let places = directions().flat_map(|direction| self.places(rim(direction)));
        for (place, is_alive) in places.collect::<Vec<_>>().into_iter().zip(all) {
            self.cells[place] = is_alive;
        }
        Ok(())
    }

    fn next_generation(&mut self) {
        let (width, mut next) = (self.width(), self.cells.clone());
        for place in self.inside() {
            let above = place - width - 1;
            let is_neighbour = |other: &usize| *other != place && self.cells[*other];
            let around = (0..3).flat_map(|row| (0..3).map(move |column| above + row * width + column));
            next[place] = is_alive_next(self.cells[place], around.filter(is_neighbour).count());
        }
        self.cells = next;
    }
}

/// The soup on the whole torus.
fn alone(generations: usize) -> Vec<bool> {
    let mut cells: Vec<bool> = (0..SIDE * SIDE).map(|at| soup(at / SIDE, at % SIDE)).collect();
    for _ in 0..generations {
        let next = |at: usize| {
            let is_neighbour = |[down, right]: &[Rank; 2]| {
                let along =
                    |place: usize, step: Rank| (place as Rank + step).rem_euclid(SIDE as Rank) as usize;
                cells[along(at / SIDE, *down) * SIDE + along(at % SIDE, *right)]
            };
            is_alive_next(cells[at], directions().filter(is_neighbour).count())
        };
        cells = (0..cells.len()).map(next).collect();
    }
    cells
}
