//! What the types of the API promise, and what is said of arguments that cannot be.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod arguments;
mod threads;
