//! Packets: what a cell means.
//!
//! | word | bits | content |
//! | --- | --- | --- |
//! | 0 | 32–39 | [`Kind`] |
//! | 0 | 40–47 | inline payload bytes |
//! | 0 | 48 | the sender waits until the message is matched |
//! | 1 | | context id, tag — or the request of the other side |
//! | 2 | 0–31 | the sender's rank in the communicator; of overlapping collectives, with a mark |
//! | 2 | 32–63 | of an RTS: how often its sender had revoked places |
//! | 3–7 | | payload, or what the kind needs |
//!
//! A packet is read word by word, once, and then checked: a peer that scribbles over the ring can
//! end the job, not break this process's memory.

use super::{inquiry::Inquiry, request::RequestId};
use crate::{
    buffer::{INLINE_BYTES, INLINE_WORDS},
    envelope::Envelope,
    error::{Error, Result},
    shm::{
        pool::Block,
        ring::{CELL_WORDS, Consumer},
    },
    status::BYTES_MAX,
    types::ContextId,
};

/// Words of a cell behind the sequence word.
pub(super) const WORDS: usize = CELL_WORDS - 1;

/// Packet kinds. 16 and above are reserved for one-sided communication and jobs that grow:
/// PUT 16, GET 17, ACC 18, CAS 19, LOCK 20, UNLOCK 21, FLUSH 22, ACK 23, REVOKE 24, PART_READY 25,
/// CONNECT 26.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The whole message, in the cell.
    Eager = 1,
    /// A message in one block.
    InBlock = 2,
    /// The first piece of an eager message of several.
    Stream = 3,
    /// The next piece of the message that the last `Stream` began.
    Piece = 4,
    /// Ready to send: an envelope whose data stays with the sender.
    Rts = 5,
    /// Clear to send.
    Cts = 6,
    /// A piece of a message that was cleared.
    Data = 7,
    /// The receiver has what it needs: the send is complete.
    Fin = 8,
    /// Whether a rank that leaves still has a part in a collective.
    Inquiry = 9,
    /// It has none.
    Never = 10,
}

const SYNCHRONOUS: u32 = 1 << 16;

/// The first word's upper half for a plain eager message: what the fast paths write and look for.
#[inline]
pub(super) fn eager_head(bytes: u64) -> u32 {
    Kind::Eager as u32 | (bytes as u32) << 8
}

/// A message that is whole in one packet and whose sender does not wait for its match: what the fast
/// paths of receives take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) envelope: Envelope,
    /// Where the payload is, if not in the cell.
    pub(super) block: Option<Block>,
}

impl Plain {
    /// What the cell holds, if it is plain.
    #[inline(always)]
    pub(super) fn of_cell(head: u32, cell: &Consumer) -> Option<Self> {
        const EAGER: u32 = Kind::Eager as u32;
        const IN_BLOCK: u32 = Kind::InBlock as u32;
        let inline = u64::from(head >> 8 & 0xff);
        // The head of a synchronous message has another bit set.
        let (bytes, block) = match head & (0xff | SYNCHRONOUS) {
            EAGER if inline <= INLINE_BYTES => (inline, None),
            IN_BLOCK => (cell.word(4), Some(Block::from_word(cell.word(3)))),
            _ => return None,
        };
        Some(Self { envelope: envelope_of_words(cell.word(1), cell.word(2), bytes), block })
    }
}

#[inline]
pub(super) fn envelope_words(envelope: &Envelope) -> (u64, u64) {
    let first = u64::from(envelope.context.0) | u64::from(envelope.tag as u32) << 32;
    (first, u64::from(envelope.source as u32))
}

#[inline]
fn envelope_of_words(first: u64, second: u64, bytes: u64) -> Envelope {
    Envelope {
        context: ContextId(first as u32),
        source: second as u32 as i32,
        tag: (first >> 32) as u32 as i32,
        bytes,
    }
}

/// A cell's contents without the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) head: u32,
    pub(super) words: [u64; WORDS],
    pub(super) used: usize,
}

