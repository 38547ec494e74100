//! [`Case`]: one algorithm, on so many ranks, with so many elements; and what each rank should get.

use super::neighbours::{self, Topology};
use crate::{
    buffer::{ReceiveBytes, SendBytes},
    coll::{
        all_gather, all_reduce, all_to_all, barrier,
        blocks::Blocks,
        broadcast, gather, neighbour,
        plan::Plan,
        reduce, reduce_scatter,
        scan::{self, Kind},
        scatter,
    },
    error::Result,
    types::Rank,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Algorithm {
    BarrierDissemination,
    BroadcastBinomial,
    BroadcastChain,
    BroadcastSplit,
    GatherLinear,
    GatherLinearInPlace,
    GatherLinearVaried,
    GatherBinomial,
    GatherBinomialInPlace,
    ScatterLinear,
    ScatterLinearInPlace,
    ScatterLinearVaried,
    ScatterBinomial,
    ScatterBinomialInPlace,
    AllGatherRing,
    AllGatherRingVaried,
    AllGatherLinear,
    AllGatherDissemination,
    AllToAllLinear,
    AllToAllPairwise,
    AllToAllPairwiseVaried,
    ReduceLinear,
    ReduceLinearInPlace,
    ReduceSplit,
    ReduceSplitInPlace,
    AllReduceLinear,
    AllReduceRooted,
    AllReduceSplit,
    ReduceScatterPairwise,
    ScanLinear,
    ScanChain,
    ExclusiveScanLinear,
    ExclusiveScanChain,
    NeighboursInGrid,
    NeighboursInGraph,
}

use Algorithm as A;

impl Algorithm {
    pub(super) const ALL: [Self; 35] = [
        A::BarrierDissemination,
        A::BroadcastBinomial,
        A::BroadcastChain,
        A::BroadcastSplit,
        A::GatherLinear,
        A::GatherLinearInPlace,
        A::GatherLinearVaried,
        A::GatherBinomial,
        A::GatherBinomialInPlace,
        A::ScatterLinear,
        A::ScatterLinearInPlace,
        A::ScatterLinearVaried,
        A::ScatterBinomial,
        A::ScatterBinomialInPlace,
        A::AllGatherRing,
        A::AllGatherRingVaried,
        A::AllGatherLinear,
        A::AllGatherDissemination,
        A::AllToAllLinear,
        A::AllToAllPairwise,
        A::AllToAllPairwiseVaried,
        A::ReduceLinear,
        A::ReduceLinearInPlace,
        A::ReduceSplit,
        A::ReduceSplitInPlace,
        A::AllReduceLinear,
        A::AllReduceRooted,
        A::AllReduceSplit,
        A::ReduceScatterPairwise,
        A::ScanLinear,
        A::ScanChain,
        A::ExclusiveScanLinear,
        A::ExclusiveScanChain,
        A::NeighboursInGrid,
        A::NeighboursInGraph,
    ];
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) algorithm: Algorithm,
    pub(super) ranks: Rank,
    /// Elements of a part, or of a slice that is combined.
    pub(super) len: usize,
    pub(super) root: Rank,
    /// Decides all values.
    pub(super) key: u64,
}

/// Neither associative nor commutative: any other order gives something else.
pub(super) fn combine(lower: u32, upper: u32) -> u32 {
    lower.wrapping_mul(31).wrapping_add(upper)
}

impl Case {
    pub(super) fn value(&self, rank: Rank, index: usize) -> u32 {
        let mixed = (self.key ^ (rank as u64) << 40 ^ index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 29) as u32
    }

    fn values(&self, rank: Rank, len: usize) -> Vec<u32> {
        (0..len).map(|index| self.value(rank, index)).collect()
    }

    fn all(&self) -> std::ops::Range<Rank> {
        0..self.ranks
    }

    fn whole(&self) -> usize {
        self.len * self.ranks as usize
    }

    /// How much one rank has for another, where that differs.
    pub(super) fn varied(&self, from: Rank, to: Rank) -> usize {
        self.value(from, to as usize) as usize % (self.len + 1)
    }

    /// What a rank gives all or one other rank, where that differs.
    fn varied_counts(&self) -> Vec<usize> {
        self.all().map(|rank| self.varied(rank, 0)).collect()
    }

