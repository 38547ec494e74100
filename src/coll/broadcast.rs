//! Broadcast.

use super::{
    Round, check_root,
    on_board::{Operation, Waiting},
    select::{self, Way},
    values,
};
use crate::{
    buffer::{self, Plain},
    communicator::Communicator,
    error::Result,
    types::Rank,
};

impl Communicator<'_> {
    /// Copies the root's slice to all ranks; all slices have the same length.
    ///
    /// # Errors
    /// A root that does not exist; other lengths; bytes that are no values of the type; the end of
    /// the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.4: `MPI_Bcast`.
    pub fn broadcast_into<T: Plain>(&self, data: &mut [T], root: Rank) -> Result<()> {
        check_root(self, root)?;
        let mut collective = self.enter_collective()?;
        let way = select::broadcast(size_of_val(data), collective.board.is_some());
        match (way, &mut collective.board) {
            (Way::Board, Some(board)) => {
                window(Operation::new(self, board.get()), data, root, self.rank() == root)
            }
            _ => binomial(&collective.next_round(self), data, root, self.rank(), self.size()),
        }
    }
}

/// Cost: two copies of the slice; the readers copy at the same time.
fn window<T: Plain>(
    mut operation: Operation<'_, '_, '_>,
    data: &mut [T],
    root: Rank,
    is_root: bool,
) -> Result<()> {
    if is_root {
        operation.write_window(data)?;
        operation.enter(Waiting::All);
        return Ok(());
    }
    operation.enter(Waiting::Nobody);
    operation.wait_for(root)?;
    operation.read_window(data, root)
}

/// Cost: ⌈log₂ n⌉ steps of the whole slice. Ranks are counted from the root; each hears from the one
/// without its lowest bit, and tells those with one lower bit more.
fn binomial<T: Plain>(
    round: &Round<'_, '_>,
    data: &mut [T],
    root: Rank,
    rank: Rank,
    size: Rank,
) -> Result<()> {
    let relative = (rank + size - root) % size;
    let absolute = |relative: Rank| (relative + root) % size;
    if relative != 0 {
        let parent = absolute(relative & (relative - 1));
        let mut bits = buffer::aside::<T>(data.len())?;
        round.receive_bits::<T>(parent, &mut bits)?;
        data.copy_from_slice(values::<T>(&bits, parent)?);
    }
    let lowest = if relative == 0 {
        Rank::try_from((size as u32).next_power_of_two()).unwrap_or(size)
    } else {
        relative & -relative
    };
    let mut bit = lowest / 2;
    while bit > 0 {
        if relative + bit < size {
            round.send(absolute(relative + bit), data)?;
        }
        bit /= 2;
    }
    Ok(())
}
