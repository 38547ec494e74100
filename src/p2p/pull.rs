//! Pulls: the receiver of an announced message reads the data where it lies, and says so (FIN).
//!
//! From the sender's arena by a copy, or from its private memory by cross-memory attach. A pull goes
//! on in steps, a step at every poll, so that progress never stalls. Whatever fails, the rest comes in
//! pieces after a CTS.
//!
//! A sender that can't wait for the end (its user unwinds, or a cycle of blocked ranks is resolved by
//! copying its data aside) *revokes* what it has announced before the memory changes. A pull that ends
//! looks for that, and if so begins again, with a CTS.

use super::{
    Core,
    bulk_choice::{Plan, Possible},
    packet::{Packet, Place, Rts},
    request::{ReceivePhase, RequestId},
};
use crate::{
    buffer::{ReceiveBuffer, SendBuffer},
    error::Result,
    shm::{
        arena::{ArenaId, RemoteArena},
        slot::Slot,
        tuning::Method,
    },
    types::PeerId,
};

/// Bytes of one step.
const STEP: u64 = 256 << 10;

/// Smaller messages go in pieces: a system call is no match for them.
const PULL_MIN: u64 = 4 << 10;

/// Messages of the arena from this size on are announced even if they could go without.
const ARENA_MIN: u64 = 4 << 10;

/// A receive that reads the data where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pull {
    pub(super) from: PeerId,
    rts: Rts,
    pub(super) plan: Plan,
    pub(super) arrived: u64,
    nanos: u64,
}

#[cfg(any(all(test, not(loom)), feature = "internals"))]
impl Pull {
    /// As if the sender had announced another place.
    pub(super) fn set_place(&mut self, place: Place) {
        self.rts.place = place;
    }
}

/// How a peer's memory is reached, once tried.
#[derive(Default)]
enum Access<T> {
    #[default]
    Untried,
    Granted(T),
    Denied,
}

impl<T> Access<T> {
    fn or_try(&mut self, attempt: impl FnOnce() -> Option<T>) -> Option<&mut T> {
        if let Self::Untried = self {
            *self = attempt().map_or(Self::Denied, Self::Granted);
        }
        match self {
            Self::Granted(access) => Some(access),
            Self::Untried | Self::Denied => None,
        }
    }
}

/// How this rank reads a peer's memory.
#[derive(Default)]
pub(super) struct Reach {
    /// The process, if its memory can be read and it is the one that is meant.
    process: Access<i32>,
    arena: Access<RemoteArena>,
}

impl Reach {
    /// The number of the peer's process may mean another one here (in another pid namespace): it must
    /// have the nonce where the peer says.
    fn process(&mut self, slot: &Slot, nonce: u64) -> Option<i32> {
        let attempt = || {
            let mut word = [0; 8];
            let mut buffer = ReceiveBuffer::contiguous(word.as_mut_ptr(), 8);
            let (pid, address) = (slot.pid(), slot.nonce_address());
            let copied = buffer.read_process(0, pid, address, 8).ok()?;
            (copied == 8 && u64::from_ne_bytes(word) == nonce).then_some(pid)
        };
        self.process.or_try(attempt).copied()
    }

    /// Whether an attempt to read the peer's memory has failed, for simulations.
    #[cfg(any(all(test, not(loom)), feature = "internals"))]
    pub(super) fn is_denied(&self) -> bool {
        matches!(self.process, Access::Denied) || matches!(self.arena, Access::Denied)
    }

    fn arena(&mut self, slot: &Slot, id: ArenaId) -> Option<&mut RemoteArena> {
        self.arena.or_try(|| RemoteArena::open(slot.pid(), slot.arena()?, id).ok())
    }

    /// Reads the next bytes of a message to their place; how many, or None if that is impossible.
    fn read(&mut self, pull: &Pull, buffer: &mut ReceiveBuffer) -> Option<u64> {
        let bytes = (pull.rts.envelope.bytes - pull.arrived).min(STEP);
        match (pull.plan.method, pull.rts.place) {
            (Method::Direct, Place::Arena { offset, .. }) => {
                let Access::Granted(arena) = &mut self.arena else { return None };
                buffer.unpack(pull.arrived, arena.span(offset.checked_add(pull.arrived)?, bytes)?);
                Some(bytes)
            }
            (Method::Cma, Place::Private(address) | Place::Arena { address, .. }) => {
                let Access::Granted(pid) = self.process else { return None };
                let remote = address.checked_add(pull.arrived)?;
                match buffer.read_process(pull.arrived, pid, remote, usize::try_from(bytes).ok()?) {
                    Ok(copied) => Some(copied as u64).filter(|&copied| copied > 0),
                    Err(error) => {
                        // Some memory can't be read that way, a device's for example; other errors
                        // will not go away.
                        if error.raw_os_error() != Some(libc::EFAULT) {
                            self.process = Access::Denied;
                        }
                        None
                    }
                }
            }
            _ => None,
        }
    }
}

/// What has become of a pull.
enum Progress {
    GoesOn,
    Ended,
}

impl Core {
    /// Where the receiver may find the data of a send.
    pub(super) fn place_of(&self, buffer: &SendBuffer) -> Place {
        match (self.place_in_arena(buffer), buffer.address()) {
            (Some(place), _) => place,
            (None, Some(address)) => Place::Private(address),
            (None, None) => Place::Unreachable,
        }
    }

