//! The posted queue: receives that wait for a message.

use super::{
    CLASSES, INDEX_MIN, SCAN_MAX, class,
    index::Index,
    pattern_of_class,
    slab::{Id, Slab},
};
use crate::envelope::{Envelope, Pattern};

/// Names a posted receive; once that has matched or was withdrawn, it names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PostedId(Id);

/// Posted receives, in program order.
#[derive(Debug)]
pub(crate) struct PostedQueue<T> {
    receives: Slab<Pattern, T>,
    /// Every receive under its own pattern while `indexed`, else empty.
    index: Index,
    indexed: bool,
    /// How many receives of each class are in the index: a message need not look where there is none.
    by_class: [u32; CLASSES],
}

impl<T> PostedQueue<T> {
    pub(crate) fn new() -> Self {
        Self { receives: Slab::new(), index: Index::default(), indexed: false, by_class: [0; CLASSES] }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.receives.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Posts a receive, after all others in program order.
    #[inline]
    pub(crate) fn post(&mut self, pattern: Pattern, receive: T) -> PostedId {
        let id = self.receives.push(pattern, receive);
        if self.indexed {
            self.file(pattern, id.place);
        }
        PostedId(id)
    }

    /// The earliest of all receives, if it accepts a message with this envelope.
    #[inline]
    pub(crate) fn oldest_match(&self, envelope: &Envelope) -> Option<&T> {
        let (pattern, receive) = self.receives.oldest()?;
        pattern.accepts(envelope).then_some(receive)
    }

    /// Takes out the earliest of all receives.
    #[inline]
    pub(crate) fn take_oldest(&mut self) -> Option<T> {
        let place = self.receives.oldest_place()?;
        self.remove(place)
    }

    /// Takes out the earliest posted receive that accepts a message with this envelope.
    pub(crate) fn take_match(&mut self, envelope: &Envelope) -> Option<T> {
        let place = self.find(envelope)?;
        self.remove(place)
    }

    /// Takes a receive back; `None` if it has matched already.
    pub(crate) fn withdraw(&mut self, id: PostedId) -> Option<T> {
        let place = self.receives.place(id.0)?;
        self.remove(place)
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn get(&self, id: PostedId) -> Option<(&Pattern, &T)> {
        self.receives.get(id.0)
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn get_mut(&mut self, id: PostedId) -> Option<&mut T> {
        self.receives.get_mut(id.0)
    }

    /// All receives, in program order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PostedId, &Pattern, &T)> {
        self.receives.iter().map(|(id, pattern, receive)| (PostedId(id), pattern, receive))
    }

    fn find(&mut self, envelope: &Envelope) -> Option<u32> {
        // With an index, the oldest receive is worth a look: programs mostly get their messages in the
        // order in which they post.
        let looks = if self.indexed { 1 } else { SCAN_MAX };
        let found = self.scan(looks, envelope);
        if found.is_some() || self.len() <= looks {
            return found;
        }
        self.look_up(envelope)
    }

    fn scan(&self, looks: usize, envelope: &Envelope) -> Option<u32> {
        let mut oldest = self.receives.keys().take(looks);
        oldest.find(|(_, pattern)| pattern.accepts(envelope)).map(|(place, _)| place)
    }

    fn look_up(&mut self, envelope: &Envelope) -> Option<u32> {
        if !self.indexed {
            self.build_index();
        }
        (0..CLASSES)
            .filter(|&class| self.by_class[class] != 0)
            .filter_map(|class| self.index.first(pattern_of_class(class, envelope)))
            .min_by_key(|&place| self.receives.sequence(place))
    }

    #[inline]
    fn remove(&mut self, place: u32) -> Option<T> {
        if self.indexed {
            self.unfile(place);
        }
        self.receives.remove(place)
    }

    fn file(&mut self, pattern: Pattern, place: u32) {
        self.by_class[class(&pattern)] += 1;
        self.index.append(pattern, place);
    }

    /// Takes an entry that is about to leave out of the index, which is dropped if few are left.
    fn unfile(&mut self, place: u32) {
        let pattern = *self.receives.key(place);
        self.by_class[class(&pattern)] -= 1;
        self.index.unlink(pattern, place);
        if self.len() <= INDEX_MIN + 1 {
            self.drop_index(place);
        }
    }

    #[cold]
    fn build_index(&mut self) {
        self.indexed = true;
        for (place, &pattern) in self.receives.keys() {
            self.by_class[class(&pattern)] += 1;
            self.index.append(pattern, place);
        }
    }

    /// Empties the index of all but one entry, which has been taken out of it already.
    #[cold]
    fn drop_index(&mut self, leaving: u32) {
        for (place, &pattern) in self.receives.keys().filter(|(place, _)| *place != leaving) {
            self.index.unlink(pattern, place);
        }
        self.by_class = [0; CLASSES];
        self.indexed = false;
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn capacity(&self) -> usize {
        self.receives.capacity() + self.index.capacity()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::types::ContextId;

    #[test]
    fn a_queue_is_indexed_from_the_first_long_search_until_it_is_short() {
        let mut queue = PostedQueue::new();
        let [early, late] = [3, 2].map(|tag| Envelope { context: ContextId(0), source: 1, tag, bytes: 0 });
        for round in 0..3 {
            (0..=SCAN_MAX).for_each(|_| _ = queue.post(pattern_of_class(0, &early), round));
            queue.post(pattern_of_class(0, &late), round);
            assert_eq!(queue.take_match(&early), Some(round));
            assert!(!queue.indexed, "the oldest is found without");
            assert_eq!(queue.take_match(&late), Some(round));
            while queue.len() > INDEX_MIN {
                assert!(queue.indexed);
                assert_eq!(queue.take_match(&early), Some(round));
            }
            assert!(!queue.indexed);
            while queue.take_match(&early).is_some() {}
        }
    }
}
