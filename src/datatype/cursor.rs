//! [`Cursor`]: walks the runs of several elements of a type map, from any byte on.

use super::{
    node::{Node, Part, Strided, divide},
    typemap::TypeMap,
};
use crate::error::Result;

/// Nodes on the way to a run that a cursor holds without an allocation: the elements, four nested
/// vectors (a face of a five-dimensional array) and the run.
const INLINE_DEPTH: usize = 6;

/// A position among the packed bytes of `count` elements.
///
/// The bytes and their order depend only on map, count and position, not on how the cursor got there:
/// a message may be packed in any number of pieces.
pub(crate) struct Cursor {
    map: TypeMap,
    /// The root of all elements. It takes the place `top_index` among the map's nodes: that of the
    /// element's root, when copies of it are no more complex than one, else the place after it.
    top: Node,
    top_index: usize,
    total: u64,
    position: u64,
    /// What is left of the innermost series of runs,
    rest: Strided,
    /// and how much of its first run is done (less than all of it).
    done: u64,
    path: Path,
}

/// At part `part` of a node that lies at `base`.
#[derive(Clone, Copy, Default)]
struct Frame {
    node: usize,
    part: u64,
    base: i64,
}

/// The nodes from the root to the current run.
struct Path {
    depth: usize,
    inline: [Frame; INLINE_DEPTH],
    /// Used in place of `inline` by deeper maps; allocated once, by `Cursor::new`.
    spilled: Box<[Frame]>,
}

impl Path {
    fn new(depth_max: usize) -> Self {
        let spilled = if depth_max > INLINE_DEPTH { depth_max } else { 0 };
        let spilled = vec![Frame::default(); spilled].into();
        Self { depth: 0, inline: [Frame::default(); INLINE_DEPTH], spilled }
    }

    #[inline]
    fn frames(&mut self) -> &mut [Frame] {
        if self.spilled.is_empty() { &mut self.inline } else { &mut self.spilled }
    }

    #[inline]
    fn push(&mut self, frame: Frame) {
        let depth = self.depth;
        self.frames()[depth] = frame;
        self.depth += 1;
    }

    #[inline]
    fn last(&mut self) -> Option<&mut Frame> {
        let depth = self.depth.checked_sub(1)?;
        self.frames().get_mut(depth)
    }
}

impl Cursor {
    /// At byte 0 of `count` elements. Allocates only for maps nested deeper than usual.
    ///
    /// # Errors
    /// Packed size or displacements that do not fit 64 bits.
    pub(crate) fn new(map: TypeMap, count: u64) -> Result<Self> {
        map.check_reach(count)?;
        let total = map.size_of(count)?;
        let (top_index, top) = match total {
            0 => (0, Node::EMPTY),
            _ => map.root_repeated(count, map.extent()),
        };
        let path = Path::new(map.depth() + 1);
        let mut cursor =
            Self { map, top, top_index, total, position: 0, rest: Strided::EMPTY, done: 0, path };
        cursor.seek(0);
        Ok(cursor)
    }

    /// Packed bytes of all elements.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The packed byte that comes next.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Goes to packed byte `offset`, at most the total. Costs O(depth + log blocks), allocates nothing.
    pub(crate) fn seek(&mut self, offset: u64) {
        debug_assert!(offset <= self.total, "seek to byte {offset} of {}", self.total);
        self.position = offset.min(self.total);
        self.path.depth = 0;
        self.rest = Strided::EMPTY;
        self.done = 0;
        if self.position < self.total {
            self.descend(self.top_index, 0, self.position);
        }
    }

    /// The next runs: as many equal and equally spaced ones as come in a row and fit `max` bytes together;
    /// or a part of one, where `max` or a previous call cuts it. `None` at the end, or if `max` is 0.
    #[inline]
    pub(crate) fn next_strided(&mut self, max: u64) -> Option<Strided> {
        if self.rest.times == 0 && !self.advance() {
            return None;
        }
        if self.done > 0 || max < self.rest.len {
            return self.next_partial(max);
        }
        let rest = self.rest;
        let times = if rest.size() <= max { rest.times } else { max / rest.len };
        self.rest = rest.after(times);
        self.position += rest.len * times;
        Some(Strided { times, ..rest })
    }

    fn next_partial(&mut self, max: u64) -> Option<Strided> {
        let len = max.min(self.rest.len - self.done);
        let run = Strided::run(self.rest.displacement.wrapping_add(self.done.cast_signed()), len);
        self.done += len;
        self.position += len;
        if self.done == self.rest.len {
            self.rest = self.rest.after(1);
            self.done = 0;
        }
        (len > 0).then_some(run)
    }

    /// Goes on to the next series of runs, in the innermost node that has one.
    #[inline]
    fn advance(&mut self) -> bool {
        while let Some(frame) = self.path.last() {
            let node = if frame.node == self.top_index { &self.top } else { &self.map.nodes()[frame.node] };
            frame.part += 1;
            let Frame { node: index, part, base } = *frame;
            match node.part(part) {
                Some(Part::Strided(strided)) => {
                    self.rest = strided.shifted(base);
                    return true;
                }
                Some(Part::Child { displacement, back }) => {
                    self.descend(index - back, base.wrapping_add(displacement), 0);
                    return true;
                }
                None => self.path.depth -= 1,
            }
        }
        false
    }

    /// From a node that lies at `base` down to the run that holds its packed byte `offset`.
    fn descend(&mut self, mut index: usize, mut base: i64, mut offset: u64) {
        loop {
            let node = if index == self.top_index { &self.top } else { &self.map.nodes()[index] };
            let (part, within) = node.find(offset);
            self.path.push(Frame { node: index, part, base });
            match node.part(part).expect("`find` names a part that exists") {
                Part::Strided(strided) => {
                    let (times, done) = divide(within, strided.len);
                    self.rest = strided.after(times).shifted(base);
                    self.done = done;
                    return;
                }
                Part::Child { displacement, back } => {
                    index -= back;
                    base = base.wrapping_add(displacement);
                    offset = within;
                }
            }
        }
    }
}
