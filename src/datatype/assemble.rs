//! Turns a list of blocks (of an indexed type or a structure) into nodes in normal form: touching runs
//! become one, regular lists become strided nodes, equal blocks share one copy of their child's nodes.

use super::{
    node::{Node, Place, Repeat, Strided},
    typemap::TypeMap,
};
use crate::error::{Error, ErrorClass, Result};
use std::collections::HashMap;

/// More nodes than any program means to make, and few enough (60 MB) that a structure of structures
/// that doubles at each level fails before it exhausts memory. Runs of bytes in a list are no nodes.
const NODES_MAX: usize = 1 << 20;

/// The nodes of a list of blocks, given one after the other in type-map order.
#[derive(Default)]
pub(super) struct Assembly {
    nodes: Vec<Node>,
    /// The root of a block that is in `nodes`, by the child's address and count. (Without it, a
    /// structure of twice the same structure, nested 40 deep, would have 2⁴⁰ nodes.)
    known: HashMap<(usize, u64), usize>,
    /// Runs since the last child.
    runs: Vec<Strided>,
    children: Vec<Child>,
}

struct Child {
    displacement: i64,
    node: usize,
}

impl Assembly {
    /// Adds `count` elements of `child` in a row. The caller has proved that they fit.
    pub(super) fn push(&mut self, displacement: i64, count: u64, child: &TypeMap) -> Result<()> {
        if count == 0 || child.size() == 0 {
            return Ok(());
        }
        match child.root().repeated(count, child.extent()).and_then(|node| node.as_run()) {
            Some(run) => self.push_run(run.shifted(displacement)),
            None => self.push_child(displacement, count, child)?,
        }
        Ok(())
    }

    fn push_run(&mut self, run: Strided) {
        match self.runs.last_mut() {
            Some(last) if i128::from(last.displacement) + i128::from(last.len) == run.displacement.into() => {
                last.len += run.len;
            }
            _ => self.runs.push(run),
        }
    }

    fn push_child(&mut self, displacement: i64, count: u64, child: &TypeMap) -> Result<()> {
        self.flush_runs();
        let key = (child.address(), count);
        let node = match self.known.get(&key) {
            Some(&node) => node,
            None => self.append(&TypeMap::contiguous(count, child)?)?,
        };
        self.known.insert(key, node);
        self.children.push(Child { displacement, node });
        Ok(())
    }

    fn append(&mut self, block: &TypeMap) -> Result<usize> {
        check_complexity(self.nodes.len() + block.nodes().len())?;
        self.nodes.extend_from_slice(block.nodes());
        Ok(self.nodes.len() - 1)
    }

    /// Makes the pending runs one child. Their displacements stay relative to the whole list.
    fn flush_runs(&mut self) {
        if !self.runs.is_empty() {
            self.nodes.push(runs_node(&self.runs));
            self.runs.clear();
            self.children.push(Child { displacement: 0, node: self.nodes.len() - 1 });
        }
    }

    /// All nodes, the root last.
    pub(super) fn finish(mut self) -> Vec<Node> {
        self.flush_runs();
        match &self.children[..] {
            [] => self.nodes.push(Node::EMPTY),
            [only] => match self.nodes[only.node].shifted(only.displacement) {
                Some(shifted) => self.nodes[only.node] = shifted,
                None => self.nodes.push(self.list()),
            },
            _ => self.nodes.push(self.regular().unwrap_or_else(|| self.list())),
        }
        self.nodes
    }

    /// The children as one `Repeat`, if they are the same at equal distances.
    fn regular(&self) -> Option<Node> {
        let Child { displacement, node } = self.children[0];
        let stride = common_stride(self.children.iter().map(|child| child.displacement))?;
        let same = self.children.iter().all(|child| child.node == node);
        same.then(|| {
            let times = self.children.len() as u64;
            let (size, back) = (self.nodes[node].size(), self.nodes.len() - node);
            Node::Repeat(Repeat { displacement, times, stride, size, back })
        })
    }

    fn list(&self) -> Node {
        let parts = self.children.iter().map(|child| (child.displacement, self.nodes[child.node].size()));
        let back = self.children.iter().map(|child| self.nodes.len() - child.node);
        Node::List { places: places(parts).into(), back: back.collect() }
    }
}

pub(super) fn check_complexity(nodes: usize) -> Result<()> {
    if nodes <= NODES_MAX {
        return Ok(());
    }
    let what = format!("datatype too complex: {nodes} different parts, the limit is {NODES_MAX}");
    Err(Error::new(ErrorClass::TYPE, what).with_help("describe regular parts by vectors or subarrays"))
}

fn runs_node(runs: &[Strided]) -> Node {
    let len = runs[0].len;
    let equal = runs.iter().all(|run| run.len == len);
    match common_stride(runs.iter().map(|run| run.displacement)) {
        _ if runs.len() == 1 => Node::Strided(runs[0]),
        Some(stride) if equal => Node::Strided(Strided { stride, times: runs.len() as u64, ..runs[0] }),
        _ => Node::Runs(places(runs.iter().map(|run| (run.displacement, run.len))).into()),
    }
}

/// The distance of each displacement from the one before, if it is always the same.
fn common_stride(displacements: impl Iterator<Item = i64> + Clone) -> Option<i64> {
    let mut distances =
        displacements.clone().zip(displacements.skip(1)).map(|(one, next)| next.checked_sub(one));
    let stride = distances.next()??;
    distances.all(|distance| distance == Some(stride)).then_some(stride)
}

/// Places of parts given as (displacement, size), with the closing one that holds the sum of sizes.
fn places(parts: impl Iterator<Item = (i64, u64)>) -> Vec<Place> {
    let mut start = 0;
    let mut places: Vec<_> = parts
        .map(|(displacement, size)| {
            let place = Place { displacement, start };
            start += size;
            place
        })
        .collect();
    places.push(Place { displacement: 0, start });
    places
}
