//! A call of a collective: what all ranks have to agree on, and the ways from a plan to its end.

use super::{
    on_stage::{self, Staged},
    plan::Plan,
    select,
};
use crate::{
    buffer::{
        self, BorrowedOperation, Combination, Operation, Plain, ReceiveBytes, SendBytes, SharedOperation,
    },
    communicator::{Collective, Communicator, landing},
    envelope::{MARK_BITS, NOTICE_MARK},
    error::{Error, ErrorClass, Result},
    op::{self, Op},
    p2p::{
        notices::failed_elsewhere,
        schedule::{Channel, ChannelOrder, Schedule},
    },
    types::{Rank, Tag},
};
use std::{fmt, sync::Mutex};

/// Which collective it is. The numbers travel in tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Barrier,
    Broadcast,
    Gather,
    GatherVarcount,
    Scatter,
    ScatterVarcount,
    AllGather,
    AllGatherVarcount,
    AllToAll,
    AllToAllVarcount,
    Reduce,
    AllReduce,
    Scan,
    ExclusiveScan,
    ReduceScatter,
    ReduceScatterBlock,
    NeighbourAllGather,
    NeighbourAllGatherVarcount,
    NeighbourAllToAll,
    NeighbourAllToAllVarcount,
    Construction,
}

impl Function {
    const ALL: [(Self, &'static str); 21] = [
        (Self::Barrier, "barrier"),
        (Self::Broadcast, "broadcast"),
        (Self::Gather, "gather"),
        (Self::GatherVarcount, "gather_varcount"),
        (Self::Scatter, "scatter"),
        (Self::ScatterVarcount, "scatter_varcount"),
        (Self::AllGather, "all_gather"),
        (Self::AllGatherVarcount, "all_gather_varcount"),
        (Self::AllToAll, "all_to_all"),
        (Self::AllToAllVarcount, "all_to_all_varcount"),
        (Self::Reduce, "reduce"),
        (Self::AllReduce, "all_reduce"),
        (Self::Scan, "scan"),
        (Self::ExclusiveScan, "exclusive_scan"),
        (Self::ReduceScatter, "reduce_scatter"),
        (Self::ReduceScatterBlock, "reduce_scatter_block"),
        (Self::NeighbourAllGather, "neighbour_all_gather"),
        (Self::NeighbourAllGatherVarcount, "neighbour_all_gather_varcount"),
        (Self::NeighbourAllToAll, "neighbour_all_to_all"),
        (Self::NeighbourAllToAllVarcount, "neighbour_all_to_all_varcount"),
        (Self::Construction, "the construction of a communicator"),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What all ranks have to say alike, beside lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) function: Function,
    pub(super) root: Option<Rank>,
    /// [`Op::code`] of a built-in operation.
    pub(super) op: u8,
}

/// In which of its forms a collective is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Blocking,
    Immediate,
    Persistent,
}

impl Form {
    /// What users call it.
    fn of(self, function: &str) -> String {
        match self {
            Self::Blocking => function.into(),
            Self::Immediate => format!("immediate_{function}"),
            Self::Persistent => format!("{function}_init"),
        }
    }
}

/// Bits of a tag: from the lowest, the number of the call, its function, its operation, and its root plus one.
const NUMBER_BITS: u32 = 10;
const FUNCTION_BITS: u32 = 5;
const OP_BITS: u32 = 4;
const ROOT_BITS: u32 = 12;

impl Call {
    pub(super) const fn new(function: Function) -> Self {
        Self { function, root: None, op: 0 }
    }

    pub(super) const fn rooted(function: Function, root: Rank) -> Self {
        Self { function, root: Some(root), op: 0 }
    }

    pub(super) fn with_op<T: Plain>(self, op: &impl Op<T>) -> Self {
        Self { op: op.code() & ((1 << OP_BITS) - 1), ..self }
    }

    /// Bits of [`word`](Self::word).
    pub(super) const BITS: u32 = FUNCTION_BITS + OP_BITS + ROOT_BITS;

