//! The normal form of a type map: a few nodes, however many blocks they stand for.
//!
//! Nodes lie in one slice, children before parents and the root last. A link is the distance back to
//! the child, so the nodes of one map can be appended to those of another unchanged. A slice needs no
//! recursion, neither to walk nor to drop, and a cursor can hold plain indices into it.
//!
//! Displacements add up with wrapping arithmetic: `Bounds` has proved that every byte's displacement
//! fits 64 bits, but a partial sum on the way down need not.

use std::sync::Arc;

/// `times` runs of `len` bytes: the first at `displacement`, each `stride` bytes after the one before.
/// A single run has `times` 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strided {
    pub(crate) displacement: i64,
    pub(crate) len: u64,
    pub(crate) stride: i64,
    pub(crate) times: u64,
}

impl Strided {
    pub(super) const EMPTY: Self = Self { displacement: 0, len: 0, stride: 0, times: 0 };

    pub(super) fn run(displacement: i64, len: u64) -> Self {
        Self { displacement, len, stride: 0, times: 1 }
    }

    /// All its bytes.
    pub(crate) fn size(&self) -> u64 {
        self.len * self.times
    }

    pub(super) fn shifted(self, displacement: i64) -> Self {
        Self { displacement: self.displacement.wrapping_add(displacement), ..self }
    }

    /// Without its first `times` runs.
    pub(super) fn after(self, times: u64) -> Self {
        let shifted = self.shifted(nth(self.stride, times));
        Self { times: self.times - times, ..shifted }
    }

    fn repeated(self, times: u64, stride: i64) -> Option<Self> {
        match self.times {
            1 if i128::from(stride) == i128::from(self.len) => Some(Self { len: self.len * times, ..self }),
            1 => Some(Self { stride, times, ..self }),
            _ if follows_on(self.stride, self.times, stride) => {
                Some(Self { times: self.times * times, ..self })
            }
            _ => None,
        }
    }
}

/// Whether a second series of `times` steps of `inner`, `outer` bytes on, starts where the first ends.
fn follows_on(inner: i64, times: u64, outer: i64) -> bool {
    i128::from(inner) * i128::from(times) == i128::from(outer)
}

fn nth(stride: i64, times: u64) -> i64 {
    stride.wrapping_mul(times.cast_signed())
}

/// Where one of several parts lies in memory, and at which packed byte of the node it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) displacement: i64,
    pub(super) start: u64,
}

/// `times` copies of a child of `size` bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeat {
    pub(super) displacement: i64,
    pub(super) times: u64,
    pub(super) stride: i64,
    pub(super) size: u64,
    pub(super) back: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Strided(Strided),
    /// Runs of various lengths or distances. One more place than runs: the last holds the node's size.
    Runs(Arc<[Place]>),
    Repeat(Repeat),
    /// Children of various kinds or distances, each once. One more place than links.
    List {
        places: Arc<[Place]>,
        back: Arc<[usize]>,
    },
}

/// One step down from a node.
pub(super) enum Part {
    Strided(Strided),
    Child { displacement: i64, back: usize },
}

impl Node {
    pub(super) const EMPTY: Self = Self::Strided(Strided::EMPTY);

    pub(super) fn run(len: u64) -> Self {
        Self::Strided(Strided::run(0, len))
    }

    /// The distances back to the children.
    pub(super) fn links(&self) -> &[usize] {
        match self {
            Self::Strided(_) | Self::Runs(_) => &[],
            Self::Repeat(repeat) => std::slice::from_ref(&repeat.back),
            Self::List { back, .. } => back,
        }
    }

    /// `times` copies (at least one) as a node in this one's own place, if that can be.
    pub(super) fn repeated(&self, times: u64, stride: i64) -> Option<Self> {
        match *self {
            _ if times == 1 => Some(self.clone()),
            Self::Strided(strided) => strided.repeated(times, stride).map(Self::Strided),
            Self::Repeat(repeat) if follows_on(repeat.stride, repeat.times, stride) => {
                Some(Self::Repeat(Repeat { times: repeat.times * times, ..repeat }))
            }
            _ => None,
        }
    }

    /// The node further on by `displacement`, in its own place, if that is cheap.
    pub(super) fn shifted(&self, displacement: i64) -> Option<Self> {
        match *self {
            _ if displacement == 0 => Some(self.clone()),
            Self::Strided(strided) => Some(Self::Strided(strided.shifted(displacement))),
            Self::Repeat(repeat) => {
                let displacement = repeat.displacement.wrapping_add(displacement);
                Some(Self::Repeat(Repeat { displacement, ..repeat }))
            }
            Self::Runs(_) | Self::List { .. } => None,
        }
    }

    /// The node's only run, if it is just that.
    pub(super) fn as_run(&self) -> Option<Strided> {
        match self {
            Self::Strided(run) if run.times == 1 => Some(*run),
            _ => None,
        }
    }

    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Strided(strided) => strided.size(),
            Self::Repeat(repeat) => repeat.times * repeat.size,
            Self::Runs(places) | Self::List { places, .. } => places[places.len() - 1].start,
        }
    }

    /// The part of that index, if there are so many.
    #[inline]
    pub(super) fn part(&self, index: u64) -> Option<Part> {
        match self {
            Self::Strided(strided) => (index == 0).then_some(Part::Strided(*strided)),
            Self::Runs(places) => {
                let next = places.get(index as usize + 1)?;
                let place = places[index as usize];
                Some(Part::Strided(Strided::run(place.displacement, next.start - place.start)))
            }
            Self::Repeat(repeat) => (index < repeat.times).then(|| {
                let displacement = repeat.displacement.wrapping_add(nth(repeat.stride, index));
                Part::Child { displacement, back: repeat.back }
            }),
            Self::List { places, back } => {
                let back = *back.get(index as usize)?;
                Some(Part::Child { displacement: places[index as usize].displacement, back })
            }
        }
    }

    /// The part that holds packed byte `offset`, and the offset within that part.
    #[inline]
    pub(super) fn find(&self, offset: u64) -> (u64, u64) {
        match self {
            Self::Strided(_) => (0, offset),
            Self::Repeat(repeat) => divide(offset, repeat.size),
            Self::Runs(places) | Self::List { places, .. } => find_place(places, offset),
        }
    }
}

/// Quotient and remainder; mostly the quotient is 0, and a division would be the dearest step.
#[inline]
pub(super) fn divide(offset: u64, size: u64) -> (u64, u64) {
    if offset < size { (0, offset) } else { (offset / size, offset % size) }
}

#[inline]
fn find_place(places: &[Place], offset: u64) -> (u64, u64) {
    if offset < places[1].start {
        return (0, offset);
    }
    let index = places.partition_point(|place| place.start <= offset) - 1;
    (index as u64, offset - places[index].start)
}
