//! Matching: the posted and the unexpected queue.
