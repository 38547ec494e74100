//! The standard's definition, word for word and slow: every constructor yields the list of its bytes and
//! markers, and bounds are minima and maxima over that list (MPI 5.0, 5.1). In 128 bits, saturating: what is
//! representable in 64 is exact. Shares no code with the type map.

use super::typemap::TypeMap;
use crate::error::Result;

/// A call of a constructor.
#[derive(Clone, Debug)]
pub(super) enum Spec {
    Basic(u32, u32),
    Bytes(u64),
    Contiguous(u64, Box<Spec>),
    Vector(u64, u64, i64, Box<Spec>),
    Hvector(u64, u64, i64, Box<Spec>),
    Indexed(Vec<(i64, u64)>, Box<Spec>),
    Hindexed(Vec<(i64, u64)>, Box<Spec>),
    Structure(Vec<(i64, u64, Spec)>),
    Resized(i64, i64, Box<Spec>),
}

use Spec::*;

impl Spec {
    pub(super) fn build(&self) -> Result<TypeMap> {
        match self {
            Basic(size, alignment) => Ok(TypeMap::basic(*size, *alignment)),
            Bytes(n) => TypeMap::bytes(*n),
            Contiguous(count, child) => TypeMap::contiguous(*count, &child.build()?),
            Vector(count, block, stride, child) => TypeMap::vector(*count, *block, *stride, &child.build()?),
            Hvector(count, block, stride, child) => {
                TypeMap::hvector(*count, *block, *stride, &child.build()?)
            }
            Indexed(blocks, child) => TypeMap::indexed(blocks, &child.build()?),
            Hindexed(blocks, child) => TypeMap::hindexed(blocks, &child.build()?),
            Structure(blocks) => {
                let build = |(at, count, child): &(i64, u64, Spec)| Ok((*at, *count, child.build()?));
                TypeMap::structure(&blocks.iter().map(build).collect::<Result<Vec<_>>>()?)
            }
            Resized(lb, extent, child) => TypeMap::resized(*lb, *extent, &child.build()?),
        }
    }

    /// At least the number of entries that `flatten` makes or visits, here or below.
    pub(super) fn weight(&self) -> u128 {
        let times = |count: u64, child: &Spec| u128::from(count.max(1)).saturating_mul(child.weight().max(1));
        match self {
            Basic(size, _) => u128::from(*size),
            Bytes(n) => u128::from(*n),
            Contiguous(count, child) => times(*count, child),
            Vector(count, block, _, child) | Hvector(count, block, _, child) => {
                u128::from((*count).max(1)).saturating_mul(times(*block, child))
            }
            Indexed(blocks, child) | Hindexed(blocks, child) => {
                let sum = |sum: u128, block: &(i64, u64)| sum.saturating_add(times(block.1, child));
                blocks.iter().fold(child.weight(), sum)
            }
            Structure(blocks) => {
                blocks.iter().fold(0, |sum: u128, block| sum.saturating_add(times(block.1, &block.2)))
            }
            Resized(_, _, child) => child.weight().saturating_add(2),
        }
    }

    pub(super) fn flatten(&self) -> Flat {
        let mut flat = Flat { alignment: 1, ..Flat::default() };
        match self {
            Basic(size, alignment) => flat.add_basic((*size).into(), *alignment),
            Bytes(n) => flat.add_basic(*n, 1),
            Contiguous(count, child) => flat.add_elements(0, *count, &child.flatten()),
            Vector(count, block, stride, child) => {
                let child = child.flatten();
                flat.add_blocks(*count, *block, child.extent().saturating_mul((*stride).into()), &child);
            }
            Hvector(count, block, stride, child) => {
                flat.add_blocks(*count, *block, (*stride).into(), &child.flatten());
            }
            Indexed(blocks, child) => {
                let child = child.flatten();
                for &(at, count) in blocks {
                    flat.add_elements(child.extent().saturating_mul(at.into()), count, &child);
                }
                flat.magnitude = flat.magnitude.max(child.magnitude);
            }
            Hindexed(blocks, child) => {
                let child = child.flatten();
                for &(at, count) in blocks {
                    flat.add_elements(at.into(), count, &child);
                }
                flat.magnitude = flat.magnitude.max(child.magnitude);
            }
            Structure(blocks) => {
                for (at, count, child) in blocks {
                    flat.add_elements((*at).into(), *count, &child.flatten());
                }
            }
            Resized(lb, extent, child) => {
                flat = child.flatten();
                flat.lb_markers = vec![(*lb).into()];
                flat.ub_markers = vec![i128::from(*lb) + i128::from(*extent)];
                flat.note_bounds();
            }
        }
        flat
    }
}

