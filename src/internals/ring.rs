//! One ring, each half for a thread of its own.

use crate::{
    error::Result,
    shm::{
        ring::{Consumer, Producer},
        segment::Segment,
    },
};

/// The half that sends.
pub struct Sender(Producer);

/// The half that receives.
pub struct Receiver(Consumer);

/// A ring on the heap.
///
/// # Errors
/// No memory.
pub fn ring() -> Result<(Sender, Receiver)> {
    let segment = Segment::on_heap(2)?;
    let ((cells, line), start) = (segment.ring(1, 0), segment.starts().ring);
    let sender = Sender(Producer::new(cells.clone(), line.clone(), start));
    Ok((sender, Receiver(Consumer::new(cells, line, start))))
}

impl Sender {
    /// Sends a word. False if the ring is full, as far as the receiver has said.
    #[inline]
    pub fn push(&mut self, word: u64) -> bool {
        let has_room = self.0.find_room().unwrap_or(false);
        if has_room {
            self.0.push(0, &[word]);
        }
        has_room
    }
}

impl Receiver {
    /// Takes the next word, and says so to the sender as often as a rank does.
    #[inline]
    pub fn pop(&mut self) -> Option<u64> {
        self.0.peek()?;
        let word = self.0.word(1);
        if self.0.pop() {
            self.0.publish();
        }
        Some(word)
    }
}
