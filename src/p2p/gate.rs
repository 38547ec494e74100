//! Who may call the engine: neither a forked child, nor a thread out of the operation of a reduction. And what
//! a panic in such an operation leads to.

use super::Engine;
use crate::{
    error::{Error, ErrorClass, Result},
    shm::slot::Abort,
    sys::{fork::ForkMark, thread},
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Stands before the engine. That it is open costs a call one look at a word.
pub(super) struct Gate {
    /// Raised for every thread in an operation.
    mark: ForkMark,
    /// The tokens of those threads.
    in_operations: Mutex<Vec<u64>>,
}

impl Gate {
    pub(super) fn new() -> Result<Self> {
        let mark = ForkMark::new().map_err(|errno| Error::system("madvise(MADV_WIPEONFORK)", errno))?;
        Ok(Self { mark, in_operations: Mutex::default() })
    }

    /// Whether anybody may pass.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.mark.is_plain()
    }

    /// Whether this process was forked from the rank's, and so is no rank.
    #[inline]
    pub(super) fn is_in_child(&self) -> bool {
        self.mark.is_in_child()
    }

    /// Errs if this thread may not pass.
    #[inline]
    pub(super) fn check(&self) -> Result<()> {
        if self.is_open() { Ok(()) } else { self.look() }
    }

    #[cold]
    fn look(&self) -> Result<()> {
        self.refuse_child()?;
        if self.in_operations().contains(&thread::token()) {
            return Err(in_operation());
        }
        Ok(())
    }

    /// Errs in a child. There nothing of the engine may be touched: not the segment, which the child does
    /// not have, and not the lock, which a thread may hold that the child does not have either.
    #[inline]
    pub(super) fn refuse_child(&self) -> Result<()> {
        if self.is_in_child() { Err(no_rank()) } else { Ok(()) }
    }

    fn in_operations(&self) -> MutexGuard<'_, Vec<u64>> {
        self.in_operations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Runs the operation of a reduction. If it is the user's, its calls are errors. If it panics the job ends,
    /// whether or not the program catches that: the other ranks would wait for this one's part.
    #[inline]
    pub(crate) fn run_operation<R>(&self, is_built_in: bool, operation: impl FnOnce() -> R) -> R {
        let unwinding = Unwinding { engine: self, is_anyway: std::thread::panicking() };
        let calls_are_errors = (!is_built_in).then(|| InOperation::new(&self.gate));
        let result = operation();
        drop(calls_are_errors);
        std::mem::forget(unwinding);
        result
    }
}

/// Dropped only while the panic of an operation unwinds.
struct Unwinding<'a> {
    engine: &'a Engine,
    /// Another panic was under way before.
    is_anyway: bool,
}

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        if !self.is_anyway {
            self.engine.abort(Abort::PANIC);
        }
    }
}

/// This thread runs an operation of the user's, until it is dropped.
struct InOperation<'a>(&'a Gate);

impl<'a> InOperation<'a> {
    fn new(gate: &'a Gate) -> Self {
        // A child, forked by an earlier call of the operation, is refused anyway.
        if !gate.is_in_child() {
            gate.in_operations().push(thread::token());
            gate.mark.raise();
        }
        Self(gate)
    }
}

impl Drop for InOperation<'_> {
    fn drop(&mut self) {
        // The operation may have forked.
        if self.0.is_in_child() {
            return;
        }
        self.0.mark.lower();
        let (mut threads, own) = (self.0.in_operations(), thread::token());
        if let Some(index) = threads.iter().position(|token| *token == own) {
            threads.swap_remove(index);
        }
    }
}

#[cold]
fn no_rank() -> Error {
    Error::new(ErrorClass::OTHER, "this process was made by fork from a rank: it is no rank itself")
        .with_help("communicate in the parent, or start the child with exec or under mpiexec")
}

#[cold]
fn in_operation() -> Error {
    Error::new(ErrorClass::OTHER, "the operation of a reduction made a call to ringmpi")
        .with_help("an operation only combines two values: communicate before or after the reduction")
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_in_an_operation_is_refused_and_others_are_not() {
        let gate = Gate::new().unwrap();
        let outer = InOperation::new(&gate);
        for _ in 0..2 {
            let inner = InOperation::new(&gate);
            assert!(gate.check().unwrap_err().to_string().contains("operation of a reduction"));
            drop(inner);
            assert!(gate.check().is_err() && !gate.is_open() && !gate.is_in_child());
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    gate.check().unwrap();
                    drop(InOperation::new(&gate));
                    gate.check().unwrap();
                });
            });
        }
        drop(outer);
        gate.check().unwrap();
        assert!(gate.is_open());
    }
}
