//! The posted queue: receives that wait for a message.

use super::{
    CLASSES, INDEX_MIN, SCAN_MAX, class,
    index::Index,
    pattern_of_class,
    slab::{Id, Slab},
};
use crate::{
    envelope::{Envelope, Pattern},
    types::ContextId,
};

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
    /// How many receives there are of each class: a message need not look where there is none.
    by_class: [u32; CLASSES],
    by_context: ContextCounts,
}

impl<T> PostedQueue<T> {
    pub(crate) fn new() -> Self {
        Self {
            receives: Slab::new(),
            index: Index::default(),
            indexed: false,
            by_class: [0; CLASSES],
            by_context: ContextCounts([0; ContextCounts::COUNTS]),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.receives.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether any receive may be posted on this context. Quick; "yes" may be wrong, "no" never is.
    #[inline]
    pub(crate) fn could_match(&self, context: ContextId) -> bool {
        *self.by_context.of(context) != 0
    }

    /// Posts a receive, after all others in program order.
    #[inline]
    pub(crate) fn post(&mut self, pattern: Pattern, receive: T) -> PostedId {
        let id = self.receives.push(pattern, receive);
        self.by_class[class(&pattern)] += 1;
        *self.by_context.of_mut(pattern.context) += 1;
        if self.indexed {
            self.index.append(pattern, id.place);
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
        if !self.could_match(envelope.context) {
            return None;
        }
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
    #[cfg(any(test, fuzzing))]
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
        let (pattern, receive) = self.receives.remove(place)?;
        self.by_class[class(&pattern)] -= 1;
        *self.by_context.of_mut(pattern.context) -= 1;
        if self.indexed {
            self.index.unlink(pattern, place);
            if self.len() <= INDEX_MIN {
                self.drop_index();
            }
        }
        Some(receive)
    }

    #[cold]
    fn build_index(&mut self) {
        for (place, pattern) in self.receives.keys() {
            self.index.append(*pattern, place);
        }
        self.indexed = true;
    }

    #[cold]
    fn drop_index(&mut self) {
        for (place, pattern) in self.receives.keys() {
            self.index.unlink(*pattern, place);
        }
        self.indexed = false;
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn capacity(&self) -> usize {
        self.receives.capacity() + self.index.capacity()
    }
}

/// How many receives are posted on each context; contexts that are equal modulo `COUNTS` share a count.
#[derive(Debug)]
struct ContextCounts([u32; ContextCounts::COUNTS]);

impl ContextCounts {
    /// Enough for sixteen communicators of four context ids without sharing.
    const COUNTS: usize = 64;

    #[inline]
    fn of(&self, context: ContextId) -> &u32 {
        &self.0[context.0 as usize % Self::COUNTS]
    }

    fn of_mut(&mut self, context: ContextId) -> &mut u32 {
        &mut self.0[context.0 as usize % Self::COUNTS]
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

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
