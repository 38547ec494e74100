//! One operation on a communicator's board: its steps, each followed by the wait that it needs.

use super::values;
use crate::{
    buffer::{self, Plain, ReceiveBytes, SendBytes},
    communicator::Communicator,
    error::Result,
    p2p::{Until, schedule::check_size},
    shm::board::{Board, Readers},
    types::Rank,
};

/// Operations that find what they wait for at once, between two polls.
const POLL_EVERY: u64 = 64;

/// An operation on a board, by its number.
pub(super) struct Operation<'a, 'c, 'u> {
    comm: &'c Communicator<'u>,
    board: &'a mut Board,
    seq: u64,
}

impl<'a, 'c, 'u> Operation<'a, 'c, 'u> {
    pub(super) fn new(comm: &'c Communicator<'u>, board: &'a mut Board) -> Self {
        let seq = board.next();
        // Others may wait for this rank to take what they have sent, and its own collectives for a turn.
        if seq.is_multiple_of(POLL_EVERY) {
            comm.engine().look_in();
        }
        Self { comm, board, seq }
    }

    /// The operation's number.
    pub(super) fn number(&self) -> u64 {
        self.seq
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
        Ok(())
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
        let words = std::slice::from_ref(self.board.flag(member));
        let by = Rank::try_from(member).ok().and_then(|rank| self.comm.local().group.peer(rank));
        self.comm.engine().wait_until(Until::Words { words, at_least: number, by })
    }

    /// Waits until all members have entered.
    pub(super) fn wait_for_all(&mut self) -> Result<()> {
        while let Some(member) = self.board.missing(self.seq) {
            self.wait_for_number(member, self.seq)?;
        }
        Ok(())
    }

    /// The counted barrier.
    pub(super) fn arrive_and_wait(&mut self) -> Result<()> {
        if self.board.arrive(self.seq) {
            self.board.release(self.seq);
            self.ring_all();
            return Ok(());
        }
        if !self.board.is_released(self.seq) {
            // The last to arrive writes it, but if the next member has left without having seen it, nobody
            // will: so all learn of one who left, each from the next.
            let by = self.comm.local().group.peer((self.comm.rank() + 1) % self.comm.size());
            let words = std::slice::from_ref(self.board.released());
            self.comm.engine().wait_until(Until::Words { words, at_least: self.seq, by })?;
            // Notes what the wait has seen.
            let _ = self.board.is_released(self.seq);
        }
        Ok(())
    }

    /// The root's data, once nobody reads what was there.
    pub(super) fn write_window<T: Plain>(&mut self, data: &[T]) -> Result<()> {
        while let Some(reader) = self.board.window_reader(self.seq) {
            self.wait_for_reuse(reader, self.seq - 1)?;
        }
        self.board.write_window(self.seq, size_of_val(data), buffer::of_slice(data).words());
        Ok(())
    }

    pub(super) fn read_window<T: Plain>(&self, data: &mut [T], root: Rank) -> Result<()> {
        check_size(root, self.board.window_bytes(self.seq), size_of_val(data) as u64)?;
        let mut bits = buffer::aside::<T>(data.len())?;
        buffer::of_aside::<T>(&mut bits).fill_from_words(self.board.read_window(self.seq));
        data.copy_from_slice(values::<T>(&bits, root)?);
        Ok(())
    }

    /// As [`Self::give_slot`].
    pub(super) fn write_slot<T: Plain>(&mut self, data: &[T], readers: Readers) -> Result<()> {
        self.give_slot(buffer::of_slice(data), readers)
    }

    /// This rank's contribution, once nobody reads what was there.
    pub(super) fn give_slot(&mut self, data: SendBytes, readers: Readers) -> Result<()> {
        while let Some((reader, number)) = self.board.slot_reader(self.seq) {
            self.wait_for_reuse(reader, number)?;
        }
        self.board.write_slot(self.seq, readers, data.len() as usize, data.words());
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
        self.wait_for(rank)?;
        check_size(rank, self.board.slot_bytes(rank as usize, self.seq), into.len())?;
        into.fill_from_words(self.board.read_slot(rank as usize, self.seq));
        Ok(())
    }
}

/// Who waits for this rank to enter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waiting {
    Nobody,
    Rank(Rank),
    All,
}
