//! Reduce and all-reduce.

use super::{
    Round, check_root,
    on_board::{Operation, Waiting},
    select::{self, Way},
    values,
};
use crate::{
    buffer::{self, Plain},
    communicator::Communicator,
    error::{Error, ErrorClass, Result},
    op::{Op, combine_into_lower},
    shm::board::Readers,
    types::Rank,
};

impl Communicator<'_> {
    /// Combines the slices of all ranks, of equal length, element by element, at the root; `None`
    /// elsewhere. In the order of ranks, whatever the operation: the same bits in every run.
    ///
    /// # Errors
    /// A root that does not exist; other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.1: `MPI_Reduce`.
    pub fn reduce<T: Plain>(&self, mine: &[T], op: impl Op<T>, root: Rank) -> Result<Option<Vec<T>>> {
        check_root(self, root)?;
        let mut collective = self.enter_collective()?;
        let way = select::reduce(size_of_val(mine), collective.board.is_some());
        match (way, &mut collective.board) {
            (Way::Board, Some(board)) => {
                let operation = Operation::new(self, board.get());
                slots(operation, mine, &op, root)
            }
            _ => linear(&collective.next_round(self), mine, &op, root),
        }
    }

    /// As [`reduce`](Self::reduce), with the result on all ranks.
    ///
    /// # Errors
    /// Other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.6: `MPI_Allreduce`.
    pub fn all_reduce<T: Plain>(&self, mine: &[T], op: impl Op<T>) -> Result<Vec<T>> {
        if let Some(result) = self.all_combine(mine, &op)? {
            return Ok(result);
        }
        let reduced = self.reduce(mine, op, 0)?;
        let mut result = reduced.unwrap_or_else(|| mine.to_vec());
        self.broadcast_into(&mut result, 0)?;
        Ok(result)
    }

    /// On the board, if it is the better way: every rank combines all contributions.
    fn all_combine<T: Plain>(&self, mine: &[T], op: &impl Op<T>) -> Result<Option<Vec<T>>> {
        let mut collective = self.enter_collective()?;
        let is_chosen = select::all_combine(self, size_of_val(mine), collective.board.is_some());
        match &mut collective.board {
            Some(board) if is_chosen => {
                let mut operation = Operation::new(self, board.get());
                operation.write_slot(mine, Readers::All)?;
                operation.enter(Waiting::All);
                combine_slots(operation, mine, op).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// As [`all_reduce`](Self::all_reduce), into a slice.
    ///
    /// # Errors
    /// A slice of another length; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.6: `MPI_Allreduce`.
    pub fn all_reduce_into<T: Plain>(&self, mine: &[T], out: &mut [T], op: impl Op<T>) -> Result<()> {
        if mine.len() != out.len() {
            let (mine, out) = (mine.len(), out.len());
            let what = format!("all_reduce_into of {mine} elements into a slice of {out}");
            return Err(Error::new(ErrorClass::COUNT, what));
        }
        out.copy_from_slice(&self.all_reduce(mine, op)?);
        Ok(())
    }

    /// As [`all_reduce`](Self::all_reduce), of one element.
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.6: `MPI_Allreduce`.
    pub fn all_reduce_value<T: Plain>(&self, mine: T, op: impl Op<T>) -> Result<T> {
        self.all_reduce(&[mine], op).map(|all| all[0])
    }
}

/// Cost: one line from every rank, at the root.
fn slots<T: Plain>(
    mut operation: Operation<'_, '_, '_>,
    mine: &[T],
    op: &impl Op<T>,
    root: Rank,
) -> Result<Option<Vec<T>>> {
    if operation.comm().rank() != root {
        operation.write_slot(mine, Readers::One(root as usize))?;
        operation.enter(Waiting::Rank(root));
        return Ok(None);
    }
    operation.enter(Waiting::Nobody);
    combine_slots(operation, mine, op).map(Some)
}

/// Combines what is in the members' slots, in the order of ranks.
fn combine_slots<T: Plain>(
    mut operation: Operation<'_, '_, '_>,
    mine: &[T],
    op: &impl Op<T>,
) -> Result<Vec<T>> {
    combine_all(operation.comm(), mine, op, |other, bits| {
        operation.wait_for(other)?;
        operation.read_slot::<T>(other, bits)
    })
}

/// Cost: n − 1 messages, all to the root, which combines them in the order of ranks.
fn linear<T: Plain>(
    round: &Round<'_, '_>,
    mine: &[T],
    op: &impl Op<T>,
    root: Rank,
) -> Result<Option<Vec<T>>> {
    if round.comm.rank() != root {
        return round.send(root, mine).map(|()| None);
    }
    combine_all(round.comm, mine, op, |other, bits| round.receive_bits::<T>(other, bits)).map(Some)
}

/// Combines this rank's elements with those that `fetch` brings from each other rank, in the order of
/// ranks.
fn combine_all<T: Plain>(
    comm: &Communicator<'_>,
    mine: &[T],
    op: &impl Op<T>,
    mut fetch: impl FnMut(Rank, &mut [T::Bits]) -> Result<()>,
) -> Result<Vec<T>> {
    let mut bits = buffer::aside::<T>(mine.len())?;
    let mut result = Vec::new();
    for other in 0..comm.size() {
        if other == comm.rank() {
            combine(comm, &mut result, mine, op);
        } else {
            fetch(other, &mut bits)?;
            combine(comm, &mut result, values::<T>(&bits, other)?, op);
        }
    }
    Ok(result)
}

/// Combines what lower ranks gave with the next rank's elements.
fn combine<T: Copy>(comm: &Communicator<'_>, result: &mut Vec<T>, next: &[T], op: &impl Op<T>) {
    if result.is_empty() {
        result.extend_from_slice(next);
        return;
    }
    comm.engine().run_operation(op.is_built_in(), || combine_into_lower(op, result, next));
}