    /// A word that differs if calls differ: roots only by their low bits.
    pub(super) fn word(self) -> u64 {
        // The root may be none that exists.
        let root = self.root.map_or(0, |root| (root as u64).wrapping_add(1)) & ((1 << ROOT_BITS) - 1);
        (root << OP_BITS | u64::from(self.op)) << FUNCTION_BITS | self.function as u64
    }

    /// What a member's flag on the board says: only which collective it is.
    pub(super) fn board_mark(self) -> u8 {
        self.function as u8
    }

    /// The word and the number of a call, of which only the low bits count.
    pub(super) fn tag(self, number: u64) -> Tag {
        const { assert!(Self::BITS + NUMBER_BITS == 31) };
        (self.word() << NUMBER_BITS | number & ((1 << NUMBER_BITS) - 1)) as Tag
    }

    /// The word as far as it fits the mark of a message: there are fewer bits for the root.
    pub(super) fn mark(self) -> u32 {
        const { assert!(MARK_BITS < Self::BITS && MARK_BITS > FUNCTION_BITS + OP_BITS) };
        // All bits are set in that of a notice.
        const { assert!(Function::ALL.len() < 1 << FUNCTION_BITS && NOTICE_MARK == (1 << MARK_BITS) - 1) };
        self.word() as u32 & ((1 << MARK_BITS) - 1)
    }

    fn describe(word: u64, form: Form) -> String {
        let function = Function::ALL.get((word & ((1 << FUNCTION_BITS) - 1)) as usize);
        let Some((_, name)) = function else { return "something else".into() };
        let name = form.of(name);
        let (op, root) = (word >> FUNCTION_BITS & ((1 << OP_BITS) - 1), word >> (FUNCTION_BITS + OP_BITS));
        let root = root.checked_sub(1).map(|root| format!("root {root}"));
        let op = op::name_of_code(op as u8).map(str::to_string);
        let facts: Vec<String> = [op, root].into_iter().flatten().collect();
        if facts.is_empty() { name } else { format!("{name} ({})", facts.join(", ")) }
    }
}

/// Two ranks are in different collectives, as their tags say.
#[cold]
fn other_tag(from: Rank, theirs: Tag, ours: Tag) -> Error {
    if theirs < 0 {
        // A notice.
        return failed_elsewhere(from);
    }
    let part = |tag: Tag| (tag as u64 >> NUMBER_BITS, tag as u64 & ((1 << NUMBER_BITS) - 1));
    let ((theirs, their_number), (ours, our_number)) = (part(theirs), part(ours));
    if theirs != ours {
        return different(from, theirs, ours, Form::Blocking);
    }
    let (theirs, ours) = (their_number, our_number);
    different_order(format!(
        "rank {from} is in call {theirs} of a collective of the communicator, this rank in call {ours}"
    ))
}

/// Two ranks are in different collectives: the other one's word or mark, unless it has gone on.
#[cold]
pub(super) fn mismatch(from: Rank, theirs: Option<u64>, ours: Call) -> Error {
    // No word says this function.
    different(from, theirs.unwrap_or(u64::MAX), ours.word(), Form::Blocking)
}

/// Two ranks are in the same collective, but one of them has nothing to say in it, or says it elsewhere.
#[cold]
pub(super) fn other_part(from: Rank, ours: Call) -> Error {
    let what = format!("rank {from} called {} with another root or length than this rank", ours.function);
    Error::new(ErrorClass::COUNT, what)
        .with_help("all ranks have to name the same root, and counts that fit together")
}

/// Two ranks are in different collectives of one form, as their words or marks say.
#[cold]
pub(super) fn different(from: Rank, theirs: u64, ours: u64, form: Form) -> Error {
    let (theirs, ours) = (Call::describe(theirs, form), Call::describe(ours, form));
    different_order(format!("rank {from} called {theirs} where this rank called {ours}"))
}