/// A packet, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    Eager { envelope: Envelope, synchronous: Option<RequestId>, words: [u64; INLINE_WORDS] },
    InBlock { envelope: Envelope, synchronous: Option<RequestId>, block: Block },
    Stream { envelope: Envelope, synchronous: Option<RequestId>, block: Block },
    Piece { block: Block, bytes: u64 },
    Rts(Rts),
    Cts(Cts),
    Data { receive: RequestId, block: Block, bytes: u64, nanos: u64 },
    Fin { send: RequestId },
    Inquiry(Inquiry),
    Never { message: RequestId },
}

/// An envelope whose data stays with the sender until the receiver asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rts {
    pub(super) envelope: Envelope,
    pub(super) send: RequestId,
    pub(super) place: Place,
    /// What the sender's count of revocations was: if it is more after the data has been read in
    /// place, that was too late.
    pub(super) revocations: u32,
}

/// What the receiver of an announced message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cts {
    pub(super) send: RequestId,
    pub(super) receive: RequestId,
    /// What lies before has been read in place.
    pub(super) offset: u64,
    pub(super) is_large: bool,
    /// The sender says how long it has copied.
    pub(super) is_timed: bool,
}

/// How a receiver may reach the data by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Not at all: it is not contiguous.
    Unreachable,
    /// In the sender's private memory, at this address.
    Private(u64),
    /// In the sender's arena, at this offset; and at this address in its memory.
    Arena { offset: u64, address: u64 },
}

/// Payload bytes of a synchronous eager message that fit into a cell beside the request.
pub(super) const SYNCHRONOUS_INLINE_BYTES: u64 = INLINE_BYTES - 8;

impl Packet {
    pub(super) fn encode(&self) -> Encoded {
        match *self {
            Self::Eager { envelope, synchronous, words } => {
                let mut encoded = with_envelope(Kind::Eager, &envelope, synchronous);
                encoded.head |= (envelope.bytes as u32) << 8;
                let last = INLINE_WORDS - usize::from(synchronous.is_some());
                encoded.words[2..2 + last].copy_from_slice(&words[..last]);
                encoded
            }
            Self::InBlock { envelope, synchronous, block } => {
                with_block(Kind::InBlock, &envelope, synchronous, block)
            }
            Self::Stream { envelope, synchronous, block } => {
                with_block(Kind::Stream, &envelope, synchronous, block)
            }
            Self::Piece { block, bytes } => plain(Kind::Piece, [0, 0, block.to_word(), bytes, 0]),
            Self::Rts(Rts { envelope, send, place, revocations }) => {
                let mut encoded = with_envelope(Kind::Rts, &envelope, Some(send));
                let (kind, address, offset) = match place {
                    Place::Unreachable => (0, 0, 0),
                    Place::Private(address) => (1, address, 0),
                    Place::Arena { offset, address } => (2, address, offset),
                };
                encoded.words[1] |= u64::from(revocations) << 32;
                encoded.words[2..6].copy_from_slice(&[envelope.bytes, kind, address, offset]);
                encoded
            }
            Self::Cts(Cts { send, receive, offset, is_large, is_timed }) => {
                let flags = u64::from(is_large) | u64::from(is_timed) << 1;
                plain(Kind::Cts, [send.to_word(), 0, receive.to_word(), offset, flags])
            }
            Self::Data { receive, block, bytes, nanos } => {
                plain(Kind::Data, [receive.to_word(), 0, block.to_word(), bytes, nanos])
            }
            Self::Fin { send } => plain(Kind::Fin, [send.to_word(), 0, 0, 0, 0]),
            Self::Inquiry(Inquiry { message, context, tag, is_sent }) => {
                let channel = u64::from(context.0) | u64::from(tag as u32) << 32;
                plain(Kind::Inquiry, [message.to_word(), 0, channel, is_sent.into(), 0])
            }
            Self::Never { message } => plain(Kind::Never, [message.to_word(), 0, 0, 0, 0]),
        }
    }

