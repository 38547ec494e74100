//! One operation on a communicator's board: its steps, each followed by the wait that it needs.

use super::call::{Call, Form, different, different_order, mismatch, other_part};
use crate::{
    buffer::{ReceiveBytes, SendBytes},
    communicator::{Communicator, Side},
    error::{Error, Result},
    p2p::{Until, Writer, schedule::check_size},
    shm::board::{Board, Other, Readers},
    types::Rank,
};

/// Operations that find what they wait for at once, between two polls.
const POLL_EVERY: u64 = 64;

/// Bits of a label: from the lowest, the length of the part, its call, and the low ones of its operation's number.
const LENGTH_BITS: u32 = 16;
const CALL_BITS: u32 = Call::BITS;

/// In the place of a length: what the member gives is no part, but names its blocks for the stage. Nothing on a board is
/// as long.
const NAMES: u64 = (1 << LENGTH_BITS) - 1;

/// An operation on a board, by its number.
pub(super) struct Operation<'a, 'c, 'u> {
    comm: &'c Communicator<'u>,
    board: &'a mut Board,
    seq: u64,
    call: Call,
}

impl<'a, 'c, 'u> Operation<'a, 'c, 'u> {
    pub(super) fn new(comm: &'c Communicator<'u>, board: &'a mut Board, call: Call) -> Result<Self> {
        let seq = board.next();
        board.set_mark(call.board_mark());
        // Others may wait for this rank to take what they have sent, and its own collectives for a turn.
        if seq.is_multiple_of(POLL_EVERY) {
            comm.engine().look_in()?;
        }
        Ok(Self { comm, board, seq, call })
    }

    /// The operation's number.
    pub(super) fn number(&self) -> u64 {
        self.seq
    }

    pub(super) fn call(&self) -> Call {
        self.call
    }

    /// From now on the next operation of the same call.
    pub(super) fn go_on(&mut self) {
        self.seq = self.board.next();
    }

    /// Waits until all members have entered an earlier operation, and so left those before.
    pub(super) fn wait_for_passage(&mut self, number: u64) -> Result<()> {
        while let Some(member) = self.board.missing(number) {
            self.wait_for_reuse(member, number)?;
        }
        self.check_marks()
    }

    pub(super) fn comm(&self) -> &'c Communicator<'u> {
        self.comm
    }

    fn ring_all(&self) {
        self.comm.local().group.iter().for_each(|peer| self.comm.engine().ring(peer));
    }

    fn ring_rank(&self, rank: Rank) {
        if let Some(peer) = self.comm.local().group.peer(rank) {
            self.comm.engine().ring(peer);
        }
    }

    /// Enters, and rings whoever waits for that.
    pub(super) fn enter(&mut self, waiting: Waiting) {
        let reuse_waits = self.board.enter(self.seq);
        match waiting {
            _ if reuse_waits => self.ring_all(),
            Waiting::Nobody => {}
            Waiting::Rank(rank) => self.ring_rank(rank),
            Waiting::All => self.ring_all(),
        }
    }

    /// Waits until a member has entered.
    pub(super) fn wait_for(&mut self, rank: Rank) -> Result<()> {
        self.wait_for_number(rank as usize, self.seq)
    }

    fn wait_for_number(&mut self, member: usize, number: u64) -> Result<()> {
        // A user's operation may have forked this process since the collective began.
        self.comm.check_caller()?;
        if self.comm.engine().looks(|| self.board.has_entered(member, number)) {
            return Ok(());
        }
        let (flag, at_least) = self.board.flag(member, number);
        let by = Rank::try_from(member).ok().and_then(|rank| self.writer(rank, false));
        self.comm.engine().wait_until(Until::Words { words: std::slice::from_ref(flag), at_least, by })
    }

    fn writer(&self, rank: Rank, needs_all: bool) -> Option<Writer> {
        let Side { group, contexts } = self.comm.local();
        group.peer(rank).map(|peer| Writer { peer, context: contexts.collective(), needs_all })
    }

    /// Waits until all members have entered.
    pub(super) fn wait_for_all(&mut self) -> Result<()> {
        while let Some(member) = self.board.missing(self.seq) {
            self.wait_for_number(member, self.seq)?;
        }
        self.check_marks()
    }

    /// Whether all members that were seen in this operation are in this collective.
    #[inline]
    fn check_marks(&mut self) -> Result<()> {
        match self.board.take_other() {
            None => Ok(()),
            Some(Other { member, theirs, ours }) => {
                Err(different(member as Rank, theirs.into(), ours.into(), Form::Blocking))
            }
        }
    }

    /// Enters the counted barrier. True for the last to arrive, which lets the others go.
    pub(super) fn arrive(&mut self) -> bool {
        let is_last = self.board.arrive(self.seq);
        if is_last {
            self.board.release(self.seq);
            self.ring_all();
        }
        is_last
    }

