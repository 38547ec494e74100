//! What the programs do with the bytes of their messages: the same as the bare machine's do.

use super::Result;
use ringmpi::{Communicator, Plain, SharedBuffer, bytemuck::Zeroable};

/// Bytes that a rank rewrites before it sends them.
pub(super) struct Outgoing {
    memory: Memory<u8>,
    messages: u64,
}

/// Values that a rank sends.
pub(super) enum Memory<T: Plain> {
    Private(Vec<T>),
    /// In memory that the receivers can read.
    Shared(SharedBuffer<T>),
}

/// Where a rank receives.
pub(super) struct Incoming {
    bytes: Vec<u8>,
    messages: u64,
}

impl Outgoing {
    /// Written once, so that the buffer has its pages.
    pub(super) fn new(world: &Communicator<'_>, len: usize, shared: bool) -> Result<Self> {
        let mut memory = Memory::new(world, len, shared)?;
        write(memory.values_mut(), 0);
        Ok(Self { memory, messages: 0 })
    }

    /// The message to send next: rewritten if the programs touch their payload.
    #[inline]
    pub(super) fn next(&mut self, touch: bool) -> &[u8] {
        if touch {
            self.messages += 1;
            write(self.memory.values_mut(), self.messages);
        }
        self.as_slice()
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        self.memory.values()
    }
}

impl<T: Plain + Zeroable> Memory<T> {
    /// Zeros.
    pub(super) fn new(world: &Communicator<'_>, len: usize, shared: bool) -> Result<Self> {
        Ok(match shared {
            true => Self::Shared(world.alloc(len)?),
            false => Self::Private(vec![T::zeroed(); len]),
        })
    }

    #[inline]
    pub(super) fn values(&self) -> &[T] {
        match self {
            Self::Private(values) => values,
            Self::Shared(values) => values,
        }
    }

    #[inline]
    pub(super) fn values_mut(&mut self) -> &mut [T] {
        match self {
            Self::Private(values) => values,
            Self::Shared(values) => values,
        }
    }
}

impl Incoming {
    /// Written once, so that the buffer has its pages.
    pub(super) fn new(len: usize) -> Self {
        Self { bytes: vec![1; len], messages: 0 }
    }

    #[inline]
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Reads the message that has come, if the programs touch their payload.
    #[inline]
    pub(super) fn read(&mut self, touch: bool) -> Result<()> {
        self.messages += u64::from(touch);
        if touch { check(&self.bytes, self.messages) } else { Ok(()) }
    }

    /// Whether the last message is the peer's.
    pub(super) fn check(&self) -> Result<()> {
        check(&self.bytes, self.messages)
    }
}

/// The first word of message number `number`.
fn first_word(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Writes every word of a message; bytes behind the last whole word stay as they are.
#[inline]
pub(super) fn write(bytes: &mut [u8], number: u64) {
    let mut word = first_word(number);
    for place in bytes.chunks_exact_mut(8) {
        place.copy_from_slice(&word.to_ne_bytes());
        word = word.wrapping_add(1);
    }
}

/// Reads every word of a message, and checks that it is number `number`.
#[inline]
pub(super) fn check(bytes: &[u8], number: u64) -> Result<()> {
    let (words, first) = (bytes.len() as u64 / 8, first_word(number));
    let expected = words.wrapping_mul(first).wrapping_add(words * words.saturating_sub(1) / 2);
    if sum(bytes) == expected { Ok(()) } else { Err(wrong(bytes.len(), number)) }
}

#[inline]
fn sum(bytes: &[u8]) -> u64 {
    let word = |place: &[u8]| place.try_into().map_or(0, u64::from_ne_bytes);
    bytes.chunks_exact(8).fold(0, |sum, place| sum.wrapping_add(word(place)))
}

#[cold]
fn wrong(len: usize, number: u64) -> Box<dyn std::error::Error + Send + Sync> {
    format!("message {number} of {len} bytes is not the one that was sent").into()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_message_passes_only_as_itself() {
        for len in [8, 9, 64, 1000] {
            let mut bytes = vec![0; len];
            write(&mut bytes, 7);
            assert!(check(&bytes, 7).is_ok());
            assert!(check(&bytes, 8).is_err());
            bytes[5] ^= 1;
            assert!(check(&bytes, 7).is_err(), "a wrong byte among {len}");
        }
    }
}