    /// Errs for anything that no correct sender writes.
    pub(super) fn decode(head: u32, words: &[u64; WORDS]) -> Result<Self> {
        let inline = u64::from(head >> 8 & 0xff);
        let envelope = |bytes| envelope_of_words(words[0], words[1], bytes);
        let synchronous = (head & SYNCHRONOUS != 0).then(|| RequestId::from_word(words[6]));
        let block = Block::from_word(words[2]);
        let packet = match head as u8 {
            1 if inline <= INLINE_BYTES => {
                let mut payload = [0; INLINE_WORDS];
                payload.copy_from_slice(&words[2..]);
                Self::Eager { envelope: envelope(inline), synchronous, words: payload }
            }
            2 => Self::InBlock { envelope: envelope(words[3]), synchronous, block },
            3 => Self::Stream { envelope: envelope(words[3]), synchronous, block },
            4 => Self::Piece { block, bytes: words[3] },
            5 if words[2] > BYTES_MAX => {
                return Err(Error::corrupt(format!("an RTS of {} bytes", words[2])));
            }
            5 => {
                let place = match words[3] {
                    0 => Place::Unreachable,
                    1 => Place::Private(words[4]),
                    2 => Place::Arena { address: words[4], offset: words[5] },
                    other => return Err(Error::corrupt(format!("an RTS with data at place {other}"))),
                };
                let (send, revocations) = (RequestId::from_word(words[6]), (words[1] >> 32) as u32);
                Self::Rts(Rts { envelope: envelope(words[2]), send, place, revocations })
            }
            6 => Self::Cts(Cts {
                send: RequestId::from_word(words[0]),
                receive: RequestId::from_word(words[2]),
                offset: words[3],
                is_large: words[4] & 1 != 0,
                is_timed: words[4] & 2 != 0,
            }),
            7 => Self::Data {
                receive: RequestId::from_word(words[0]),
                block,
                bytes: words[3],
                nanos: words[4],
            },
            8 => Self::Fin { send: RequestId::from_word(words[0]) },
            9 => Self::Inquiry(Inquiry {
                message: RequestId::from_word(words[0]),
                context: ContextId(words[2] as u32),
                tag: (words[2] >> 32) as u32 as i32,
                is_sent: words[3] & 1 != 0,
            }),
            10 => Self::Never { message: RequestId::from_word(words[0]) },
            kind => {
                return Err(Error::corrupt(format!("a packet of kind {kind} with {inline} inline bytes")));
            }
        };
        Ok(packet)
    }
}

fn with_envelope(kind: Kind, envelope: &Envelope, request: Option<RequestId>) -> Encoded {
    let (first, second) = envelope_words(envelope);
    let mut encoded = plain(kind, [first, second, 0, 0, 0]);
    encoded.used = WORDS;
    if let Some(request) = request {
        encoded.head |= SYNCHRONOUS;
        encoded.words[6] = request.to_word();
    }
    encoded
}

fn with_block(kind: Kind, envelope: &Envelope, request: Option<RequestId>, block: Block) -> Encoded {
    let mut encoded = with_envelope(kind, envelope, request);
    encoded.words[2] = block.to_word();
    encoded.words[3] = envelope.bytes;
    encoded
}

fn plain(kind: Kind, first: [u64; 5]) -> Encoded {
    let mut words = [0; WORDS];
    words[..5].copy_from_slice(&first);
    Encoded { head: kind as u32, words, used: 5 }
}

