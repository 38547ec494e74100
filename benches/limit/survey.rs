//! The schemes that compete for a message, those likely to win first.

use super::copy::Kind;
use super::memory::STAGING;
use super::payload::Buffers;
use super::ring::CELL_BYTES;
use super::scheme::Scheme;

/// The pieces that are tried for messages above `ONE_PIECE`.
const PIECES: [usize; 7] = [16 << 10, 8 << 10, 32 << 10, 4 << 10, 64 << 10, 2 << 10, 128 << 10];

/// The working sets that are tried with them.
const SETS: [usize; 6] = [256 << 10, STAGING, 1 << 20, 512 << 10, 128 << 10, 64 << 10];

/// Messages up to here travel in one piece of their own length.
const ONE_PIECE: usize = 4 << 10;

/// The numbers of slots that are tried for those.
const SLOTS: [usize; 6] = [32, 8, 16, 64, 4, 2];

/// All schemes for messages of `bytes`; the kernel's only if it `may_copy`.
pub(super) fn candidates(bytes: usize, buffers: Buffers, may_copy: bool) -> Vec<Scheme> {
    if bytes <= CELL_BYTES {
        let ways = [(false, false), (true, false), (false, true), (true, true)];
        return ways.map(|(demote, paced)| Scheme::Cell { demote, paced }).into();
    }
    match buffers {
        Buffers::Shared => readers().map(|kind| Scheme::Direct { kind }).collect(),
        Buffers::Private if may_copy => {
            [Scheme::Cma, Scheme::CmaBoth].into_iter().chain(staged(bytes)).collect()
        }
        Buffers::Private => staged(bytes).collect(),
    }
}

/// Kinds for the receiver, whose program wants the bytes in its cache.
fn readers() -> impl Iterator<Item = Kind> {
    Kind::available().iter().copied().filter(|kind| *kind != Kind::NonTemporal)
}

fn staged(bytes: usize) -> impl Iterator<Item = Scheme> {
    let staged =
        |(piece, slots)| kinds().map(move |(write, read)| Scheme::Staged { piece, slots, write, read });
    slots(bytes).into_iter().flat_map(staged)
}

/// Kinds for both sides: the receiver's follows the sender's, which makes more of a difference.
fn kinds() -> impl Iterator<Item = (Kind, Kind)> {
    Kind::available().iter().map(|&write| match write {
        Kind::NonTemporal => (write, Kind::Vector),
        plain => (plain, plain),
    })
}

/// Lengths of pieces, each with numbers of slots.
fn slots(bytes: usize) -> Vec<(usize, usize)> {
    if bytes <= ONE_PIECE {
        let piece = bytes.next_multiple_of(64);
        return SLOTS.map(|slots| (piece, slots)).into();
    }
    let pieces = PIECES.into_iter().filter(|piece| *piece < 2 * bytes);
    let sets =
        |piece| SETS.into_iter().filter(move |set| *set >= 2 * piece).map(move |set| (piece, set / piece));
    pieces.flat_map(sets).collect()
}