    /// Waits until all members have arrived in the counted barrier.
    pub(super) fn wait_for_release(&mut self) -> Result<()> {
        let number = loop {
            match self.board.release_from(self.seq) {
                Some(number) => break number,
                None => {
                    // The last to arrive writes it, but if the next member has left without having seen it, nobody
                    // will: so all learn of one who left, each from the next.
                    let by = self.writer((self.comm.rank() + 1) % self.comm.size(), true);
                    let (released, at_least) = self.board.released();
                    let words = std::slice::from_ref(released);
                    self.comm.engine().wait_until(Until::Words { words, at_least, by })?;
                }
            }
        };
        if number == self.seq { Ok(()) } else { Err(another_barrier(number > self.seq)) }
    }

    /// The root's data, once nobody reads what was there.
    pub(super) fn write_window(&mut self, data: SendBytes) -> Result<()> {
        while let Some(reader) = self.board.window_reader(self.seq) {
            self.wait_for_reuse(reader, self.seq - 1)?;
        }
        self.board.write_window(self.seq, self.label(data.len()), data.words());
        Ok(())
    }

    /// The root's data, once it has entered.
    pub(super) fn read_window(&mut self, root: Rank, into: ReceiveBytes) -> Result<()> {
        self.wait_for(root)?;
        self.check(root, self.board.window_label(self.seq), into.len())?;
        into.fill_from_words(self.board.read_window(self.seq));
        Ok(())
    }

    /// What a member says of its part, of few bytes: how long it is, of which call, and of which operation.
    fn label(&self, bytes: u64) -> u64 {
        debug_assert!(bytes <= NAMES);
        bytes | self.call.word() << LENGTH_BITS | self.seq << (LENGTH_BITS + CALL_BITS)
    }

    /// Whether a member's part is of this call, and of this length.
    fn check(&self, rank: Rank, theirs: u64, expected: u64) -> Result<()> {
        let ours = self.label(0);
        let (operation, call) = (LENGTH_BITS + CALL_BITS, LENGTH_BITS);
        if theirs >> operation != ours >> operation {
            return Err(self.elsewhere(rank));
        }
        if theirs >> call != ours >> call {
            return Err(mismatch(rank, Some(theirs >> call & ((1 << CALL_BITS) - 1)), self.call));
        }
        let theirs = theirs & ((1 << LENGTH_BITS) - 1);
        if (theirs == NAMES) != (expected == NAMES) {
            // Only one of both is so long that it goes by the stage.
            return Err(other_part(rank, self.call));
        }
        check_size(self.call.function, rank, theirs, expected)
    }

    /// A member that has entered this operation without saying what a member of this call says.
    #[cold]
    pub(super) fn elsewhere(&self, rank: Rank) -> Error {
        match self.board.mark_of(rank as usize, self.seq) {
            Some(mark) if mark == self.call.board_mark() => other_part(rank, self.call),
            mark => mismatch(rank, mark.map(u64::from), self.call),
        }
    }

    /// This rank's contribution, once nobody reads what was there.
    pub(super) fn give_slot(&mut self, data: SendBytes, readers: Readers) -> Result<()> {
        self.give(data, data.len(), readers)
    }

    /// The names of this rank's blocks for the stage.
    pub(super) fn give_names(&mut self, names: SendBytes) -> Result<()> {
        self.give(names, NAMES, Readers::All)
    }

    fn give(&mut self, data: SendBytes, says: u64, readers: Readers) -> Result<()> {
        while let Some((reader, number)) = self.board.slot_reader(self.seq) {
            self.wait_for_reuse(reader, number)?;
        }
        self.board.write_slot(self.seq, readers, self.label(says), data.words());
        Ok(())
    }

    fn wait_for_reuse(&mut self, reader: usize, number: u64) -> Result<()> {
        self.board.begin_reuse_wait();
        let result = self.wait_for_number(reader, number);
        self.board.end_reuse_wait();
        result
    }

    /// A member's contribution, once it has entered.
    pub(super) fn fetch_slot(&mut self, rank: Rank, into: ReceiveBytes) -> Result<()> {
        self.fetch(rank, into, into.len())
    }

    /// The names of a member's blocks for the stage, once it has entered.
    pub(super) fn fetch_names(&mut self, rank: Rank, into: ReceiveBytes) -> Result<()> {
        self.fetch(rank, into, NAMES)
    }

    fn fetch(&mut self, rank: Rank, into: ReceiveBytes, expected: u64) -> Result<()> {
        self.wait_for(rank)?;
        self.check(rank, self.board.slot_label(rank as usize, self.seq), expected)?;
        into.fill_from_words(self.board.read_slot(rank as usize, self.seq));
        Ok(())
    }
}

/// The ranks in a barrier have not been in the same collectives before.
#[cold]
fn another_barrier(is_ahead: bool) -> Error {
    different_order(match is_ahead {
        true => {
            "the rank that came last to this barrier has been in collectives that this rank has not".into()
        }
        false => "the rank that came last to this barrier has not been in all collectives that this rank has"
            .into(),
    })
}

/// Who waits for this rank to enter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waiting {
    Nobody,
    Rank(Rank),
    All,
}