    /// Whether a message is announced although it could go without: the receiver copies it out of the
    /// arena. Not to a peer with whom that has led to a cycle of ranks that wait for each other, and is
    /// likely to do so again: they send first and receive later.
    #[inline]
    pub(super) fn goes_direct(&self, to: PeerId, buffer: &SendBuffer) -> bool {
        self.arena.is_some() && !self.peers[to.index()].had_cycle && self.place_in_arena(buffer).is_some()
    }

    /// As `place_of`, if that is in the arena and the message large enough.
    fn place_in_arena(&self, buffer: &SendBuffer) -> Option<Place> {
        let arena = self.arena.as_ref()?;
        let bytes = buffer.bytes();
        if bytes < ARENA_MIN || !self.config.bulk.allows(Method::Direct) {
            return None;
        }
        let address = buffer.address()?;
        let offset = arena.offset_of(address, bytes)?;
        Some(Place::Arena { offset, address })
    }

    /// How often this rank has revoked what it announced.
    pub(super) fn revocations(&self) -> u32 {
        self.peers[self.me.index()].published.slot.revocations()
    }

    /// Before the memory of announced sends changes: their data is copied aside.
    pub(super) fn revoke_places(&self) {
        self.peers[self.me.index()].published.slot.revoke();
    }

    /// By which methods this rank can get at the data.
    pub(super) fn possible_methods(&mut self, from: PeerId, rts: &Rts, is_contiguous: bool) -> Possible {
        if rts.envelope.bytes < PULL_MIN {
            return Possible::default();
        }
        let option = self.choices.option();
        let id = ArenaId { nonce: *self.nonce, rank: from.0 };
        let peer = &mut self.peers[from.index()];
        let slot = &peer.published.slot;
        let in_arena = matches!(rts.place, Place::Arena { .. });
        let direct = option.allows(Method::Direct) && in_arena && peer.reach.arena(slot, id).is_some();
        // The kernel moves the same lines as a direct copy, and adds its own cost.
        let cma = option.allows(Method::Cma)
            && !direct
            && is_contiguous
            && rts.place != Place::Unreachable
            && peer.reach.process(slot, id.nonce).is_some();
        Possible { cma, direct }
    }

    /// Begins to read a message in place.
    pub(super) fn begin_pull(&mut self, receive: RequestId, from: PeerId, rts: Rts, plan: Plan) {
        if let Some(operation) = self.requests.receive(receive) {
            operation.phase = ReceivePhase::Pulling(Pull { from, rts, plan, arrived: 0, nanos: 0 });
            self.pulls.push(receive);
            // The thread that begins it may sleep behind the holder, or leave.
            self.role.wake_holder(&self.bell);
        }
    }

    /// Goes on with receives that read the data where it lies: a step of each.
    pub(super) fn advance_pulls(&mut self) -> Result<bool> {
        let mut index = 0;
        while let Some(&receive) = self.pulls.get(index) {
            match self.advance_pull(receive)? {
                Progress::GoesOn => index += 1,
                Progress::Ended => drop(self.pulls.swap_remove(index)),
            }
        }
        Ok(true)
    }

    fn advance_pull(&mut self, receive: RequestId) -> Result<Progress> {
        let Some(operation) = self.requests.receive(receive) else { return Ok(Progress::Ended) };
        let ReceivePhase::Pulling(pull) = &mut operation.phase else { return Ok(Progress::Ended) };
        let peer = &mut self.peers[pull.from.index()];
        if operation.buffer.is_gone() {
            pull.arrived = pull.rts.envelope.bytes;
        } else {
            let start = self.config.copy_clock.start(pull.plan.is_timed);
            let Some(copied) = peer.reach.read(pull, &mut operation.buffer) else {
                let pull = *pull;
                return self.fall_back(receive, &pull, pull.arrived);
            };
            self.arrivals.note_way("data with gaps: read in place", || !operation.buffer.is_contiguous());
            pull.arrived += copied;
            pull.nanos += start.nanos(pull.plan.method, copied);
        }
        if pull.arrived < pull.rts.envelope.bytes {
            return Ok(Progress::GoesOn);
        }
        let pull = *pull;
        self.end_pull(receive, &pull)
    }

    fn end_pull(&mut self, receive: RequestId, pull: &Pull) -> Result<Progress> {
        let Pull { from, rts, plan, .. } = *pull;
        if self.peers[from.index()].published.slot.is_revoked_since(rts.revocations) {
            return self.fall_back(receive, pull, 0);
        }
        if plan.is_timed && pull.nanos > 0 {
            self.choices.note(plan.method, rts.envelope.bytes, pull.nanos);
        }
        self.send_control(from, Packet::Fin { send: rts.send })?;
        self.end_receive(receive, &rts.envelope, Ok(()));
        Ok(Progress::Ended)
    }

    /// Asks for the bytes from `offset` on in pieces, or for all if the others may be wrong.
    fn fall_back(&mut self, receive: RequestId, pull: &Pull, offset: u64) -> Result<Progress> {
        let Pull { from, rts, .. } = *pull;
        let is_revoked = self.peers[from.index()].published.slot.is_revoked_since(rts.revocations);
        let plan = Plan { method: Method::SmallPieces, is_timed: false };
        self.clear_to_send(receive, from, &rts, plan, if is_revoked { 0 } else { offset })?;
        Ok(Progress::Ended)
    }
}
