//! Lists without nodes: the links of a list's members lie in one vector, by the members' places.
//!
//! Any number of lists share a [`Links`] as long as a place is in at most one of them.

/// No place.
pub(super) const NIL: u32 = u32::MAX;

/// The two ends of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    first: u32,
    last: u32,
}

impl Chain {
    pub(super) const EMPTY: Self = Self { first: NIL, last: NIL };

    pub(super) fn is_empty(self) -> bool {
        self.first == NIL
    }

    pub(super) fn first(self) -> Option<u32> {
        (self.first != NIL).then_some(self.first)
    }
}

/// A place's neighbours in its list. Stale while the place is in no list.
#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
}

/// The links of every place.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<Link>);

impl Links {
    /// Puts `place` behind the last member of `chain`.
    #[inline]
    pub(super) fn append(&mut self, chain: &mut Chain, place: u32) {
        let link = Link { previous: chain.last, next: NIL };
        if self.0.len() <= place as usize {
            self.0.resize(place as usize + 1, link);
        }
        self.0[place as usize] = link;
        match chain.last {
            NIL => chain.first = place,
            last => self.0[last as usize].next = place,
        }
        chain.last = place;
    }

    /// Takes `place`, a member of `chain`, out of it.
    #[inline]
    pub(super) fn unlink(&mut self, chain: &mut Chain, place: u32) {
        let Link { previous, next } = self.0[place as usize];
        match previous {
            NIL => chain.first = next,
            previous => self.0[previous as usize].next = next,
        }
        match next {
            NIL => chain.last = previous,
            next => self.0[next as usize].previous = previous,
        }
    }

    /// The members of `chain`, first to last.
    pub(super) fn walk(&self, chain: Chain) -> impl Iterator<Item = u32> {
        std::iter::successors(chain.first(), |&place| {
            let next = self.0[place as usize].next;
            (next != NIL).then_some(next)
        })
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn members(links: &Links, chain: Chain) -> Vec<u32> {
        links.walk(chain).collect()
    }

    #[test]
    fn members_leave_from_anywhere_and_the_rest_keeps_its_order() {
        let (mut links, mut chain) = (Links::default(), Chain::EMPTY);
        for place in [3, 0, 4, 1] {
            links.append(&mut chain, place);
        }
        assert_eq!(members(&links, chain), [3, 0, 4, 1]);
        for (leaver, rest) in [(0, vec![3, 4, 1]), (3, vec![4, 1]), (1, vec![4]), (4, vec![])] {
            links.unlink(&mut chain, leaver);
            assert_eq!(members(&links, chain), rest);
        }
        assert_eq!(chain, Chain::EMPTY);
    }

    #[test]
    fn two_chains_share_links() {
        let (mut links, mut even, mut odd) = (Links::default(), Chain::EMPTY, Chain::EMPTY);
        for place in 0..6 {
            links.append(if place % 2 == 0 { &mut even } else { &mut odd }, place);
        }
        assert_eq!(members(&links, even), [0, 2, 4]);
        assert_eq!(members(&links, odd), [1, 3, 5]);
    }
}