/// A type map written out.
#[derive(Default)]
pub(super) struct Flat {
    /// The displacement of each byte, in packed order.
    pub(super) bytes: Vec<i128>,
    lb_markers: Vec<i128>,
    ub_markers: Vec<i128>,
    alignment: i128,
    /// The largest magnitude of any bound, of this type and those that it is made of.
    pub(super) magnitude: i128,
}

impl Flat {
    fn add_basic(&mut self, size: u64, alignment: u32) {
        self.bytes.extend((0..size).map(i128::from));
        self.alignment = if size > 0 { alignment.into() } else { 1 };
        self.note_bounds();
    }

    fn add_elements(&mut self, at: i128, count: u64, child: &Self) {
        self.add_blocks(1, count, 0, &child.moved(at));
    }

    fn add_blocks(&mut self, count: u64, block: u64, stride: i128, child: &Self) {
        let extent = child.extent();
        for (start, element) in (0..count).flat_map(|start| (0..block).map(move |element| (start, element))) {
            let at =
                stride.saturating_mul(start.into()).saturating_add(extent.saturating_mul(element.into()));
            let copy = child.moved(at);
            self.bytes.extend(copy.bytes);
            self.lb_markers.extend(copy.lb_markers);
            self.ub_markers.extend(copy.ub_markers);
            self.alignment = self.alignment.max(copy.alignment);
        }
        self.magnitude = self.magnitude.max(child.magnitude).max(stride.saturating_abs());
        self.note_bounds();
    }

    fn moved(&self, by: i128) -> Self {
        let moved = |list: &[i128]| list.iter().map(|at| at.saturating_add(by)).collect();
        Self {
            bytes: moved(&self.bytes),
            lb_markers: moved(&self.lb_markers),
            ub_markers: moved(&self.ub_markers),
            alignment: self.alignment,
            magnitude: self.magnitude.max(by.saturating_abs()),
        }
    }

    fn note_bounds(&mut self) {
        for bound in [self.lb(), self.ub(), self.extent(), self.true_lb(), self.true_ub(), self.true_extent()]
        {
            self.magnitude = self.magnitude.max(bound.saturating_abs());
        }
    }

    /// A row of `count` elements: where its bytes lie, in packed order.
    pub(super) fn elements(&self, count: u64) -> Vec<i128> {
        let mut row = Self { alignment: 1, ..Self::default() };
        row.add_elements(0, count, self);
        row.bytes
    }

    pub(super) fn lb(&self) -> i128 {
        self.lb_markers.iter().min().copied().unwrap_or(self.true_lb())
    }

    fn ub(&self) -> i128 {
        self.ub_markers.iter().max().copied().unwrap_or_else(|| {
            let over = self.true_extent() % self.alignment;
            self.true_ub().saturating_add(if over > 0 { self.alignment - over } else { 0 })
        })
    }

    pub(super) fn extent(&self) -> i128 {
        self.ub().saturating_sub(self.lb())
    }

    pub(super) fn true_lb(&self) -> i128 {
        self.bytes.iter().min().copied().unwrap_or(0)
    }

    fn true_ub(&self) -> i128 {
        self.bytes.iter().max().map_or(0, |last| last.saturating_add(1))
    }

    pub(super) fn true_extent(&self) -> i128 {
        self.true_ub().saturating_sub(self.true_lb())
    }
}
