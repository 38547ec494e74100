//! Immediate and persistent collectives: they overlap others, and each of their messages says whose it is.

use super::{
    call::{Algorithm, Call, Form, Function, different},
    plan::Plan,
};
use crate::{
    buffer::{Held, Keep, Owned, Plain, ReceiveBytes, SharedOperation},
    communicator::{Communicator, PersistentCollective, Request},
    error::Result,
    p2p::{
        RequestId,
        schedule::{Channel, ChannelOrder, Schedule},
    },
    types::{Rank, Tag},
};
use std::sync::Arc;

/// An immediate or persistent collective that has its number, and nothing else yet: a call that is refused uses up a
/// number, too, as that of the other ranks does (PROTOCOL.md, Collectives on messages).
///
/// If it is dropped like that, the others are told that this rank has no part in it.
pub(super) struct Overlapping<'c, 'u> {
    comm: &'c Communicator<'u>,
    channel: Channel,
    has_begun: bool,
}

impl Drop for Overlapping<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        if !self.has_begun {
            self.comm.engine().refuse_part(&self.channel, self.comm.remote().group.iter());
        }
    }
}

impl<'u> Communicator<'u> {
    /// The next immediate collective: before its arguments are looked at.
    pub(super) fn immediate(&self, call: Call) -> Result<Overlapping<'_, 'u>> {
        // What an operation calls, or a child made by fork, is no call that others make too.
        self.check_caller()?;
        let compare = |from, theirs: u32, ours: u32| compare_immediate(from, theirs.into(), ours.into());
        Ok(Overlapping::new(self, call, self.next_immediate(), compare))
    }

    /// The next persistent collective: before its arguments are looked at.
    pub(super) fn persistent(&self, call: Call) -> Result<Overlapping<'_, 'u>> {
        // As above.
        self.check_caller()?;
        let compare =
            |from, theirs: u32, ours: u32| Err(different(from, theirs.into(), ours.into(), Form::Persistent));
        Ok(Overlapping::new(self, call, self.next_persistent(), compare))
    }
}

/// Two calls that differ may meet: a rank without out-neighbours, which by what it gives does not say how long parts
/// are, gives counts where the others need none.
fn compare_immediate(from: Rank, theirs: u64, ours: u64) -> Result<()> {
    let exchanges =
        [Function::NeighbourAllToAll, Function::NeighbourAllToAllVarcount].map(|it| Call::new(it).word());
    let may_meet = exchanges.contains(&theirs) && exchanges.contains(&ours);
    if may_meet { Ok(()) } else { Err(different(from, theirs, ours, Form::Immediate)) }
}

impl<'c, 'u> Overlapping<'c, 'u> {
    fn new(
        comm: &'c Communicator<'u>,
        call: Call,
        tag: Tag,
        compare: fn(from: Rank, theirs: u32, ours: u32) -> Result<()>,
    ) -> Self {
        let channel = Channel {
            sends_in: comm.remote().contexts.immediate(),
            receives_in: comm.local().contexts.immediate(),
            rank: comm.rank(),
            function: call.function.name(),
            tag,
            order: ChannelOrder::Overlapping { mark: call.mark(), compare },
        };
        Self { comm, channel, has_begun: false }
    }

    fn schedule(
        &self,
        operation: Option<SharedOperation>,
        build: impl FnOnce(&mut Plan<'_>) -> Result<()>,
    ) -> Result<Arc<Schedule>> {
        let schedule = self.comm.schedule(self.channel, build)?;
        Ok(Arc::new(Schedule { operation, ..schedule }))
    }

    /// Builds the plan and begins it. What it takes of the caller's memory is in `keeps`.
    fn begin(
        &mut self,
        operation: Option<SharedOperation>,
        keeps: Vec<Keep>,
        build: impl FnOnce(&mut Plan<'_>) -> Result<()>,
    ) -> Result<RequestId> {
        let id = self.comm.engine().begin(self.schedule(operation, build)?, keeps)?;
        self.has_begun = true;
        Ok(id)
    }

    /// An immediate collective that changes its buffer.
    pub(super) fn begin_in_place<B: Owned>(
        mut self,
        data: B,
        operation: Option<SharedOperation>,
        build: impl FnOnce(&mut Plan<'_>, ReceiveBytes) -> Result<()>,
    ) -> Result<Request<'c, B>> {
        let engine = self.comm.engine();
        let begin = |data| self.begin(operation, vec![], |plan| build(plan, data));
        Request::begin_in_place(engine, data, begin)
    }

    /// An immediate collective whose result is new.
    pub(super) fn begin_new<B: Owned, T: Plain>(
        mut self,
        input: Held<B>,
        len: usize,
        operation: Option<SharedOperation>,
        build: impl Algorithm,
    ) -> Result<Request<'c, Vec<T>>> {
        let from = input.to_send();
        Request::begin_new(self.channel.function, self.comm.engine(), len, |into| {
            self.begin(operation, vec![input.into_keep()], |plan| build(plan, from, into))
        })
    }

    /// As [`Self::begin_new`]; without a length this rank gets no result.
    pub(super) fn begin_new_if<B: Owned, T: Plain>(
        mut self,
        input: Held<B>,
        len: Option<usize>,
        operation: Option<SharedOperation>,
        build: impl Algorithm,
    ) -> Result<Request<'c, Option<Vec<T>>>> {
        let from = input.to_send();
        Request::begin_new_if(self.channel.function, self.comm.engine(), len, |into| {
            self.begin(operation, vec![input.into_keep()], |plan| build(plan, from, into))
        })
    }

    /// A collective to be started again and again.
    pub(super) fn prepare<I: Owned, O: Owned>(
        mut self,
        input: Held<I>,
        output: Held<O>,
        operation: Option<SharedOperation>,
        build: impl Algorithm,
    ) -> Result<PersistentCollective<'c, I, O>> {
        let prepared = PersistentCollective::new(self.comm.engine(), input, output, |from, into| {
            self.schedule(operation, |plan| build(plan, from, into))
        });
        self.has_begun = prepared.is_ok();
        prepared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immediate_exchanges_with_neighbours_may_meet_with_and_without_counts_and_others_may_not() {
        let word = |function| Call::new(function).word();
        let (equal, varied) = (word(Function::NeighbourAllToAll), word(Function::NeighbourAllToAllVarcount));
        assert!(compare_immediate(0, equal, varied).is_ok() && compare_immediate(0, varied, equal).is_ok());
        for other in [Function::AllToAll, Function::NeighbourAllGather, Function::NeighbourAllGatherVarcount]
        {
            let error = compare_immediate(2, word(other), varied).unwrap_err().to_string();
            let expected = format!(
                "rank 2 called immediate_{other} where this rank called immediate_neighbour_all_to_all_varcount"
            );
            assert!(error.contains(&expected), "{error}");
            assert!(compare_immediate(2, equal, word(other)).is_err());
        }
    }
}
