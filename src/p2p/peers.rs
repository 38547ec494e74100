//! The table of peers: what a rank has for every rank that it may talk to.
//!
//! Only [`Peer::new`] knows where a peer's words lie; everything else goes by [`PeerId`].

use super::{
    Config,
    arrive::{RELEASE_BATCH, StreamTarget},
    credit::Credits,
    packet::{Encoded, Packet, Plain},
    pull::Reach,
    request::RequestId,
};
use crate::{
    buffer::ReceiveBytes,
    error::{Error, Result},
    shm::{
        doorbell::Doorbell,
        pool::{Block, Blocks, CLASSES},
        ring::{Consumer, Producer},
        segment::Segment,
        slot::Published,
    },
    types::PeerId,
};
use std::{collections::VecDeque, sync::Arc};

/// How a peer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Ring,
    /// This rank itself: messages go through matching only.
    ToSelf,
}

pub(super) struct Peer {
    /// The fast word: the link is a ring, nothing is queued to the peer, and shared memory has not been
    /// found corrupted. The fast paths test nothing else about it.
    pub(super) is_fast: bool,
    /// The receiver polls this peer's ring.
    pub(super) is_armed: bool,
    /// The peer is in the engine's list of peers with a backlog.
    pub(super) is_backlogged: bool,
    pub(super) link: Link,
    pub(super) producer: Producer,
    pub(super) consumer: Consumer,
    pub(super) bell: Doorbell,
    pub(super) credits: Credits,
    /// The peer's blocks, which its packets name.
    pub(super) blocks: Blocks,
    /// Blocks of the peer that have been read, and are handed back at the next publishing.
    pub(super) unreleased: Vec<Block>,
    pub(super) published: Published,
    /// How this rank reads the peer's memory.
    pub(super) reach: Reach,
    /// This rank and others have waited for each other in sends to the peer.
    pub(super) had_cycle: bool,
    /// Polls of the ring since its last packet.
    pub(super) silent_polls: u32,
    /// The peer's blocks that the unexpected queue holds, or will when their message is whole, by class.
    pub(super) held: [u32; CLASSES.len()],
    /// Where the next piece of an eager message of several goes.
    pub(super) stream: Option<StreamTarget>,
    /// Control packets that found no room. They go first: they free what others wait for. Bounded
    /// by the requests in flight on both sides.
    pub(super) control: VecDeque<Packet>,
    /// Sends that are not all published, in program order.
    pub(super) sends: VecDeque<RequestId>,
    /// Sends that the peer has cleared. They have been matched: no order binds them.
    pub(super) bulk: VecDeque<RequestId>,
}

impl Peer {
    pub(super) fn new(segment: &Arc<Segment>, me: PeerId, id: PeerId, config: &Config) -> Self {
        let starts = segment.starts();
        let (out_cells, out_line) = segment.ring(id.index(), me.index());
        let (in_cells, in_line) = segment.ring(me.index(), id.index());
        let link = if id == me { Link::ToSelf } else { Link::Ring };
        Self {
            is_fast: link == Link::Ring,
            is_armed: false,
            is_backlogged: false,
            link,
            producer: Producer::new(out_cells, out_line, starts.ring),
            consumer: Consumer::new(in_cells, in_line, starts.ring),
            bell: segment.doorbell(id.index(), config.mode),
            credits: Credits::new(config.credit, starts.credit),
            blocks: segment.blocks(id.index()).0,
            unreleased: Vec::new(),
            published: segment.published(id.index()),
            reach: Reach::default(),
            had_cycle: false,
            silent_polls: 0,
            held: [0; CLASSES.len()],
            stream: None,
            control: VecDeque::new(),
            sends: VecDeque::new(),
            bulk: VecDeque::new(),
        }
    }

    /// Whether a cell is free.
    #[inline]
    pub(super) fn find_room(&mut self) -> Result<bool> {
        self.producer.find_room().map_err(|bad| {
            Error::corrupt(format!("a receiver's head is {}, its sender's tail {}", bad.head, bad.tail))
        })
    }

    /// Publishes a packet; only after `find_room` said yes.
    pub(super) fn push(&mut self, me: PeerId, packet: &Packet) {
        let Encoded { head, words, used } = packet.encode();
        self.producer.push(head, &words[..used]);
        self.bell.announce(me.0);
    }

    /// Moves the plain message at the head of the ring to memory that it fits. False, and nothing is
    /// done, if it names a block that does not exist.
    #[inline(always)]
    pub(super) fn receive_plain(&mut self, plain: &Plain, into: ReceiveBytes) -> bool {
        let bytes = plain.envelope.bytes;
        if let Some(block) = plain.block {
            let Some(span) = self.blocks.span(block, bytes) else { return false };
            into.unpack(span);
            self.unreleased.push(block);
        } else if bytes <= 8 {
            into.store_word(self.consumer.word(3), bytes);
        } else {
            into.store_words(&std::array::from_fn(|index| self.consumer.word(3 + index)), bytes);
        }
        self.silent_polls = 0;
        let is_quarter = self.consumer.pop() | self.credits.give_back_eager(bytes);
        if is_quarter || self.unreleased.len() >= RELEASE_BATCH {
            self.publish_consumed();
        }
        true
    }

    /// Tells the peer what has been consumed: cells, credit and blocks. It may be waiting for any.
    pub(super) fn publish_consumed(&mut self) {
        let cells = self.consumer.publish();
        let credit = self.credits.publish(self.consumer.line());
        let blocks = !self.unreleased.is_empty();
        for block in self.unreleased.drain(..) {
            self.blocks.release(block);
        }
        if cells || credit || blocks {
            self.bell.ring();
        }
    }

    /// The peer takes nothing any more.
    pub(super) fn drop_backlog(&mut self) {
        self.control.clear();
        self.sends.clear();
        self.bulk.clear();
    }

    pub(super) fn has_backlog(&self) -> bool {
        !(self.control.is_empty() && self.sends.is_empty() && self.bulk.is_empty())
    }
}
