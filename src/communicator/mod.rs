//! Communicators and what they offer.
