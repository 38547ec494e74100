//! Requests: a slab of operations in flight, named by index and generation.

use super::{
    matching::PostedId,
    pull::Pull,
    rendezvous::{Bulk, Clearance},
    schedule::Running,
};
use crate::{
    buffer::{Keep, ReceiveBuffer, SendBuffer},
    envelope::Envelope,
    error::{Error, ErrorClass, Result, Truncated},
    shm::pool::Block,
    status::Status,
    types::PeerId,
};
use std::num::NonZeroU64;

/// Names a request: the index of its slot, and a generation that makes an id harmless once it has been
/// freed. (One word, so that it is returned in a register.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestId(u64);

impl RequestId {
    pub(super) const fn new(index: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | index as u64)
    }

    #[inline]
    pub(super) fn index(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(super) fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The request of an operation that was complete when its call returned: it needs no slot.
    pub(crate) const COMPLETE: Self = Self::new(u32::MAX, 0);

    /// The request of a receive from the null process.
    pub(crate) const FROM_NULL: Self = Self::new(u32::MAX, 1);

    /// The outcome of a request that needs no slot.
    fn slotless_outcome(self) -> Option<Result<Status>> {
        match self {
            Self::COMPLETE => Some(Ok(Status::EMPTY)),
            Self::FROM_NULL => Some(Ok(Status::NULL_PROCESS)),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn to_word(self) -> u64 {
        self.0
    }

    #[inline]
    pub(super) fn from_word(word: u64) -> Self {
        Self(word)
    }
}

/// Which kind of send: they differ in when the send is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Complete when the buffer may be reused; may wait for the receiver. A ready send is one.
    Standard,
    /// Complete when the receive has been matched.
    Synchronous,
}

/// The pieces of an eager message: blocks that are all taken before the first is published.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pieces {
    blocks: [Option<Block>; Pieces::MAX],
    len: usize,
}

impl Pieces {
    /// The most pieces of an eager message.
    pub(super) const MAX: usize = 4;

    pub(super) fn push(&mut self, block: Block) {
        self.blocks[self.len] = Some(block);
        self.len += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, index: usize) -> Option<Block> {
        self.blocks.get(index).copied().flatten()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Block> + '_ {
        self.blocks.iter().flatten().copied()
    }
}

/// A send in flight.
pub(super) struct SendOperation {
    pub(super) to: PeerId,
    pub(super) envelope: Envelope,
    pub(super) mode: Mode,
    pub(super) buffer: SendBuffer,
    pub(super) phase: SendPhase,
}

#[derive(Debug)]
pub(super) enum SendPhase {
    /// In the peer's backlog: nothing has been published.
    Queued,
    /// At the head of the backlog: some pieces are published, others wait for room.
    Streaming { pieces: Pieces, next: usize },
    /// The envelope is published, the data is here: the receiver says how to go on.
    Announced,
    /// Cleared to send.
    Bulk(Box<Bulk>),
    /// All is published; the receiver will say that it has matched.
    AwaitMatch,
    /// To this rank itself, in the unexpected queue.
    AtSelf,
}

/// A receive in flight.
pub(super) struct ReceiveOperation {
    pub(super) buffer: ReceiveBuffer,
    pub(super) phase: ReceivePhase,
}