pub(super) fn different_order(what: String) -> Error {
    Error::new(ErrorClass::COMM, what)
        .with_help("all ranks of a communicator have to call the same collectives in the same order")
}

impl Collective {
    /// The channel of the next blocking collective on messages.
    pub(super) fn next_channel(&mut self, comm: &Communicator<'_>, call: Call) -> Channel {
        self.sequence += 1;
        Channel {
            sends_in: comm.remote().contexts.collective(),
            receives_in: comm.local().contexts.collective(),
            rank: comm.rank(),
            function: call.function.name(),
            tag: call.tag(self.sequence),
            order: ChannelOrder::Consecutive(other_tag),
        }
    }
}

/// Single messages of one call, in which members of a communicator agree on something.
pub(crate) struct Round<'c, 'u> {
    comm: &'c Communicator<'u>,
    channel: Channel,
}

impl<'u> Communicator<'u> {
    /// A collective of single messages.
    pub(crate) fn in_round<R>(&self, body: impl FnOnce(&Round<'_, 'u>) -> Result<R>) -> Result<R> {
        self.collective(Call::new(Function::Construction), |entered| {
            let (collective, call) = entered.begin()?;
            body(&Round { comm: self, channel: collective.next_channel(self, call) })
        })
    }
}

impl Round<'_, '_> {
    fn run(&self, build: impl FnOnce(&mut Plan<'_>)) -> Result<()> {
        let mut plan = Plan::new(&self.comm.remote().group, self.channel);
        build(&mut plan);
        self.comm.engine().run(&plan.finish(), None)
    }

    pub(crate) fn send<T: Plain>(&self, to: Rank, data: &[T]) -> Result<()> {
        self.run(|plan| _ = plan.send(to, buffer::of_slice(data)))
    }

    /// Receives exactly `len` elements.
    pub(crate) fn receive<T: Plain>(&self, from: Rank, len: usize) -> Result<Vec<T>> {
        landing::new_vec(len, |into| self.run(|plan| plan.take(from, into)))
    }
}

/// The operation of a blocking reduction.
pub(super) fn borrowed<'a, T: Plain>(
    op: &'a impl Op<T>,
) -> Operation<impl Fn(Combination) -> Result<()> + 'a> {
    let combine = move |Combination { from, into, order }| buffer::combine(op, from, into, order);
    Operation { is_built_in: op.is_built_in(), combine }
}

/// The operation of a request.
pub(super) fn shared<T: Plain>(op: impl Op<T> + Send + 'static) -> SharedOperation {
    let is_built_in = op.is_built_in();
    let combine = move |Combination { from, into, order }| buffer::combine::<T>(&op, from, into, order);
    Operation { is_built_in, combine: Mutex::new(Box::new(combine)) }
}

