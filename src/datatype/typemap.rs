//! [`TypeMap`] and its constructors, one for each family of the standard's.

use super::{
    assemble::{Assembly, check_complexity},
    bounds::{Bounds, Extents, too_large},
    node::{Node, Repeat},
};
use crate::error::Result;
use std::{fmt, sync::Arc};

/// Where the bytes of one element lie, in packed order. Cheap to clone; its memory grows with the
/// lists that the caller gave, never with counts.
///
/// Counts, strides, displacements and bounds are checked when a map is made: of every map that exists,
/// size, bounds and the displacement of each byte fit 64 bits.
///
/// # Standard
/// MPI 5.0, 5.1.
#[derive(Clone)]
pub(crate) struct TypeMap(Arc<Parts>);

struct Parts {
    size: u64,
    bounds: Bounds,
    extents: Extents,
    depth: usize,
    nodes: Box<[Node]>,
}

impl TypeMap {
    /// A basic type: `size` bytes at displacement 0. Its `alignment` (a power of two) pads the extent of
    /// types derived from it, as the standard's ε does: a double and a char make an extent of 16.
    pub(crate) fn basic(size: u32, alignment: u32) -> Self {
        debug_assert!(alignment.is_power_of_two(), "alignment {alignment}");
        let bounds = Bounds::basic(size, alignment);
        let node = if size == 0 { Node::EMPTY } else { Node::run(size.into()) };
        Self::new(bounds, vec![node]).expect("a basic type is below 4 GiB")
    }

    /// No bytes, no markers: all bounds are 0.
    fn empty() -> Self {
        Self::basic(0, 1)
    }

    /// `n` bytes in one run.
    pub(crate) fn bytes(n: u64) -> Result<Self> {
        Self::contiguous(n, &Self::basic(1, 1))
    }

    /// `count` elements, each at the extent of the one before.
    pub(crate) fn contiguous(count: u64, child: &Self) -> Result<Self> {
        child.repeated(count, child.extent())
    }

    /// `count` blocks of `block` elements; blocks start `stride` elements apart.
    pub(crate) fn vector(count: u64, block: u64, stride: i64, child: &Self) -> Result<Self> {
        let stride = if count > 1 && block > 0 { child.elements_to_bytes(stride)? } else { 0 };
        Self::hvector(count, block, stride, child)
    }

    /// `count` blocks of `block` elements; blocks start `stride` bytes apart.
    pub(crate) fn hvector(count: u64, block: u64, stride: i64, child: &Self) -> Result<Self> {
        if count == 0 {
            return Ok(Self::empty());
        }
        Self::contiguous(block, child)?.repeated(count, stride)
    }

    /// Blocks given as (displacement in elements, number of elements).
    pub(crate) fn indexed(blocks: &[(i64, u64)], child: &Self) -> Result<Self> {
        let bytes = |&(displacement, block)| Ok((child.elements_to_bytes(displacement)?, block, child));
        Self::assembled(blocks.iter().filter(|(_, block)| *block > 0).map(bytes))
    }

    /// Blocks given as (displacement in bytes, number of elements).
    pub(crate) fn hindexed(blocks: &[(i64, u64)], child: &Self) -> Result<Self> {
        Self::assembled(blocks.iter().map(|&(displacement, block)| Ok((displacement, block, child))))
    }

    /// Blocks given as (displacement in bytes, number of elements, type).
    pub(crate) fn structure(blocks: &[(i64, u64, Self)]) -> Result<Self> {
        Self::assembled(blocks.iter().map(|(displacement, block, child)| Ok((*displacement, *block, child))))
    }

    /// The same bytes with new bounds. They hold in every type made of this one, too: the standard's
    /// markers, which outrank data.
    pub(crate) fn resized(lb: i64, extent: i64, child: &Self) -> Result<Self> {
        Self::new(child.0.bounds.resized(lb, extent)?, child.nodes().to_vec())
    }