impl ReceiveOperation {
    /// Takes the next piece of a matched message; what is left to come, or None if it does not fit.
    pub(super) fn take_piece(
        &mut self,
        bytes: u64,
        unpack: impl FnOnce(&mut ReceiveBuffer, u64),
    ) -> Option<u64> {
        let (ReceivePhase::Arriving { envelope, arrived, .. }
        | ReceivePhase::Cleared(Clearance { envelope, arrived, .. })) = &mut self.phase
        else {
            return None;
        };
        let left = (envelope.bytes - *arrived).checked_sub(bytes)?;
        unpack(&mut self.buffer, *arrived);
        *arrived += bytes;
        Some(left)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum ReceivePhase {
    /// In the posted queue; `from` is the peer if the source is specific.
    Posted { id: PostedId, from: Option<PeerId> },
    /// Matched; what has arrived is about to be moved.
    Matched,
    /// Matched; pieces come in by stream.
    Arriving { from: PeerId, envelope: Envelope, arrived: u64 },
    /// Matched; pieces come in after a CTS.
    Cleared(Clearance),
    /// Matched; this rank reads the data where it lies.
    Pulling(Pull),
}

pub(super) enum State {
    Free,
    /// Ended, and not yet asked for.
    Done(Result<Status>),
    Send(SendOperation),
    Receive(ReceiveOperation),
    /// A collective.
    Schedule(Box<Running>),
}

impl State {
    /// Puts the outcome in the operation's place.
    #[inline(always)]
    fn end(&mut self, outcome: Result<Status>) {
        match self {
            // The common case, without a call: nothing is to be dropped.
            Self::Receive(operation) if operation.buffer.is_plain() => {
                std::mem::forget(std::mem::replace(self, Self::Done(outcome)));
            }
            _ => *self = Self::Done(outcome),
        }
    }

    #[inline(always)]
    fn take_outcome(&mut self) -> Option<Result<Status>> {
        match self {
            Self::Done(outcome) => {
                let outcome = std::mem::replace(outcome, Ok(Status::EMPTY));
                // A status is plain data.
                std::mem::forget(std::mem::replace(self, Self::Free));
                Some(outcome)
            }
            _ => None,
        }
    }
}

struct Slot {
    generation: u32,
    /// Nobody will ask for the outcome: the slot is freed when the operation ends.
    is_detached: bool,
    /// A send whose data has been copied aside: complete for its user, while the operation goes on.
    is_buffered: bool,
    /// A thread sleeps until the operation ends.
    waiter: Option<u32>,
    /// Whose end the operation must not outlive.
    scope: Option<ScopeId>,
    state: State,
}

/// Names a scope: operations whose memory is borrowed until it ends. Never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScopeId(NonZeroU64);

/// All requests of a rank.
pub(super) struct Requests {
    first_generation: u32,
    slots: Vec<Slot>,
    free: Vec<u32>,
    detached: usize,
    scopes: u64,
}

/// What became of ending an operation.
pub(super) struct Ended {
    /// The thread to wake.
    pub(super) waiter: Option<u32>,
}

impl Requests {
    pub(super) fn new(first_generation: u32) -> Self {
        Self { first_generation, slots: Vec::new(), free: Vec::new(), detached: 0, scopes: 0 }
    }

    pub(super) fn insert(&mut self, state: State) -> RequestId {
        let id = self.reserve();
        self.begin(id, || state);
        id
    }

    /// A slot for an operation that is about to begin.
    #[inline]
    pub(super) fn reserve(&mut self) -> RequestId {
        let index = match self.free.pop() {
            Some(index) => index,
            None => self.add_slot(),
        };
        RequestId::new(index, self.slots[index as usize].generation)
    }

    #[cold]
    fn add_slot(&mut self) -> u32 {
        let index = u32::try_from(self.slots.len()).expect("fewer than 2^32 requests fit into memory");
        self.slots.push(Slot {
            // Not 0 at first: words of zeros name no request.
            generation: self.first_generation.wrapping_add(1),
            is_detached: false,
            is_buffered: false,
            waiter: None,
            scope: None,
            state: State::Free,
        });
        index
    }

    /// Begins an operation in a slot that has been reserved for it; `state` builds its state in place.
    #[inline]
    pub(super) fn begin(&mut self, id: RequestId, state: impl FnOnce() -> State) {
        let slot = &mut self.slots[id.index() as usize];
        // Nothing is lost: a reserved slot has no state, and need not be asked whether it has.
        std::mem::forget(std::mem::replace(&mut slot.state, state()));
    }

    #[inline]
    fn slot(&mut self, id: RequestId) -> Option<&mut Slot> {
        self.slots.get_mut(id.index() as usize).filter(|slot| slot.generation == id.generation())
    }

    pub(super) fn send(&mut self, id: RequestId) -> Option<&mut SendOperation> {
        match &mut self.slot(id)?.state {
            State::Send(send) => Some(send),
            _ => None,
        }
    }

    /// Takes a send out while it is worked on; `put_send` brings it back.
    pub(super) fn take_send(&mut self, id: RequestId) -> Option<SendOperation> {
        let state = &mut self.slot(id)?.state;
        match std::mem::replace(state, State::Free) {
            State::Send(send) => Some(send),
            other => {
                *state = other;
                None
            }
        }
    }

    pub(super) fn put_send(&mut self, id: RequestId, send: SendOperation) {
        if let Some(slot) = self.slot(id) {
            slot.state = State::Send(send);
        }
    }

    pub(super) fn schedule(&mut self, id: RequestId) -> Option<&mut Running> {
        match &mut self.slot(id)?.state {
            State::Schedule(running) => Some(running),
            _ => None,
        }
    }

    /// Takes a collective out while it is worked on; `put_schedule` brings it back.
    pub(super) fn take_schedule(&mut self, id: RequestId) -> Option<Box<Running>> {
        let state = &mut self.slot(id)?.state;
        match std::mem::replace(state, State::Free) {
            State::Schedule(running) => Some(running),
            other => {
                *state = other;
                None
            }
        }
    }

    pub(super) fn put_schedule(&mut self, id: RequestId, running: Box<Running>) {
        if let Some(slot) = self.slot(id) {
            slot.state = State::Schedule(running);
        }
    }

    #[inline]
    pub(super) fn receive(&mut self, id: RequestId) -> Option<&mut ReceiveOperation> {
        match &mut self.slot(id)?.state {
            State::Receive(receive) => Some(receive),
            _ => None,
        }
    }

    /// The buffer of a receive, if the message fits into it.
    pub(super) fn fits(&mut self, receive: RequestId, envelope: &Envelope) -> Result<&mut ReceiveBuffer> {
        let Some(operation) = self.receive(receive) else {
            return Err(unknown_request("a matched message", receive));
        };
        let room = operation.buffer.bytes();
        let Envelope { source, tag, bytes: sent, .. } = *envelope;
        if sent > room {
            return Err(Error::truncated(Truncated { source, tag, sent, room }));
        }
        if !sent.is_multiple_of(operation.buffer.unit()) {
            return Err(broken_element(envelope, operation.buffer.unit()));
        }
        Ok(&mut operation.buffer)
    }

    #[inline]
    pub(super) fn is_done(&mut self, id: RequestId) -> bool {
        // A request that is no more has ended.
        self.slot(id).is_none_or(|slot| slot.is_buffered || matches!(slot.state, State::Done(_)))
    }

    /// Ends an operation; its buffer is let go of.
    #[inline(always)]
    pub(super) fn end(&mut self, id: RequestId, outcome: Result<Status>) -> Ended {
        let Some(slot) = self.slot(id) else { return Ended { waiter: None } };
        slot.state.end(outcome);
        let waiter = slot.waiter.take();
        if slot.is_detached {
            self.detached -= 1;
            self.release(id);
        }
        Ended { waiter }
    }

    /// Takes the outcome of an ended request and frees it.
    #[inline]
    pub(super) fn take_outcome(&mut self, id: RequestId) -> Option<Result<Status>> {
        let Some(slot) = self.slot(id) else { return id.slotless_outcome() };
        if let Some(outcome) = slot.state.take_outcome() {
            self.release(id);
            return Some(outcome);
        }
        let is_buffered = slot.is_buffered;
        is_buffered.then(|| {
            self.detach(id, None);
            Ok(Status::EMPTY)
        })
    }

    /// Completes a send for its user by copying the data aside.
    pub(super) fn buffer(&mut self, id: RequestId) -> Ended {
        let Some(slot) = self.slot(id) else { return Ended { waiter: None } };
        if let State::Send(send) = &mut slot.state {
            send.buffer.own();
            slot.is_buffered = true;
        }
        Ended { waiter: slot.waiter.take() }
    }

    #[inline]
    fn release(&mut self, id: RequestId) {
        if let Some(slot) = self.slot(id) {
            slot.generation = slot.generation.wrapping_add(1);
            slot.is_detached = false;
            slot.is_buffered = false;
            slot.waiter = None;
            slot.scope = None;
            if !matches!(slot.state, State::Free) {
                slot.state = State::Free;
            }
            self.free.push(id.index());
        }
    }

    /// Nobody will ask for the outcome; `keep` is the operation's memory, if it owns some.
    pub(super) fn detach(&mut self, id: RequestId, keep: Option<Keep>) {
        let Some(slot) = self.slot(id) else { return };
        match &mut slot.state {
            State::Done(_) | State::Free => return self.release(id),
            State::Send(send) => keep.into_iter().for_each(|keep| send.buffer.keep(keep)),
            State::Receive(receive) => keep.into_iter().for_each(|keep| receive.buffer.keep(keep)),
            State::Schedule(running) => running.hold(keep.into_iter()),
        }
        slot.scope = None;
        // Whoever has given an operation up may let go of it again.
        let was_detached = std::mem::replace(&mut slot.is_detached, true);
        self.detached += usize::from(!was_detached);
    }

    /// The operation's memory goes away: a send gets a copy, what still comes in is dropped.
    pub(super) fn abandon(&mut self, id: RequestId) {
        let Some(slot) = self.slot(id) else { return };
        match &mut slot.state {
            State::Send(send) => send.buffer.own(),
            State::Receive(receive) => receive.buffer.discard(),
            // It holds its memory.
            State::Schedule(_) | State::Done(_) | State::Free => {}
        }
        self.detach(id, None);
    }

    /// How many operations go on that nobody will ask for.
    pub(super) fn detached(&self) -> usize {
        self.detached
    }

    /// Whether a receive goes on that nobody will ask for.
    pub(super) fn has_detached_receives(&self) -> bool {
        let is_one = |slot: &Slot| slot.is_detached && matches!(slot.state, State::Receive(_));
        self.detached > 0 && self.slots.iter().any(is_one)
    }

    pub(super) fn set_waiter(&mut self, id: RequestId, waiter: Option<u32>) {
        if let Some(slot) = self.slot(id) {
            slot.waiter = waiter;
        }
    }

    pub(super) fn open_scope(&mut self) -> ScopeId {
        self.scopes += 1;
        ScopeId(NonZeroU64::new(self.scopes).expect("one more than before"))
    }

    #[inline]
    pub(super) fn put_into_scope(&mut self, id: RequestId, scope: ScopeId) {
        if let Some(slot) = self.slot(id) {
            slot.scope = Some(scope);
        }
    }

    /// The operations of a scope whose outcome nobody has taken.
    pub(super) fn in_scope(&self, scope: ScopeId) -> Vec<RequestId> {
        let slots = self.slots.iter().enumerate().filter(|(_, slot)| slot.scope == Some(scope));
        slots.map(|(index, slot)| RequestId::new(index as u32, slot.generation)).collect()
    }

    /// Every send in flight that its user may still have to wait for.
    pub(super) fn unbuffered_sends(&mut self) -> impl Iterator<Item = (RequestId, &mut SendOperation)> {
        self.sends_of(|slot| !slot.is_buffered)
    }

    /// Every send in flight.
    pub(super) fn sends(&mut self) -> impl Iterator<Item = (RequestId, &mut SendOperation)> {
        self.sends_of(|_| true)
    }

    fn sends_of(
        &mut self,
        is_meant: impl Fn(&Slot) -> bool,
    ) -> impl Iterator<Item = (RequestId, &mut SendOperation)> {
        let meant = self.slots.iter_mut().enumerate().filter(move |(_, slot)| is_meant(slot));
        meant.filter_map(|(index, slot)| match &mut slot.state {
            State::Send(send) => Some((RequestId::new(index as u32, slot.generation), send)),
            _ => None,
        })
    }

    /// Every receive in flight.
    pub(super) fn receives(&mut self) -> impl Iterator<Item = (RequestId, &mut ReceiveOperation)> {
        self.slots.iter_mut().enumerate().filter_map(|(index, slot)| match &mut slot.state {
            State::Receive(receive) => Some((RequestId::new(index as u32, slot.generation), receive)),
            _ => None,
        })
    }

    /// Whether a send has been completed for its user by a copy, for tests.
    #[cfg(any(test, feature = "internals"))]
    pub(super) fn has_buffered(&self) -> bool {
        self.slots.iter().any(|slot| slot.is_buffered)
    }

    /// How many slots are in use, for tests that expect none to be lost.
    #[cfg(any(test, feature = "internals"))]
    pub(super) fn in_use(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cold]
fn broken_element(envelope: &Envelope, unit: u64) -> Error {
    let Envelope { source, tag, bytes, .. } = envelope;
    Error::new(
        ErrorClass::TYPE,
        format!(
            "rank {source} sent {bytes} bytes with tag {tag}: no whole number of elements of {unit} bytes"
        ),
    )
    .with_help("send and receive the same type")
}

/// A packet named a request that does not exist, or is in another state.
#[cold]
pub(super) fn unknown_request(what: &str, id: RequestId) -> Error {
    Error::corrupt(format!("{what} for request {} of generation {}", id.index(), id.generation()))
}

/// A request handle that has been used up.
#[cold]
pub(super) fn inactive() -> Error {
    Error::new(ErrorClass::REQUEST, "the request has ended and its outcome has been taken")
}