/// What a collective does for one rank, between what it gives and what it gets.
pub(super) trait Algorithm: FnOnce(&mut Plan<'_>, SendBytes, ReceiveBytes) -> Result<()> {}
impl<F: FnOnce(&mut Plan<'_>, SendBytes, ReceiveBytes) -> Result<()>> Algorithm for F {}

impl<'u> Communicator<'u> {
    pub(super) fn schedule(
        &self,
        channel: Channel,
        build: impl FnOnce(&mut Plan<'_>) -> Result<()>,
    ) -> Result<Schedule> {
        let mut plan = Plan::new(&self.local().group, channel);
        build(&mut plan)?;
        Ok(plan.finish())
    }

    /// The collective on the stage, if that is the way of a length which all ranks know, in elements of `unit` bytes.
    pub(super) fn staged<'a>(
        &'a self,
        collective: &'a mut Collective,
        call: Call,
        bytes: usize,
        unit: usize,
    ) -> Result<Option<Staged<'a, 'a, 'u>>> {
        match &mut collective.board {
            Some(board) if select::is_staged(call.function, bytes, unit, self.size()) => {
                let has_stage = on_stage::has_stage(self, board, call)?;
                if has_stage { Staged::new(self, board, call, bytes as u64).map(Some) } else { Ok(None) }
            }
            _ => Ok(None),
        }
    }

    /// Blocking, on messages: builds the plan and runs it to its end.
    pub(super) fn run(
        &self,
        collective: &mut Collective,
        call: Call,
        operation: Option<BorrowedOperation<'_>>,
        build: impl FnOnce(&mut Plan<'_>) -> Result<()>,
    ) -> Result<()> {
        let schedule = self.schedule(collective.next_channel(self, call), build)?;
        self.engine().run(&schedule, operation)
    }

    /// A blocking collective on messages whose result is new.
    pub(super) fn run_new<T: Plain>(
        &self,
        collective: &mut Collective,
        call: Call,
        len: usize,
        operation: Option<BorrowedOperation<'_>>,
        build: impl FnOnce(&mut Plan<'_>, ReceiveBytes) -> Result<()>,
    ) -> Result<Vec<T>> {
        landing::new_vec(len, |into| self.run(collective, call, operation, |plan| build(plan, into)))
    }

    /// A blocking collective on messages that changes a slice.
    pub(super) fn run_in_place<T: Plain>(
        &self,
        collective: &mut Collective,
        call: Call,
        data: &mut [T],
        operation: Option<BorrowedOperation<'_>>,
        build: impl FnOnce(&mut Plan<'_>, ReceiveBytes) -> Result<()>,
    ) -> Result<()> {
        landing::in_place(data, |into| self.run(collective, call, operation, |plan| build(plan, into)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_that_do_not_exist_have_words() {
        for root in [-1, Rank::MIN, Rank::MAX] {
            let call = Call::rooted(Function::Reduce, root);
            assert!(call.word() < 1 << Call::BITS && call.mark() < 1 << MARK_BITS);
        }
    }

    #[test]
    fn marks_of_calls_that_differ_differ_and_say_what_users_call() {
        let sum = Call { op: 1, ..Call::rooted(Function::Reduce, 2000) };
        let others = [
            (Call { op: 2, ..sum }, "reduce_init (Product, root 2000)"),
            (Call { root: Some(0), ..sum }, "reduce_init (Sum, root 0)"),
            (Call { function: Function::AllReduce, root: None, ..sum }, "all_reduce_init (Sum)"),
            (Call::new(Function::Barrier), "barrier_init"),
        ];
        for (other, name) in others {
            assert_ne!(other.mark(), sum.mark());
            let error = different(3, other.mark().into(), sum.mark().into(), Form::Persistent).to_string();
            let expected =
                format!("rank 3 called {name} where this rank called reduce_init (Sum, root 2000)");
            assert!(error.contains(&expected), "{error}");
        }
        let barrier = Call::new(Function::Barrier).word();
        assert_eq!(Call::describe(barrier, Form::Immediate), "immediate_barrier");
        assert_eq!(Call::describe(u64::MAX, Form::Immediate), "something else");
    }

    #[test]
    fn calls_that_differ_have_different_tags_and_say_what_they_are() {
        let sum = Call { op: 1, ..Call::rooted(Function::Reduce, 3) };
        let others = [
            Call { op: 2, ..sum },
            Call { root: Some(4), ..sum },
            Call { root: None, ..sum },
            Call { function: Function::Gather, ..sum },
        ];
        assert!(sum.tag(5) >= 0 && sum.tag(u64::MAX) >= 0);
        for other in others {
            assert_ne!(sum.tag(5), other.tag(5));
            let error = other_tag(7, other.tag(5), sum.tag(5)).to_string();
            assert!(
                error.contains("rank 7 called") && error.contains("reduce (") && error.contains("root 3"),
                "{error}"
            );
        }
        assert_ne!(sum.tag(5), sum.tag(6));
        for (index, (function, name)) in Function::ALL.into_iter().enumerate() {
            assert_eq!((function as usize, function.to_string()), (index, name.to_string()));
            assert!(index < 1 << FUNCTION_BITS);
        }
    }
}
