//! Immediate duplicates.

use crate::{
    buffer,
    communicator::{Announcement, Communicator, Foundation},
    envelope::{Envelope, Pattern},
    error::Result,
};

/// A duplicate of a communicator that is being made while the caller does something else; see
/// [`Communicator::immediate_duplicate`].
///
/// It is waited for by itself: it is no [`Request`](crate::Request), which others could be waited for with, and no future.
/// Dropping it never waits; the duplicate is freed, and the other ranks get theirs all the same.
///
/// ```
/// # ringmpi::threads(2, |world| {
/// let mut duplicate = world.immediate_duplicate()?;
/// while !duplicate.test()? {
///     // Other work goes here.
/// }
/// duplicate.wait()?.barrier()?;
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 7.4.2: `MPI_Comm_idup`.
#[must_use = "`wait` gives the communicator"]
pub struct ImmediateDuplicate<'c, 'u> {
    parent: &'c Communicator<'u>,
    stage: Stage<'u>,
}

enum Stage<'u> {
    /// The leader has not told yet.
    Announced(Announcement),
    Made(Result<Communicator<'u>>),
    /// It has been given to the caller.
    Taken,
}

impl<'u> Communicator<'u> {
    /// Begins to [`duplicate`](Self::duplicate) the communicator. All ranks call it, in the same order among
    /// its collectives; what they do until [`wait`](ImmediateDuplicate::wait) is up to them: other
    /// collectives and duplicates of the communicator may run meanwhile.
    ///
    /// ```
    /// use ringmpi::{Source, op};
    /// # ringmpi::threads(3, |world| {
    /// let duplicate = world.immediate_duplicate()?;
    /// assert_eq!(world.all_reduce_value(1, op::Sum)?, 3);
    /// let duplicate = duplicate.wait()?;
    /// duplicate.neighbour(1).send(&[world.rank()])?;
    /// if world.rank() > 0 {
    ///     assert_eq!(duplicate.neighbour(-1).receive::<i32>()?.0, world.rank() - 1);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// The end of the job. That all context ids are used up is reported by the handle.
    ///
    /// # Standard
    /// MPI 5.0, 7.4.2: `MPI_Comm_idup`.
    pub fn immediate_duplicate(&self) -> Result<ImmediateDuplicate<'_, 'u>> {
        self.check_caller()?;
        self.tidy();
        let membership = self.membership();
        let context = self.local().contexts.internal();
        // Below 0: the tags of other uses of this context are not.
        let tag = -1 - (self.next_duplicate() & 0x7fff_ffff) as i32;
        if membership.me > 0 {
            let pattern = Pattern { context, source: Some(0), tag: Some(tag) };
            let from = self.local().group.peer(0).expect("this rank is not the only one");
            let stage = Stage::Announced(Announcement { pattern, from, membership });
            return Ok(ImmediateDuplicate { parent: self, stage });
        }
        let laid = Foundation::lay(self.engine(), membership.members);
        let foundation = Foundation::of(&laid);
        for member in self.local().group.iter().skip(1) {
            let words = buffer::of_slice(&foundation.0);
            let envelope = Envelope { context, source: 0, tag, bytes: words.len() };
            self.engine().send_buffered(member, envelope, words)?;
        }
        let made = laid.map(|(_, base)| self.on_base(base, self.local().group.clone(), 0));
        Ok(ImmediateDuplicate { parent: self, stage: Stage::Made(made) })
    }
}

impl<'u> ImmediateDuplicate<'_, 'u> {
    /// Whether the duplicate has been made, or has failed. Makes progress; does not wait.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let (mut first, mut second) = (world.immediate_duplicate()?, world.immediate_duplicate()?);
    /// while [first.test()?, second.test()?] != [true; 2] {
    ///     // A piece of the computation goes here.
    /// }
    /// assert_eq!((first.wait()?.size(), second.wait()?.size()), (3, 3)); // without waiting
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// The end of the job; a rank 0 that has left without calling [`Communicator::immediate_duplicate`].
    ///
    /// # Standard
    /// MPI 5.0, 3.7.3: `MPI_Test`.
    pub fn test(&mut self) -> Result<bool> {
        if let Stage::Announced(announcement) = self.stage {
            self.parent.check_caller()?;
            let Some(foundation) = announcement.look(self.parent.engine())? else { return Ok(false) };
            self.stage = Stage::Made(self.joined(foundation, announcement));
        }
        Ok(true)
    }

    /// Waits until this rank's part is done, and gives the communicator.
    ///
    /// ```
    /// use ringmpi::CommunicatorRelation;
    /// # ringmpi::threads(2, |world| {
    /// // Two at a time; each becomes a communicator of its own.
    /// let (first, second) = (world.immediate_duplicate()?, world.immediate_duplicate()?);
    /// let (second, first) = (second.wait()?, first.wait()?);
    /// assert_eq!(first.compare(&second), CommunicatorRelation::Congruent);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`test`](Self::test); all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.3: `MPI_Wait`.
    pub fn wait(mut self) -> Result<Communicator<'u>> {
        if let Stage::Announced(announcement) = self.stage {
            self.parent.check_caller()?;
            let foundation = announcement.wait(self.parent.engine())?;
            self.stage = Stage::Taken;
            return self.joined(foundation, announcement);
        }
        match std::mem::replace(&mut self.stage, Stage::Taken) {
            Stage::Made(made) => made,
            Stage::Announced(_) | Stage::Taken => unreachable!("`wait` takes the handle, and looks first"),
        }
    }

    fn joined(&self, foundation: Foundation, announcement: Announcement) -> Result<Communicator<'u>> {
        let base = foundation.join(self.parent.engine(), announcement.membership)?;
        Ok(self.parent.on_base(base, self.parent.local().group.clone(), self.parent.rank()))
    }
}

impl Drop for ImmediateDuplicate<'_, '_> {
    fn drop(&mut self) {
        if let Stage::Announced(announcement) = self.stage {
            self.parent.leave_behind(announcement);
        }
    }
}

impl std::fmt::Debug for ImmediateDuplicate<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_made = matches!(self.stage, Stage::Made(_));
        f.debug_struct("ImmediateDuplicate").field("parent", self.parent).field("is_made", &is_made).finish()
    }
}
