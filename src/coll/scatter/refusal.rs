//! The refusal of a root: a scatter whose root finds its own arguments wrong, while the other ranks wait for it.
//!
//! Instead of its part each gets an empty message, of the same number but of another call
//! ([`Function::Refusal`]), and so an error. From whom a rank waits for its part depends on lengths, and these may be
//! what is wrong. So each is told by the root, and where there may be a tree also by the one from whom it would hear
//! in it, whether or not it waits for that one: it takes both messages, and the communicator goes on.

use crate::{
    buffer,
    coll::{
        broadcast::binomial,
        call::{Call, Function},
        plan::Plan,
    },
    communicator::{Collective, Communicator},
    error::{Error, Result},
    types::Rank,
};

impl Communicator<'_> {
    /// At the root: tells the others that it refuses its arguments, for a reason that it gives back.
    #[cold]
    pub(super) fn refuse_as_root(&self, reason: Error) -> Error {
        let tell = |plan: &mut Plan<'_>| {
            for to in (0..plan.size()).filter(|to| *to != self.rank()) {
                plan.send(to, buffer::of_slice::<u8>(&[]));
            }
            Ok(())
        };
        let entered = self.enter(Call::rooted(Function::Refusal, self.rank()));
        // If they cannot be told the job has ended, which they learn by themselves.
        let _ = entered.and_then(|(mut collective, call)| self.run(&mut collective, call, None, tell));
        reason
    }

    /// At the other ranks, with what has come of a scatter that may go by a tree.
    #[inline]
    pub(super) fn pass_refusal_on(
        &self,
        collective: &mut Collective,
        outcome: Result<()>,
        root: Rank,
    ) -> Result<()> {
        outcome.map_err(|error| match error.refused_by() {
            Some(from) => self.relay(collective, error, from, root),
            None => error,
        })
    }

    #[cold]
    fn relay(&self, collective: &mut Collective, refusal: Error, from: Rank, root: Rank) -> Error {
        let nothing = buffer::of_slice_mut::<u8>(&mut []);
        // As above.
        let _ = self.run_again(collective, Call::rooted(Function::Refusal, root), |plan| {
            binomial::tell(plan, nothing, root);
            if let Some(teller) = binomial::teller(plan, root).filter(|teller| *teller != root) {
                plan.take(if from == root { teller } else { root }, nothing);
            }
        });
        refusal
    }
}
