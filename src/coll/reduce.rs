//! Reduce and all-reduce.

use super::{Round, check_root, gather};
use crate::{
    buffer::Plain,
    communicator::Communicator,
    error::{Error, ErrorClass, Result},
    op::Op,
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
        let collective = self.enter_collective()?;
        let round = Round::new(self, collective.sequence);
        if self.rank() != root {
            return round.send(root, mine).map(|()| None);
        }
        let all = gather::linear(&round, mine, root, self.size())?;
        Ok(Some(combine(&all, mine.len(), &op)))
    }

    /// As [`reduce`](Self::reduce), with the result on all ranks.
    ///
    /// # Errors
    /// Other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.6: `MPI_Allreduce`.
    pub fn all_reduce<T: Plain>(&self, mine: &[T], op: impl Op<T>) -> Result<Vec<T>> {
        let reduced = self.reduce(mine, op, 0)?;
        let mut result = reduced.unwrap_or_else(|| mine.to_vec());
        self.broadcast_into(&mut result, 0)?;
        Ok(result)
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

/// Combines the contributions of all ranks, `len` elements each, from rank 0 up.
fn combine<T: Copy>(all: &[T], len: usize, op: &impl Op<T>) -> Vec<T> {
    let (first, others) = all.split_at(len);
    let mut result = first.to_vec();
    for other in others.chunks_exact(len.max(1)) {
        for (a, b) in result.iter_mut().zip(other) {
            *a = op.apply(a, b);
        }
    }
    result
}