    /// What a rank gives, and where it starts its output from.
    pub(super) fn memory(&self, rank: Rank) -> (Vec<u32>, Vec<u32>) {
        let (is_root, len, whole) = (rank == self.root, self.len, self.whole());
        let at_root = |len: usize| if is_root { len } else { 0 };
        let values = |len| self.values(rank, len);
        let blank = |len| vec![0xdead_beef; len];
        // In its place among all.
        let placed = || {
            let mut all = blank(whole);
            all[rank as usize * len..][..len].copy_from_slice(&values(len));
            all
        };
        let sum = |counts: Vec<usize>| counts.into_iter().sum::<usize>();
        match self.algorithm {
            A::BarrierDissemination => (vec![], vec![]),
            A::BroadcastBinomial | A::BroadcastChain | A::BroadcastSplit if is_root => (vec![], values(len)),
            A::BroadcastBinomial | A::BroadcastChain | A::BroadcastSplit => (vec![], blank(len)),
            A::GatherLinear | A::GatherBinomial => (values(len), blank(at_root(whole))),
            A::GatherLinearInPlace | A::GatherBinomialInPlace if is_root => (vec![], placed()),
            A::GatherLinearInPlace | A::GatherBinomialInPlace => (values(len), vec![]),
            A::GatherLinearVaried => {
                (values(self.varied(rank, 0)), blank(at_root(sum(self.varied_counts()))))
            }
            A::ScatterLinear | A::ScatterBinomial => (values(at_root(whole)), blank(len)),
            A::ScatterLinearInPlace | A::ScatterBinomialInPlace if is_root => (values(whole), vec![]),
            A::ScatterLinearInPlace | A::ScatterBinomialInPlace => (vec![], blank(len)),
            A::ScatterLinearVaried => {
                (values(at_root(sum(self.varied_counts()))), blank(self.varied(rank, 0)))
            }
            A::AllGatherRing | A::AllGatherLinear | A::AllGatherDissemination => (vec![], placed()),
            A::AllGatherRingVaried => (values(self.varied(rank, 0)), blank(sum(self.varied_counts()))),
            A::AllToAllLinear | A::AllToAllPairwise => (values(whole), blank(whole)),
            A::AllToAllPairwiseVaried => {
                let (given, taken) = self.exchanged(rank);
                (values(sum(given)), blank(sum(taken)))
            }
            A::ReduceLinear | A::ReduceSplit if is_root => (values(len), values(len)),
            A::ReduceLinear | A::ReduceSplit => (values(len), vec![]),
            A::ReduceLinearInPlace | A::ReduceSplitInPlace if is_root => (vec![], values(len)),
            A::ReduceLinearInPlace | A::ReduceSplitInPlace => (values(len), vec![]),
            A::ReduceScatterPairwise => {
                let (start, len) = self.share(rank);
                let mine = values(self.len);
                let share = mine[start..start + len].to_vec();
                (mine, share)
            }
            A::AllReduceLinear
            | A::AllReduceRooted
            | A::AllReduceSplit
            | A::ScanLinear
            | A::ScanChain
            | A::ExclusiveScanLinear
            | A::ExclusiveScanChain => (vec![], values(len)),
            A::NeighboursInGrid | A::NeighboursInGraph => {
                let topology = self.topology();
                (values(sum(topology.given(self, rank))), blank(sum(topology.taken(self, rank))))
            }
        }
    }

    fn topology(&self) -> Topology {
        match self.algorithm {
            A::NeighboursInGrid => Topology::grid(self),
            _ => Topology::graph(self),
        }
    }

    /// How many elements a rank gives each, and takes from each.
    fn exchanged(&self, rank: Rank) -> (Vec<usize>, Vec<usize>) {
        let given = self.all().map(|to| self.varied(rank, to)).collect();
        (given, self.all().map(|from| self.varied(from, rank)).collect())
    }

    /// Where a rank's share of a slice begins, and how long it is.
    fn share(&self, rank: Rank) -> (usize, usize) {
        let (ranks, rank) = (self.ranks as usize, rank as usize);
        let len = |rank: usize| self.len / ranks + usize::from(rank < self.len % ranks);
        ((0..rank).map(len).sum(), len(rank))
    }

    fn folded(&self, ranks: std::ops::Range<Rank>, len: usize) -> Vec<u32> {
        let mut parts = ranks.map(|rank| self.values(rank, len));
        let first = parts.next().expect("a rank");
        parts.fold(first, |lower, upper| lower.iter().zip(&upper).map(|(a, b)| combine(*a, *b)).collect())
    }