    fn assembled<'a>(blocks: impl Iterator<Item = Result<(i64, u64, &'a Self)>>) -> Result<Self> {
        let (mut size, mut bounds, mut assembly) = (0_u64, Bounds::EMPTY, Assembly::default());
        for block in blocks {
            let (displacement, count, child) = block?;
            if count > 0 {
                bounds = bounds.joined(child.bounds_of(count, child.extent())?.shifted(displacement)?);
                size = size.checked_add(child.size_of(count)?).ok_or_else(|| {
                    let last = child.size();
                    too_large(format_args!("{size} packed bytes and {count} elements of {last} are"))
                })?;
                assembly.push(displacement, count, child)?;
            }
        }
        Self::new(bounds, assembly.finish())
    }

    fn repeated(&self, times: u64, stride: i64) -> Result<Self> {
        if times == 0 {
            return Ok(Self::empty());
        }
        let bounds = self.bounds_of(times, stride)?;
        self.size_of(times)?;
        if self.size() == 0 {
            return Self::new(bounds, vec![Node::EMPTY]);
        }
        let mut nodes = self.nodes().to_vec();
        let (root, node) = self.root_repeated(times, stride);
        nodes.truncate(root);
        nodes.push(node);
        Self::new(bounds, nodes)
    }

    /// The root of `times` copies (at least one), and where it goes in the list of nodes.
    pub(super) fn root_repeated(&self, times: u64, stride: i64) -> (usize, Node) {
        let above = self.nodes().len();
        match self.root().repeated(times, stride) {
            Some(node) => (above - 1, node),
            None => {
                (above, Node::Repeat(Repeat { displacement: 0, times, stride, size: self.size(), back: 1 }))
            }
        }
    }

    fn new(bounds: Bounds, nodes: Vec<Node>) -> Result<Self> {
        check_complexity(nodes.len())?;
        let (extents, depth) = (bounds.extents()?, depth(&nodes));
        let size = nodes[nodes.len() - 1].size();
        Ok(Self(Arc::new(Parts { size, bounds, extents, depth, nodes: nodes.into() })))
    }

    fn bounds_of(&self, times: u64, stride: i64) -> Result<Bounds> {
        self.0.bounds.repeated(times, stride)
    }

    /// Packed bytes of `count` elements; that they fit proves nothing about displacements.
    pub(super) fn size_of(&self, count: u64) -> Result<u64> {
        let size = self.size();
        size.checked_mul(count).ok_or_else(|| too_large(format_args!("{count} elements of {size} bytes are")))
    }

    /// Checks that every byte of `count` elements has a displacement.
    pub(super) fn check_reach(&self, count: u64) -> Result<()> {
        if count > 0 { self.0.bounds.unmarked().repeated(count, self.extent()).map(drop) } else { Ok(()) }
    }

    fn elements_to_bytes(&self, elements: i64) -> Result<i64> {
        let extent = self.extent();
        elements
            .checked_mul(extent)
            .ok_or_else(|| too_large(format_args!("a distance of {elements} elements of extent {extent} is")))
    }

    /// Data bytes of one element.
    pub(crate) fn size(&self) -> u64 {
        self.0.size
    }

    /// The lower bound, in bytes.
    pub(crate) fn lb(&self) -> i64 {
        self.0.extents.lb
    }

    /// From one element of an array to the next, in bytes.
    pub(crate) fn extent(&self) -> i64 {
        self.0.extents.extent
    }

    /// The lowest byte of data, whatever the markers say.
    pub(crate) fn true_lb(&self) -> i64 {
        self.0.extents.true_lb
    }

    /// From the lowest byte of data to the end of the highest.
    pub(crate) fn true_extent(&self) -> i64 {
        self.0.extents.true_extent
    }

    /// Whether elements in a row are one run from displacement 0 on, so that no cursor is needed.
    pub(crate) fn is_contiguous(&self) -> bool {
        let run_at_zero = self.root().as_run().is_some_and(|run| run.displacement == 0);
        self.lb() == 0 && i128::from(self.extent()) == self.size().into() && (run_at_zero || self.size() == 0)
    }

    /// How many nodes a cursor holds at most, on its way to a run.
    pub(super) fn depth(&self) -> usize {
        self.0.depth
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.0.nodes
    }

    pub(super) fn root(&self) -> &Node {
        &self.0.nodes[self.0.nodes.len() - 1]
    }

    /// Tells maps apart while both are alive.
    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl fmt::Debug for TypeMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { size, extents, nodes, .. } = &*self.0;
        f.debug_struct("TypeMap").field("size", size).field("extents", extents).field("nodes", nodes).finish()
    }
}

fn depth(nodes: &[Node]) -> usize {
    let mut depths = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let deepest_child = node.links().iter().map(|back| depths[index - back]).max();
        depths.push(1 + deepest_child.unwrap_or(0));
    }
    depths.last().copied().unwrap_or(0)
}
