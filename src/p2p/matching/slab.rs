//! The entries of a queue, oldest first, each in a place that it keeps for life.

use super::chain::{Chain, Links, NIL};

/// Names an entry. The sequence number is never given twice, so the id of an entry that has left never
/// names the one that took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) place: u32,
    sequence: u64,
}

#[derive(Debug)]
struct Cell<K, T> {
    /// Grows from entry to entry: of two entries, the older has the smaller one.
    sequence: u64,
    key: K,
    content: Content<T>,
}

#[derive(Debug)]
enum Content<T> {
    Held(T),
    /// Free, as is `next` after it.
    Free {
        next: u32,
    },
}

/// Entries of a key (pattern or envelope) and a value, in the order in which they came.
#[derive(Debug)]
pub(super) struct Slab<K, T> {
    cells: Vec<Cell<K, T>>,
    links: Links,
    order: Chain,
    /// The free place that was left last: the likeliest to be in a cache.
    free: u32,
    len: usize,
    next_sequence: u64,
}

impl<K: Copy, T> Slab<K, T> {
    pub(super) fn new() -> Self {
        Self {
            cells: Vec::new(),
            links: Links::default(),
            order: Chain::EMPTY,
            free: NIL,
            len: 0,
            next_sequence: 0,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn push(&mut self, key: K, value: T) -> Id {
        let sequence = self.next_sequence;
        let place = self.hold(Cell { sequence, key, content: Content::Held(value) });
        self.links.append(&mut self.order, place);
        self.next_sequence += 1;
        self.len += 1;
        Id { place, sequence }
    }

    #[inline]
    fn hold(&mut self, cell: Cell<K, T>) -> u32 {
        if let Some(free) = self.cells.get_mut(self.free as usize) {
            let place = self.free;
            if let Content::Free { next } = std::mem::replace(free, cell).content {
                self.free = next;
            }
            return place;
        }
        let place = u32::try_from(self.cells.len()).ok().filter(|&place| place != NIL);
        let place = place.expect("an entry takes over 64 bytes: memory ends before 2^32 - 1 of them");
        self.cells.push(cell);
        place
    }

    /// Takes out the entry at `place`; `None` if the place is free.
    #[inline]
    pub(super) fn remove(&mut self, place: u32) -> Option<T> {
        let content = &mut self.cells[place as usize].content;
        if matches!(content, Content::Free { .. }) {
            return None;
        }
        let content = std::mem::replace(content, Content::Free { next: self.free });
        self.free = place;
        self.links.unlink(&mut self.order, place);
        self.len -= 1;
        match content {
            Content::Held(value) => Some(value),
            Content::Free { .. } => None,
        }
    }

    /// The key of the entry at `place`, or of the last one that was there.
    #[inline]
    pub(super) fn key(&self, place: u32) -> &K {
        &self.cells[place as usize].key
    }

    /// The place of the entry `id`; `None` if the entry has left.
    pub(super) fn place(&self, id: Id) -> Option<u32> {
        self.get(id).map(|_| id.place)
    }

    pub(super) fn get(&self, id: Id) -> Option<(&K, &T)> {
        let cell = self.cells.get(id.place as usize).filter(|cell| cell.sequence == id.sequence)?;
        match &cell.content {
            Content::Held(value) => Some((&cell.key, value)),
            Content::Free { .. } => None,
        }
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let cell = self.cells.get_mut(id.place as usize).filter(|cell| cell.sequence == id.sequence)?;
        match &mut cell.content {
            Content::Held(value) => Some(value),
            Content::Free { .. } => None,
        }
    }

    /// The sequence number of the entry at `place`: older is smaller.
    pub(super) fn sequence(&self, place: u32) -> u64 {
        self.cells[place as usize].sequence
    }

    pub(super) fn id(&self, place: u32) -> Id {
        Id { place, sequence: self.sequence(place) }
    }

    /// The place of the oldest entry.
    #[inline]
    pub(super) fn oldest_place(&self) -> Option<u32> {
        self.order.first()
    }

    /// The oldest entry.
    #[inline]
    pub(super) fn oldest(&self) -> Option<(&K, &T)> {
        let cell = &self.cells[self.order.first()? as usize];
        match &cell.content {
            Content::Held(value) => Some((&cell.key, value)),
            Content::Free { .. } => None,
        }
    }

    /// The places and keys of all entries, oldest first.
    #[inline]
    pub(super) fn keys(&self) -> impl Iterator<Item = (u32, &K)> {
        self.links.walk(self.order).map(|place| (place, &self.cells[place as usize].key))
    }

    /// All entries, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &K, &T)> {
        self.links.walk(self.order).filter_map(|place| {
            let id = self.id(place);
            self.get(id).map(|(key, value)| (id, key, value))
        })
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn capacity(&self) -> usize {
        self.cells.capacity() + self.links.capacity()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn values(slab: &Slab<char, i32>) -> Vec<i32> {
        slab.iter().map(|(_, _, &value)| value).collect()
    }

    #[test]
    fn entries_keep_the_order_in_which_they_came_when_places_are_reused() {
        let mut slab = Slab::new();
        let first = slab.push('a', 1);
        slab.push('b', 2);
        assert_eq!(slab.remove(first.place), Some(1));
        let third = slab.push('c', 3);
        assert_eq!(third.place, first.place);
        assert_eq!(values(&slab), [2, 3]);
        assert_eq!(slab.keys().map(|(_, &key)| key).collect::<String>(), "bc");
        assert!(slab.sequence(third.place) > slab.sequence(1));
    }

    #[test]
    fn an_id_never_names_the_entry_that_took_its_place() {
        let mut slab = Slab::new();
        let old = slab.push('a', 1);
        slab.remove(old.place);
        assert_eq!((slab.get(old), slab.place(old)), (None, None));
        let new = slab.push('a', 2);
        assert_eq!((slab.get(old), slab.place(old)), (None, None));
        assert_eq!(slab.get_mut(old), None);
        assert_eq!((slab.get(new), slab.place(new)), (Some((&'a', &2)), Some(old.place)));
    }

    #[test]
    fn a_free_place_is_not_removed_twice() {
        let mut slab = Slab::new();
        let id = slab.push('a', 1);
        assert_eq!(slab.remove(id.place), Some(1));
        assert_eq!(slab.remove(id.place), None);
        assert_eq!(slab.len(), 0);
    }
}