/// Decodes anything without a panic, and what it accepts comes out the same again.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let mut bytes = [0; 4 + 8 * WORDS];
    let len = data.len().min(bytes.len());
    bytes[..len].copy_from_slice(&data[..len]);
    let (head, rest) = bytes.split_at(4);
    let head = u32::from_le_bytes(head.try_into().expect("four bytes"));
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(rest.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    }
    if let Ok(packet) = Packet::decode(head, &words) {
        let Encoded { head, words, .. } = packet.encode();
        assert_eq!(Packet::decode(head, &words).expect("own encoding decodes"), packet);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_packet_survives_its_cell() {
        let envelope = Envelope { context: ContextId(7), source: 3, tag: i32::MAX, bytes: 24 };
        let request = RequestId::new(5, u32::MAX);
        let block = Block { index: 9, generation: 1 << 31 };
        let rts = |place| Packet::Rts(Rts { envelope, send: request, place, revocations: u32::MAX });
        let cts = Cts { send: request, receive: request, offset: 0, is_large: false, is_timed: false };
        let inquiry = Inquiry { message: request, context: ContextId(7), tag: -1, is_sent: false };
        let packets = [
            Packet::Eager { envelope, synchronous: None, words: [1, 2, 3, 0, 0] },
            Packet::Eager { envelope, synchronous: Some(request), words: [1, 2, 3, 0, request.to_word()] },
            Packet::InBlock { envelope, synchronous: Some(request), block },
            Packet::Stream { envelope, synchronous: None, block },
            Packet::Piece { block, bytes: 17 },
            rts(Place::Private(u64::MAX)),
            rts(Place::Arena { offset: 4096, address: 1 << 47 }),
            rts(Place::Unreachable),
            Packet::Cts(Cts { offset: 1 << 40, is_large: true, ..cts }),
            Packet::Cts(Cts { is_timed: true, ..cts }),
            Packet::Data { receive: request, block, bytes: 1 << 17, nanos: 5 },
            Packet::Fin { send: request },
            Packet::Inquiry(inquiry),
            Packet::Inquiry(Inquiry { tag: i32::MAX, is_sent: true, ..inquiry }),
            Packet::Never { message: request },
        ];
        for packet in packets {
            let Encoded { head, words, .. } = packet.encode();
            assert_eq!(Packet::decode(head, &words).unwrap(), packet);
        }
    }

    #[test]
    fn an_announcement_of_more_than_a_status_can_tell_is_refused() {
        let longest = Envelope { context: ContextId(7), source: 3, tag: 0, bytes: BYTES_MAX };
        let (send, place) = (RequestId::new(5, 1), Place::Unreachable);
        for (bytes, is_good) in [(BYTES_MAX, true), (BYTES_MAX + 1, false), (u64::MAX, false)] {
            let envelope = Envelope { bytes, ..longest };
            let Encoded { head, words, .. } =
                Packet::Rts(Rts { envelope, send, place, revocations: 0 }).encode();
            assert_eq!(Packet::decode(head, &words).is_ok(), is_good);
        }
    }

    #[test]
    fn only_whole_messages_that_nobody_waits_for_are_plain() {
        let envelope = Envelope { context: ContextId(7), source: 3, tag: 1, bytes: 24 };
        let block = Block { index: 9, generation: 1 };
        let request = RequestId::new(5, 1);
        let plain = |packet: Packet| {
            let (mut producer, consumer) = crate::shm::ring::on_heap(0);
            let Encoded { head, words, used } = packet.encode();
            producer.push(head, &words[..used]);
            Plain::of_cell(head, &consumer)
        };
        let words = [0; INLINE_WORDS];
        let inline = |synchronous| plain(Packet::Eager { envelope, synchronous, words });
        let in_block = |synchronous| plain(Packet::InBlock { envelope, synchronous, block });
        assert_eq!(inline(None), Some(Plain { envelope, block: None }));
        assert_eq!(in_block(None), Some(Plain { envelope, block: Some(block) }));
        assert_eq!((inline(Some(request)), in_block(Some(request))), (None, None));
        assert_eq!(plain(Packet::Stream { envelope, synchronous: None, block }), None);
        assert_eq!(plain(Packet::Fin { send: request }), None);
    }

    #[test]
    fn random_cells_never_panic() {
        let mut state = 1u64;
        for _ in 0..100_000 {
            let bytes: Vec<u8> = (0..60)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 33) as u8
                })
                .collect();
            fuzz(&bytes);
        }
    }
}
