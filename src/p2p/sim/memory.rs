//! [`Memory`]: a message's bytes in a user's memory, between guards, in any shape.
//!
//! Where the bytes lie is worked out here, run by run, without the engine's cursor: what the cursor
//! does is checked against it.

use super::random::Random;
use crate::{
    buffer::{Held, Keep, ReceiveBuffer, SendBuffer, SharedBuffer},
    datatype::{Cursor, TypeMap},
    shm::arena::Arena,
};
use std::{
    io,
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// What every byte holds that no message has been stored in.
const GUARD: u8 = 0xa5;
/// What the bytes of a send hold once the engine has said that it needs them no more.
const SCRIBBLE: u8 = 0xee;
/// Bytes before and behind everything.
const MARGIN: usize = 32;
/// The most runs of a shape, so that large messages stay quick.
const RUNS_MAX: usize = 300;

pub(super) struct Memory {
    bytes: Bytes,
    /// (position, length) of every run, in packed order.
    runs: Vec<(usize, usize)>,
    /// Elements of a type and where displacement 0 lies; none if the bytes are contiguous.
    map: Option<(TypeMap, u64)>,
    base: usize,
    packed: u64,
}

enum Bytes {
    Private(Vec<u8>),
    /// In a rank's arena.
    Shared(SharedBuffer<u8>),
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Private(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Private(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// The contents of a message: they depend on every bit of the key.
pub(super) fn contents(key: u64, bytes: u64) -> Vec<u8> {
    let mut random = Random::new(key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut contents = Vec::with_capacity(bytes as usize + 8);
    while contents.len() < bytes as usize {
        contents.extend_from_slice(&random.word().to_le_bytes());
    }
    contents.truncate(bytes as usize);
    contents
}

impl Memory {
    /// Room for a message of `packed` bytes, in a shape that the seed decides.
    pub(super) fn new(seed: u64, packed: u64) -> Self {
        let mut random = Random::new(seed);
        let (size, skew) = (packed as usize, random.below(16));
        match random.below(7) {
            0 if size > 0 => Self::strided(&mut random, size, skew),
            1 if size > 0 => Self::indexed(&mut random, size, skew),
            2 if size > 0 => Self::repeated(&mut random, size, skew),
            3 if size > 0 => Self::structured(&mut random, size, skew),
            _ => Self::shaped(vec![(0, size)], None, size, skew),
        }
    }

    /// Equal blocks at equal distances.
    fn strided(random: &mut Random, size: usize, skew: usize) -> Self {
        let dividing: Vec<usize> = (1..=RUNS_MAX).filter(|count| size.is_multiple_of(*count)).collect();
        let count = random.pick(&dividing);
        let (block, gap) = (size / count, random.below(40));
        let stride = block + gap;
        let map = TypeMap::hvector(count as u64, block as u64, stride as i64, &byte());
        let runs = (0..count).map(|index| ((index * stride) as isize, block)).collect();
        Self::shaped(runs, Some((valid(map), 1)), size, skew)
    }

    /// Blocks of any size in any order, before and behind displacement 0.
    fn indexed(random: &mut Random, size: usize, skew: usize) -> Self {
        let (mut lengths, mut left) = (Vec::new(), size);
        let longest = (2 * size).div_ceil(random.between(1, RUNS_MAX / 2));
        while left > 0 {
            lengths.push(random.between(1, longest.min(left)));
            left -= lengths[lengths.len() - 1];
        }
        let mut places: Vec<usize> = (0..lengths.len()).collect();
        random.shuffle(&mut places);
        let mut runs = vec![(0, 0); lengths.len()];
        let mut at = -(random.below(size + 1) as isize);
        for place in places {
            runs[place] = (at, lengths[place]);
            at += (lengths[place] + random.below(9)) as isize;
        }
        let blocks: Vec<_> = runs.iter().map(|&(at, len)| (at as i64, len as u64)).collect();
        Self::shaped(runs, Some((valid(TypeMap::hindexed(&blocks, &byte())), 1)), size, skew)
    }

    /// Several elements of two runs each, with padding behind.
    fn repeated(random: &mut Random, size: usize, skew: usize) -> Self {
        let dividing: Vec<usize> = (1..=RUNS_MAX / 2).filter(|count| size.is_multiple_of(*count)).collect();
        let count = random.pick(&dividing);
        let element = size / count;
        let (first, gap, padding) = (random.below(element + 1), random.below(9), random.below(9));
        let extent = element + gap + padding;
        let blocks = [(0, first as u64), ((first + gap) as i64, (element - first) as u64)];
        let map = TypeMap::resized(0, extent as i64, &valid(TypeMap::hindexed(&blocks, &byte())));
        let runs_of = |index: usize| {
            let at = (index * extent) as isize;
            [(at, first), (at + (first + gap) as isize, element - first)]
        };
        let runs = (0..count).flat_map(runs_of).collect();
        Self::shaped(runs, Some((valid(map), count as u64)), size, skew)
    }

    /// Several structures, with members of different basic types, and vectors of such.
    fn structured(random: &mut Random, size: usize, skew: usize) -> Self {
        let dividing: Vec<usize> = (1..=RUNS_MAX / 10).filter(|count| size.is_multiple_of(*count)).collect();
        let count = random.pick(&dividing);
        let (mut members, mut runs_of_one, mut at, mut left) = (Vec::new(), Vec::new(), 0, size / count);
        while left > 0 {
            let basic = if members.len() < 3 { random.pick(&[1, 2, 4, 8]) } else { 1 };
            let most = if members.len() < 3 { left / basic } else { left };
            if most == 0 {
                continue;
            }
            // The last one takes what is left.
            let elements = if members.len() < 3 { random.between(1, most) } else { most };
            let dividing: Vec<usize> = (1..=3).filter(|times| elements.is_multiple_of(*times)).collect();
            let times = random.pick(&dividing);
            let (block, stride) = (elements / times, elements / times + random.below(3));
            let child = TypeMap::basic(basic as u32, basic as u32);
            let vector = valid(TypeMap::vector(times as u64, block as u64, stride as i64, &child));
            let is_vector = times > 1 || random.one_in(2);
            members.push(match is_vector {
                true => (at as i64, 1, vector),
                false => (at as i64, elements as u64, child),
            });
            runs_of_one.extend((0..times).map(|time| (at + time * stride * basic, block * basic)));
            at += ((times - 1) * stride + block) * basic + random.below(9);
            left -= elements * basic;
        }
        let extent = at + random.below(9);
        let map = TypeMap::resized(0, extent as i64, &valid(TypeMap::structure(&members)));
        let runs = (0..count).flat_map(|index| {
            runs_of_one.iter().map(move |&(at, len)| ((index * extent + at) as isize, len))
        });
        Self::shaped(runs.collect(), Some((valid(map), count as u64)), size, skew)
    }

    fn shaped(runs: Vec<(isize, usize)>, map: Option<(TypeMap, u64)>, packed: usize, skew: usize) -> Self {
        let lowest = runs.iter().map(|run| run.0).min().unwrap_or(0);
        let highest = runs.iter().map(|run| run.0 + run.1 as isize).max().unwrap_or(0);
        let place = |at: isize| (at - lowest) as usize + MARGIN + skew;
        let runs = runs.into_iter().map(|(at, len)| (place(at), len)).collect();
        let bytes = Bytes::Private(vec![GUARD; place(highest) + MARGIN]);
        let base = MARGIN as isize + skew as isize - lowest;
        Self { bytes, runs, map, base: base as usize, packed: packed as u64 }
    }

    /// How many bytes of a message fit.
    pub(super) fn packed_bytes(&self) -> u64 {
        self.packed
    }

    pub(super) fn send_buffer(&self) -> SendBuffer {
        let base = self.bytes.as_ptr().wrapping_add(self.base);
        match &self.map {
            Some((map, count)) => SendBuffer::mapped(base, cursor(map, *count)),
            None => SendBuffer::contiguous(base, self.packed),
        }
    }

    /// The engine writes through the buffer; until its request has ended nothing here may be used.
    pub(super) fn receive_buffer(&mut self) -> ReceiveBuffer {
        let base = self.bytes.as_mut_ptr().wrapping_add(self.base);
        match &self.map {
            Some((map, count)) => ReceiveBuffer::mapped(base, cursor(map, *count)),
            None => ReceiveBuffer::contiguous(base, self.packed),
        }
    }

    /// The same in a rank's arena.
    pub(super) fn moved_to(self, arena: Arc<Arena>) -> io::Result<Self> {
        let mut shared = SharedBuffer::zeroed(arena, self.bytes.len())?;
        shared.copy_from_slice(&self.bytes);
        Ok(Self { bytes: Bytes::Shared(shared), ..self })
    }

    /// Gives the memory to whoever uses it last.
    pub(super) fn into_keep(self) -> Keep {
        match self.bytes {
            Bytes::Private(bytes) => Keep::from(bytes),
            Bytes::Shared(bytes) => Held::new(bytes).into_keep(),
        }
    }

    pub(super) fn fill(&mut self, contents: &[u8]) {
        let mut rest = contents;
        for &(at, len) in &self.runs {
            let (part, behind) = rest.split_at(len.min(rest.len()));
            self.bytes[at..at + part.len()].copy_from_slice(part);
            rest = behind;
        }
    }

    pub(super) fn scribble(&mut self) {
        self.bytes.fill(SCRIBBLE);
    }

    /// Whether the memory holds this message at its beginning, and guards everywhere else; else
    /// what is wrong.
    pub(super) fn check(&self, message: &[u8]) -> Result<(), String> {
        let mut expected = Self {
            bytes: Bytes::Private(vec![GUARD; self.bytes.len()]),
            runs: self.runs.clone(),
            map: None,
            base: self.base,
            packed: self.packed,
        };
        expected.fill(message);
        if *self.bytes == *expected.bytes {
            return Ok(());
        }
        let Some(wrong) = (0..self.bytes.len()).find(|&at| self.bytes[at] != expected.bytes[at]) else {
            return Ok(());
        };
        let (found, wanted) = (self.bytes[wrong], expected.bytes[wrong]);
        let mut packed = 0;
        for &(at, len) in &self.runs {
            if (at..at + len).contains(&wrong) {
                let offset = packed + wrong - at;
                return Err(format!("packed byte {offset} is {found:#04x} instead of {wanted:#04x}"));
            }
            packed += len;
        }
        Err(format!("the guard at {} is {found:#04x}", wrong as isize - self.base as isize))
    }
}

fn byte() -> TypeMap {
    TypeMap::basic(1, 1)
}

fn valid(map: crate::error::Result<TypeMap>) -> TypeMap {
    map.expect("the shapes here are small")
}

fn cursor(map: &TypeMap, count: u64) -> Cursor {
    Cursor::new(map.clone(), count).expect("the shapes here are small")
}
