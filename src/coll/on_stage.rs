//! One operation on a communicator's stage: as on its board ([`on_board`](super::on_board)), whose numbers and flags
//! it uses, with parts of up to [`PART_BYTES`].

use super::{
    call::{Call, mismatch},
    on_board::{Operation, Waiting},
};
use crate::{
    buffer::{self, ReceiveBytes, SendBytes},
    communicator::{Communicator, SharedBoard, StageState},
    error::{Error, Result},
    p2p::schedule::check_size,
    shm::{
        pool::Block,
        stage::{ROOM_BYTES, Room, STAGE_BLOCKS, Stage, StageBlocks},
    },
    types::Rank,
};

/// Bytes before a part: in the first operation of a call, what call it is.
const HEADER_BYTES: u64 = 64;

/// The longest part.
pub(super) const PART_BYTES: u64 = ROOM_BYTES - HEADER_BYTES;

/// What a member says of its call: the number of its first operation, the call, and its length in bytes.
type Header = [u64; 3];

/// What a member tells of its blocks that has none.
const NO_BLOCK: u64 = u64::MAX;

/// Whether the members have a stage. At first all of them find out, in an operation on the board: all come here in
/// the same call.
pub(super) fn has_stage(comm: &Communicator<'_>, board: &mut SharedBoard, call: Call) -> Result<bool> {
    if let StageState::Unknown = board.stage {
        let own = comm.engine().take_stage()?;
        let stage = exchange(comm, board, call, own);
        if let (Ok(None) | Err(_), Some(own)) = (&stage, own) {
            comm.engine().put_back_stage(own);
        }
        board.stage = stage?.map_or(StageState::None, StageState::Ready);
    }
    Ok(matches!(board.stage, StageState::Ready(_)))
}

/// All members' blocks, if all have some.
fn exchange(
    comm: &Communicator<'_>,
    board: &mut SharedBoard,
    call: Call,
    own: Option<StageBlocks>,
) -> Result<Option<Stage>> {
    let mine: [u64; STAGE_BLOCKS] = own.map_or([NO_BLOCK; STAGE_BLOCKS], |own| own.map(Block::to_word));
    let mut operation = Operation::new(comm, board.get(), call)?;
    operation.give_names(buffer::of_slice(&mine))?;
    operation.enter(Waiting::All);
    let (mut members, mut is_whole) = (Vec::with_capacity(comm.size() as usize), true);
    for (rank, peer) in (0..comm.size()).zip(comm.local().group.iter()) {
        let mut words = mine;
        if rank != comm.rank() {
            operation.fetch_names(rank, buffer::of_slice_mut(&mut words))?;
        }
        is_whole &= !words.contains(&NO_BLOCK);
        members.push((comm.engine().blocks_of(peer), words.map(Block::from_word)));
    }
    if !is_whole {
        return Ok(None);
    }
    let stage = Stage::new(members);
    stage.map(Some).ok_or_else(|| Error::corrupt("a member of a communicator names blocks that do not exist"))
}

/// A call of a collective on the stage, of one operation or more.
pub(super) struct Staged<'a, 'c, 'u> {
    operation: Operation<'a, 'c, 'u>,
    stage: &'a mut Stage,
    room: Room,
    header: Header,
    is_first: bool,
}

impl<'a, 'c, 'u> Staged<'a, 'c, 'u> {
    /// `bytes`: a length that all members have to give alike.
    pub(super) fn new(
        comm: &'c Communicator<'u>,
        board: &'a mut SharedBoard,
        call: Call,
        bytes: u64,
    ) -> Result<Self> {
        let (board, stage) = board.parts();
        let stage = stage.expect("the caller has asked for it");
        let operation = Operation::new(comm, board, call)?;
        let header = [operation.number(), call.word(), bytes];
        Ok(Self { operation, stage, room: Room::NONE, header, is_first: true })
    }

    pub(super) fn comm(&self) -> &'c Communicator<'u> {
        self.operation.comm()
    }

    fn me(&self) -> usize {
        self.comm().rank() as usize
    }

    /// From now on the next operation of the call.
    pub(super) fn next(&mut self) {
        self.operation.go_on();
        self.is_first = false;
    }

    /// Room for parts of up to so many bytes: once an operation, by all members alike.
    pub(super) fn take_room(&mut self, bytes: u64) {
        self.room = self.stage.take(self.operation.number(), HEADER_BYTES + bytes);
    }

    /// As [`take_room`](Self::take_room), and waits until this member may write its part there.
    pub(super) fn make_room(&mut self, bytes: u64) -> Result<()> {
        self.take_room(bytes);
        self.wait_for_room()
    }

    /// Waits until this member may write its part: once an operation, before the first [`put`](Self::put).
    pub(super) fn wait_for_room(&mut self) -> Result<()> {
        if let Some(number) = self.room.free_at {
            self.operation.wait_for_passage(number)?;
        }
        if self.is_first {
            let from = buffer::of_slice(&self.header);
            from.pack(self.stage.part(self.me(), self.room, 0, from.len()));
        }
        Ok(())
    }

    /// Puts bytes into this member's part.
    pub(super) fn put(&self, offset: u64, from: SendBytes) {
        from.pack(self.stage.part(self.me(), self.room, HEADER_BYTES + offset, from.len()));
    }

    /// Says that this member's part is there, and that it has left all operations before.
    pub(super) fn enter(&mut self, waiting: Waiting) {
        self.operation.enter(waiting);
    }

    /// Waits for a member's part.
    pub(super) fn wait_for(&mut self, rank: Rank) -> Result<()> {
        self.operation.wait_for(rank)?;
        if self.is_first { self.check(rank) } else { Ok(()) }
    }

    pub(super) fn wait_for_others(&mut self) -> Result<()> {
        let me = self.comm().rank();
        (0..self.comm().size()).filter(|rank| *rank != me).try_for_each(|rank| self.wait_for(rank))
    }

    /// Whether the member is in the same call, with the same length.
    fn check(&self, rank: Rank) -> Result<()> {
        let mut theirs: Header = [0; 3];
        let into = buffer::of_slice_mut(&mut theirs);
        into.unpack(self.stage.part(rank as usize, self.room, 0, into.len()));
        let [first, call, bytes] = theirs;
        let [our_first, our_call, our_bytes] = self.header;
        if (first, call) != (our_first, our_call) {
            return Err(match first == our_first {
                true => mismatch(rank, Some(call), self.operation.call()),
                // It is in a call that has no header.
                false => self.operation.elsewhere(rank),
            });
        }
        check_size(self.operation.call().function, rank, bytes, our_bytes)
    }

    /// Bytes of a member's part, for which this one has waited.
    pub(super) fn get(&self, rank: Rank, offset: u64, into: ReceiveBytes) {
        into.unpack(self.stage.part(rank as usize, self.room, HEADER_BYTES + offset, into.len()));
    }
}
