//! Collective constructors of communicators.