    /// What a rank's output should be.
    pub(super) fn expected(&self, rank: Rank) -> Vec<u32> {
        let (is_root, len) = (rank == self.root, self.len);
        let part = |of: Rank, index: Rank| {
            let start = index as usize * len;
            self.values(of, start + len).split_off(start)
        };
        match self.algorithm {
            A::BarrierDissemination => vec![],
            A::BroadcastBinomial | A::BroadcastChain | A::BroadcastSplit => self.values(self.root, len),
            A::GatherLinear | A::GatherLinearInPlace | A::GatherBinomial | A::GatherBinomialInPlace
                if is_root =>
            {
                self.all().flat_map(|rank| self.values(rank, len)).collect()
            }
            A::GatherLinearVaried if is_root => {
                self.all().flat_map(|rank| self.values(rank, self.varied(rank, 0))).collect()
            }
            A::ScatterLinearInPlace | A::ScatterBinomialInPlace if is_root => vec![],
            A::ScatterLinear | A::ScatterLinearInPlace | A::ScatterBinomial | A::ScatterBinomialInPlace => {
                part(self.root, rank)
            }
            A::ScatterLinearVaried => {
                let start: usize = (0..rank).map(|rank| self.varied(rank, 0)).sum();
                self.values(self.root, start + self.varied(rank, 0)).split_off(start)
            }
            A::AllGatherRing | A::AllGatherLinear | A::AllGatherDissemination => {
                self.all().flat_map(|rank| self.values(rank, len)).collect()
            }
            A::AllGatherRingVaried => {
                self.all().flat_map(|rank| self.values(rank, self.varied(rank, 0))).collect()
            }
            A::AllToAllLinear | A::AllToAllPairwise => self.all().flat_map(|from| part(from, rank)).collect(),
            A::AllToAllPairwiseVaried => {
                let from = |from: Rank| {
                    let start: usize = (0..rank).map(|to| self.varied(from, to)).sum();
                    self.values(from, start + self.varied(from, rank)).split_off(start)
                };
                self.all().flat_map(from).collect()
            }
            A::ReduceLinear | A::ReduceLinearInPlace | A::ReduceSplit | A::ReduceSplitInPlace if is_root => {
                self.folded(self.all(), len)
            }
            A::AllReduceLinear | A::AllReduceRooted | A::AllReduceSplit => self.folded(self.all(), len),
            A::ReduceScatterPairwise => {
                let (start, len) = self.share(rank);
                self.folded(self.all(), self.len)[start..start + len].to_vec()
            }
            A::ScanLinear | A::ScanChain => self.folded(0..rank + 1, len),
            A::ExclusiveScanLinear | A::ExclusiveScanChain if rank == 0 => self.values(rank, len),
            A::ExclusiveScanLinear | A::ExclusiveScanChain => self.folded(0..rank, len),
            A::NeighboursInGrid | A::NeighboursInGraph => {
                self.topology().expected(self, rank, self.memory(rank).1)
            }
            // All others than the root.
            A::GatherLinear
            | A::GatherLinearInPlace
            | A::GatherLinearVaried
            | A::GatherBinomial
            | A::GatherBinomialInPlace
            | A::ReduceLinear
            | A::ReduceLinearInPlace
            | A::ReduceSplit
            | A::ReduceSplitInPlace => vec![],
        }
    }

