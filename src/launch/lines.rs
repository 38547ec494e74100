//! Lines out of a stream of bytes, in bounded memory.

/// The longest line that is kept whole until its end is there.
pub(super) const CAPACITY: usize = 16 << 10;

/// What has been read and not yet forwarded.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    bytes: Vec<u8>,
    /// Bytes up to the end of the last whole line.
    complete: usize,
}

impl LineBuffer {
    /// How many bytes still fit.
    pub(super) fn room(&self) -> usize {
        CAPACITY - self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether bytes wait for the end of their line.
    pub(super) fn has_partial_line(&self) -> bool {
        self.complete < self.bytes.len()
    }

    /// Adds what was read: at most [`Self::room`].
    pub(super) fn push(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.room());
        if let Some(newline) = bytes.iter().rposition(|&byte| byte == b'\n') {
            self.complete = self.bytes.len() + newline + 1;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// What to write next, at most `most` bytes: whole lines if possible; a line without end only
    /// if `partial` says so, or if no more of it fits here.
    pub(super) fn piece(&self, partial: bool, most: usize) -> &[u8] {
        let is_stuck = self.room() == 0 && self.complete == 0;
        let ready = if partial || is_stuck { &self.bytes } else { &self.bytes[..self.complete] };
        let Some(first) = ready.get(..most) else { return ready };
        match first.iter().rposition(|&byte| byte == b'\n') {
            Some(newline) => &first[..=newline],
            None => first,
        }
    }

    /// Forgets the first `count` bytes: they are written.
    pub(super) fn consume(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.complete = self.complete.saturating_sub(count);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn filled(bytes: &[u8]) -> LineBuffer {
        let mut buffer = LineBuffer::default();
        buffer.push(bytes);
        buffer
    }

    #[test]
    fn whole_lines_go_together_and_the_rest_waits() {
        let mut buffer = filled(b"one\ntwo\nthr");
        assert_eq!(buffer.piece(false, 4096), b"one\ntwo\n");
        buffer.consume(8);
        assert_eq!(buffer.piece(false, 4096), b"");
        assert!(buffer.has_partial_line());
        buffer.push(b"ee\n");
        assert_eq!(buffer.piece(false, 4096), b"three\n");
    }

    #[test]
    fn a_partial_line_is_given_only_on_demand() {
        let buffer = filled(b"prompt> ");
        assert_eq!(buffer.piece(false, 4096), b"");
        assert_eq!(buffer.piece(true, 4096), b"prompt> ");
    }

    #[test]
    fn a_piece_never_cuts_a_line_that_fits() {
        let buffer = filled(b"one\ntwo\nthree\n");
        assert_eq!(buffer.piece(false, 10), b"one\ntwo\n");
        assert_eq!(buffer.piece(false, 8), b"one\ntwo\n");
        assert_eq!(buffer.piece(false, 14), b"one\ntwo\nthree\n");
    }

    #[test]
    fn a_line_longer_than_a_piece_is_cut() {
        assert_eq!(filled(b"a long line\n").piece(false, 4), b"a lo");
    }

    #[test]
    fn a_line_longer_than_the_buffer_passes_through_in_bounded_memory() {
        let mut buffer = filled(&[b'x'; CAPACITY - 1]);
        assert_eq!(buffer.piece(false, 4096), b"");
        buffer.push(b"x");
        assert_eq!(buffer.room(), 0);
        assert_eq!(buffer.piece(false, 4096).len(), 4096);
        buffer.consume(4096);
        assert_eq!(buffer.room(), 4096);
    }

    #[test]
    fn every_byte_comes_out_once_and_in_order_however_it_went_in() {
        let text: Vec<u8> =
            (0..50_000_u32).map(|i| if i % 37 == 5 { b'\n' } else { b'a' + (i % 26) as u8 }).collect();
        for step in [1, 7, 100, 4096, CAPACITY] {
            let (mut buffer, mut out) = (LineBuffer::default(), Vec::new());
            let mut input = text.as_slice();
            while !input.is_empty() || !buffer.is_empty() {
                let (now, later) = input.split_at(input.len().min(step).min(buffer.room()));
                buffer.push(now);
                input = later;
                let piece = buffer.piece(input.is_empty(), 1000).to_vec();
                buffer.consume(piece.len());
                out.extend(piece);
            }
            assert!(out == text, "in steps of {step}");
        }
    }
}
