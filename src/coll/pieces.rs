//! Pieces of large data that travel one behind the other, so that ranks in a row work at the same time.

use crate::buffer::ReceiveBytes;

/// Bytes of a piece: what is sent without being asked for, and a multiple of what elements are made of.
pub(super) const PIECE_BYTES: u64 = 64 * 1024;

/// At least one, also of nothing.
pub(super) fn of(data: ReceiveBytes) -> impl Iterator<Item = ReceiveBytes> {
    of_bytes(data, PIECE_BYTES)
}

/// Of whole elements of `unit` bytes.
pub(super) fn of_elements(data: ReceiveBytes, unit: u64) -> impl Iterator<Item = ReceiveBytes> {
    let unit = unit.max(1);
    of_bytes(data, (PIECE_BYTES / unit).max(1) * unit)
}

fn of_bytes(data: ReceiveBytes, bytes: u64) -> impl Iterator<Item = ReceiveBytes> {
    let count = data.len().div_ceil(bytes).max(1);
    (0..count).map(move |index| {
        let start = index * bytes;
        data.part(start, bytes.min(data.len() - start))
    })
}