    /// What a rank does, between its memory.
    pub(super) fn build(&self, plan: &mut Plan<'_>, input: SendBytes, output: ReceiveBytes) -> Result<()> {
        const UNIT: u64 = size_of::<u32>() as u64;
        let (me, root, size) = (plan.rank(), self.root, plan.size());
        let (is_root, bytes) = (me == root, self.len as u64 * UNIT);
        let blocks = Blocks::equal(size, bytes);
        let shares = Blocks::even(size, self.len as u64, UNIT);
        let varied = |counts: Vec<usize>| {
            let mut end = 0;
            let place = |count| {
                end += count;
                (end - count, count)
            };
            Blocks::of_elements(counts.into_iter().map(place).collect::<Vec<_>>().into_iter(), UNIT as usize)
        };
        let counts = varied(self.varied_counts());
        let (at_root, from_root) =
            (is_root.then_some((output, &blocks)), is_root.then_some((input, &blocks)));
        let (outside, inside) = (Some(input), (!is_root).then_some(input));
        match self.algorithm {
            A::BarrierDissemination => barrier::dissemination::plan(plan),
            A::BroadcastBinomial => broadcast::binomial::plan(plan, output, root),
            A::BroadcastChain => broadcast::chain::plan(plan, output, root),
            A::BroadcastSplit => broadcast::split::plan(plan, output, root),
            A::GatherLinear => gather::linear::plan(plan, outside, at_root, root),
            A::GatherLinearInPlace => gather::linear::plan(plan, inside, at_root, root),
            A::GatherLinearVaried => {
                gather::linear::plan(plan, outside, is_root.then_some((output, &counts)), root);
            }
            A::GatherBinomial => gather::binomial::plan(plan, outside, at_root, root)?,
            A::GatherBinomialInPlace => gather::binomial::plan(plan, inside, at_root, root)?,
            A::ScatterLinear => scatter::linear::plan(plan, from_root, Some(output), root),
            A::ScatterLinearInPlace => {
                scatter::linear::plan(plan, from_root, (!is_root).then_some(output), root);
            }
            A::ScatterLinearVaried => {
                scatter::linear::plan(plan, is_root.then_some((input, &counts)), Some(output), root);
            }
            A::ScatterBinomial => scatter::binomial::plan(plan, from_root, Some(output), bytes, root)?,
            A::ScatterBinomialInPlace => {
                scatter::binomial::plan(plan, from_root, (!is_root).then_some(output), bytes, root)?;
            }
            A::AllGatherRing => all_gather::ring::plan(plan, output, &blocks),
            A::AllGatherRingVaried => {
                plan.copy(input, counts.of_mut(output, me));
                all_gather::ring::plan(plan, output, &counts);
            }
            A::AllGatherLinear => all_gather::linear::plan(plan, output, &blocks),
            A::AllGatherDissemination => all_gather::dissemination::plan(plan, output, &blocks)?,
            A::AllToAllLinear | A::AllToAllPairwise => {
                let (from, into) = ((input, &blocks), (output, &blocks));
                all_to_all::keep_own(plan, (from, into), me);
                match self.algorithm {
                    A::AllToAllLinear => all_to_all::linear::plan(plan, from, into),
                    _ => all_to_all::pairwise::plan(plan, from, into),
                }
            }
            A::AllToAllPairwiseVaried => {
                let (given, taken) = self.exchanged(me);
                let (given, taken) = (varied(given), varied(taken));
                let (from, into) = ((input, &given), (output, &taken));
                all_to_all::keep_own(plan, (from, into), me);
                all_to_all::pairwise::plan(plan, from, into);
            }
            A::ReduceLinear | A::ReduceLinearInPlace | A::ReduceSplit | A::ReduceSplitInPlace => {
                let is_in_place =
                    matches!(self.algorithm, A::ReduceLinearInPlace | A::ReduceSplitInPlace) && is_root;
                let mine = if is_in_place { output.to_send() } else { input };
                let result = is_root.then_some(output);
                match self.algorithm {
                    A::ReduceLinear | A::ReduceLinearInPlace => {
                        reduce::linear::plan(plan, mine, result, root)?
                    }
                    _ => reduce::split::plan(plan, mine, result, &shares, root)?,
                }
            }
            A::AllReduceLinear => all_reduce::linear::plan(plan, output)?,
            A::AllReduceRooted => all_reduce::rooted::plan(plan, output)?,
            A::AllReduceSplit => all_reduce::split::plan(plan, output, &shares)?,
            A::ReduceScatterPairwise => reduce_scatter::pairwise::plan(plan, input, &shares, output)?,
            A::ScanLinear => scan::linear::plan(plan, output, Kind::Inclusive)?,
            A::ScanChain => scan::chain::plan(plan, output, UNIT, Kind::Inclusive)?,
            A::ExclusiveScanLinear => scan::linear::plan(plan, output, Kind::Exclusive)?,
            A::ExclusiveScanChain => scan::chain::plan(plan, output, UNIT, Kind::Exclusive)?,
            A::NeighboursInGrid | A::NeighboursInGraph => {
                let topology = self.topology();
                let (given, taken) =
                    [topology.given(self, me), topology.taken(self, me)].map(neighbours::blocks).into();
                neighbour::linear::plan(plan, topology.of(me), (input, &given), (output, &taken));
            }
        }
        Ok(())
    }
}
