//! The unexpected queue: messages that arrived before their receive.

use super::{
    CLASSES, INDEX_MIN, SCAN_MAX, class,
    index::Index,
    pattern_of_class,
    slab::{Id, Slab},
};
use crate::envelope::{Envelope, Pattern};

/// Names an unexpected message; once that has left the queue, it names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnexpectedId(Id);

/// Unexpected messages, in the order in which they arrived.
#[derive(Debug)]
pub(crate) struct UnexpectedQueue<T> {
    messages: Slab<Envelope, T>,
    by_class: [ClassIndex; CLASSES],
}

/// Every message under the pattern of one class that accepts it while `built`, else empty.
#[derive(Debug, Default)]
struct ClassIndex {
    index: Index,
    built: bool,
}

impl<T> UnexpectedQueue<T> {
    pub(crate) fn new() -> Self {
        Self { messages: Slab::new(), by_class: Default::default() }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a message that arrived after all others.
    pub(crate) fn push(&mut self, envelope: Envelope, message: T) -> UnexpectedId {
        let id = self.messages.push(envelope, message);
        for (class, index) in self.built() {
            index.append(pattern_of_class(class, &envelope), id.place);
        }
        UnexpectedId(id)
    }

    /// The earliest message that the pattern accepts. Exclusive, because it may build an index.
    #[inline]
    pub(crate) fn find(&mut self, pattern: &Pattern) -> Option<UnexpectedId> {
        let place = self.place(pattern)?;
        Some(UnexpectedId(self.messages.id(place)))
    }

    /// Takes out the earliest message that the pattern accepts.
    #[inline]
    pub(crate) fn take(&mut self, pattern: &Pattern) -> Option<(Envelope, T)> {
        let place = self.place(pattern)?;
        self.remove_at(place)
    }

    /// Takes out one message; `None` if it has left already.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn remove(&mut self, id: UnexpectedId) -> Option<(Envelope, T)> {
        let place = self.messages.place(id.0)?;
        self.remove_at(place)
    }

    pub(crate) fn get(&self, id: UnexpectedId) -> Option<(&Envelope, &T)> {
        self.messages.get(id.0)
    }

    pub(crate) fn get_mut(&mut self, id: UnexpectedId) -> Option<&mut T> {
        self.messages.get_mut(id.0)
    }

    /// All messages, in the order in which they arrived.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (UnexpectedId, &Envelope, &T)> {
        self.messages.iter().map(|(id, envelope, message)| (UnexpectedId(id), envelope, message))
    }

    /// The place of the earliest message that the pattern accepts.
    #[inline]
    fn place(&mut self, pattern: &Pattern) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        // With an index, the oldest message is worth a look: programs mostly receive in the order in
        // which messages come.
        let looks = if self.by_class[class(pattern)].built { 1 } else { SCAN_MAX };
        let found = self.scan(looks, pattern);
        if found.is_some() || self.len() <= looks {
            return found;
        }
        self.look_up(pattern)
    }

    fn scan(&self, looks: usize, pattern: &Pattern) -> Option<u32> {
        let mut oldest = self.messages.keys().take(looks);
        oldest.find(|(_, envelope)| pattern.accepts(envelope)).map(|(place, _)| place)
    }

    fn look_up(&mut self, pattern: &Pattern) -> Option<u32> {
        let class = class(pattern);
        if !self.by_class[class].built {
            self.build_index(class);
        }
        self.by_class[class].index.first(*pattern)
    }

    fn remove_at(&mut self, place: u32) -> Option<(Envelope, T)> {
        let envelope = *self.messages.key(place);
        let message = self.messages.remove(place)?;
        for (class, index) in self.built() {
            index.unlink(pattern_of_class(class, &envelope), place);
        }
        if self.len() == INDEX_MIN {
            self.drop_indexes();
        }
        Some((envelope, message))
    }

    fn built(&mut self) -> impl Iterator<Item = (usize, &mut Index)> {
        let built = self.by_class.iter_mut().enumerate().filter(|(_, entry)| entry.built);
        built.map(|(class, entry)| (class, &mut entry.index))
    }

    #[cold]
    fn build_index(&mut self, class: usize) {
        let ClassIndex { index, built } = &mut self.by_class[class];
        for (place, envelope) in self.messages.keys() {
            index.append(pattern_of_class(class, envelope), place);
        }
        *built = true;
    }

    #[cold]
    fn drop_indexes(&mut self) {
        for (class, ClassIndex { index, built }) in self.by_class.iter_mut().enumerate() {
            if std::mem::take(built) {
                for (place, envelope) in self.messages.keys() {
                    index.unlink(pattern_of_class(class, envelope), place);
                }
            }
        }
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn capacity(&self) -> usize {
        self.messages.capacity() + self.by_class.iter().map(|class| class.index.capacity()).sum::<usize>()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::types::ContextId;

    #[test]
    fn only_the_class_that_is_asked_for_is_indexed_and_not_for_longer_than_the_queue_is_deep() {
        let mut queue = UnexpectedQueue::new();
        let early = Envelope { context: ContextId(0), source: 1, tag: 2, bytes: 0 };
        let late = Envelope { source: 2, ..early };
        let any_tag = |envelope| pattern_of_class(class_of_any_tag(), envelope);
        for round in 0..3 {
            (0..=SCAN_MAX).for_each(|_| _ = queue.push(early, round));
            queue.push(late, round);
            assert!(queue.take(&any_tag(&early)).is_some());
            assert_eq!(queue.built().count(), 0, "the oldest is found without");
            assert!(queue.take(&any_tag(&late)).is_some());
            let built: Vec<_> = queue.built().map(|(class, _)| class).collect();
            assert_eq!(built, [class_of_any_tag()]);
            while queue.len() > INDEX_MIN {
                assert_eq!(queue.built().count(), 1);
                assert!(queue.take(&any_tag(&early)).is_some());
            }
            assert_eq!(queue.built().count(), 0);
            while queue.take(&any_tag(&early)).is_some() {}
        }
    }

    fn class_of_any_tag() -> usize {
        class(&Pattern { context: ContextId(0), source: Some(0), tag: None })
    }
}
