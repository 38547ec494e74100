//! The refusal of a root: a scatter whose root finds its own arguments wrong, while the other ranks wait for it.
//!
//! Instead of its part each gets an empty message, of the same number but of another call
//! ([`Function::Refusal`]), and so an error. The root tells all of them itself: which tree they wait in depends on
//! lengths, and these may be what is wrong. Who waits in a tree passes the refusal on, and takes the root's own
//! message out of the way if it was told by another rank: the communicator goes on.

use crate::{
    buffer,
    coll::{
        broadcast::binomial,
        call::{Call, Function},
        plan::Plan,
        select::{self, Tree},
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

    /// At the other ranks, with what has come of a scatter of `bytes` each: in a tree, others wait for this rank.
    #[inline]
    pub(super) fn pass_refusal_on(
        &self,
        collective: &mut Collective,
        outcome: Result<()>,
        bytes: u64,
        root: Rank,
    ) -> Result<()> {
        match outcome {
            Err(refusal) if refusal.is_refusal() && select::tree(bytes, self.size()) == Tree::Binomial => {
                Err(self.relay(collective, refusal, root))
            }
            outcome => outcome,
        }
    }

    #[cold]
    fn relay(&self, collective: &mut Collective, refusal: Error, root: Rank) -> Error {
        let nothing = buffer::of_slice_mut::<u8>(&mut []);
        // As above.
        let _ = self.run_again(collective, Call::rooted(Function::Refusal, root), |plan| {
            binomial::tell(plan, nothing, root);
            if binomial::teller(plan, root).is_some_and(|teller| teller != root) {
                plan.take(root, nothing);
            }
        });
        refusal
    }
}
