//! [`Communicator::scope`]: nonblocking operations on borrowed buffers.

use super::{Communicator, Process, Source};
use crate::{
    buffer::{self, Plain},
    error::Result,
    p2p::{Engine, Mode, RequestId, ScopeId},
    status::Status,
};
use bytemuck::AnyBitPattern;
use std::marker::PhantomData;

/// Where nonblocking operations may borrow buffers; see [`Communicator::scope`].
pub struct Scope<'s, 'env: 's> {
    engine: &'env Engine,
    id: ScopeId,
    scope: PhantomData<&'s mut &'s ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// A send or receive in flight on a borrowed buffer. If it is dropped or forgotten, the scope completes
/// it.
#[must_use = "`wait` gives the buffer back inside the scope"]
pub struct Scoped<'s, B> {
    pub(super) engine: &'s Engine,
    pub(super) id: RequestId,
    buffer: B,
}

impl<'u> Communicator<'u> {
    /// Runs `f`, in which nonblocking operations may borrow buffers that outlive the call.
    ///
    /// When `f` returns `Ok`, the scope completes what has not been waited for. When it returns `Err` or
    /// panics, nothing is waited for: receives are withdrawn, and sends go on with copies.
    ///
    /// ```
    /// # use ringmpi::Source;
    /// ringmpi::threads(2, |world| {
    ///     let peer = world.process_at_rank(1 - world.rank());
    ///     let (mine, mut theirs) = ([f64::from(world.rank())], [0.0]);
    ///     world.scope(|s| {
    ///         let receiving = s.immediate_receive_into(peer, &mut theirs)?;
    ///         let _ = s.immediate_send(peer, &mine)?;
    ///         receiving.wait()?;
    ///         Ok(())
    ///     })?;
    ///     assert_eq!(theirs, [1.0 - mine[0]]);
    ///     Ok::<(), ringmpi::Error>(())
    /// })?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// The buffer of an operation in flight can't be used:
    ///
    /// ```compile_fail,E0506
    /// # use ringmpi::Source;
    /// fn f(world: ringmpi::Communicator<'_>) -> ringmpi::Result<()> {
    ///     let mut ghost = [0.0f64; 8];
    ///     world.scope(|s| {
    ///         let receiving = s.immediate_receive_into(world.process_at_rank(1), &mut ghost)?;
    ///         ghost[0] = 1.0;
    ///         receiving.wait()?;
    ///         Ok(())
    ///     })
    /// }
    /// ```
    ///
    /// not even when the request is forgotten:
    ///
    /// ```compile_fail,E0506
    /// # use ringmpi::Source;
    /// fn f(world: ringmpi::Communicator<'_>) -> ringmpi::Result<()> {
    ///     let mut ghost = [0.0f64; 8];
    ///     world.scope(|s| {
    ///         let receiving = s.immediate_receive_into(world.process_at_rank(1), &mut ghost)?;
    ///         std::mem::forget(receiving);
    ///         ghost[0] = 1.0;
    ///         Ok(())
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    /// What `f` returns, or what the completed operations report.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.
    pub fn scope<'env, R>(&'env self, f: impl for<'s> FnOnce(&'s Scope<'s, 'env>) -> Result<R>) -> Result<R> {
        let (engine, id) = (self.engine(), self.engine().open_scope()?);
        let scope = Scope { engine, id, scope: PhantomData, env: PhantomData };
        let guard = AbandonOnUnwind { engine, id };
        let value = f(&scope)?;
        let mut result = Ok(());
        for open in engine.in_scope(id)? {
            let outcome = engine.wait(open);
            result = result.and(outcome.map(drop));
        }
        drop(guard);
        result.map(|()| value)
    }
}

/// Leaves no operation behind that uses a borrowed buffer.
struct AbandonOnUnwind<'a> {
    engine: &'a Engine,
    id: ScopeId,
}

impl Drop for AbandonOnUnwind<'_> {
    fn drop(&mut self) {
        self.engine.in_scope(self.id).into_iter().flatten().for_each(|open| self.engine.abandon(open));
    }
}

impl<'s, 'env> Scope<'s, 'env> {
    /// Begins to send a borrowed slice.
    ///
    /// # Errors
    /// As [`Process::send`].
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Isend`.
    pub fn immediate_send<T: Plain>(
        &'s self,
        to: Process<'env, '_>,
        data: &'env [T],
    ) -> Result<Scoped<'s, &'env [T]>> {
        let id = to.begin_send(Mode::Standard, buffer::of_slice(data))?;
        Ok(self.opened(id, data))
    }

    /// Begins to receive into a borrowed slice, which may be longer than the message. Only for types of
    /// which every bit pattern is a value: others are checked before they become values, which
    /// [`Source::immediate_receive_into`] does.
    ///
    /// # Errors
    /// A rank that the communicator does not have. What is wrong with the message is reported by
    /// `wait`, or by the scope.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Irecv`.
    pub fn immediate_receive_into<T: Plain + AnyBitPattern>(
        &'s self,
        from: impl Source<'env>,
        into: &'env mut [T],
    ) -> Result<Scoped<'s, &'env mut [T]>> {
        let id = match from.from()? {
            Some((pattern, peer)) => self.engine.ireceive(pattern, peer, buffer::of_slice_mut(into))?,
            None => RequestId::FROM_NULL,
        };
        Ok(self.opened(id, into))
    }

    #[inline]
    fn opened<B>(&'s self, id: RequestId, buffer: B) -> Scoped<'s, B> {
        self.engine.put_into_scope(id, self.id);
        Scoped { engine: self.engine, id, buffer }
    }
}

impl<B> Scoped<'_, B> {
    /// Whether the operation has ended. Makes progress; does not wait.
    ///
    /// # Errors
    /// The end of the job.
    pub fn test(&mut self) -> Result<bool> {
        self.engine.test(self.id)
    }

    /// Waits for the end, and gives the buffer back.
    ///
    /// # Errors
    /// Of a receive: what was wrong with the message. The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.3: `MPI_Wait`.
    pub fn wait(self) -> Result<(B, Status)> {
        let status = self.engine.wait(self.id)?;
        Ok((self.buffer, status))
    }
}
