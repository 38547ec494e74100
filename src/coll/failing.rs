//! Blocking collectives that fail on one rank: the others learn of it, and the communicator goes on, or errs for good.
//!
//! A call has its number before its arguments are looked at. If it errs, all others are told by a notice, so that nobody
//! waits for this rank's part. What comes then depends on how far it had come (docs/PROTOCOL.md, Collectives that fail):
//! ranks that have all been refused the same calls, before they began anything, go on together; else every later
//! collective of the communicator errs.

use super::call::{Call, Function};
use crate::{
    buffer,
    communicator::{Collective, Communicator, Standing},
    envelope::{Envelope, Notice, Pattern},
    error::{Error, ErrorClass, Result},
    sys::biased_lock::Guard,
    types::{PeerId, Rank, Tag},
};

/// A blocking collective that has its number, and nothing else yet.
pub(crate) struct Entered<'a, 'u> {
    comm: &'a Communicator<'u>,
    collective: Guard<'a, Collective>,
    call: Call,
    has_begun: bool,
}

/// What a rank says of the calls that it was refused: how many, and a digest of their numbers.
type Refused = [u64; 2];

impl<'u> Communicator<'u> {
    /// A blocking collective: `body` looks at its arguments, [begins](Entered::begin), and goes to its end. If it errs all
    /// other ranks are told.
    #[inline(always)]
    pub(super) fn collective<R>(
        &self,
        call: Call,
        body: impl FnOnce(&mut Entered<'_, 'u>) -> Result<R>,
    ) -> Result<R> {
        let mut collective = self.enter_collective(call.function)?;
        collective.calls += 1;
        let mut entered = Entered { comm: self, collective, call, has_begun: false };
        match body(&mut entered) {
            Ok(value) => Ok(value),
            Err(reason) => Err(self.fail(&mut entered.collective, call.function, entered.has_begun, reason)),
        }
    }

    /// Looks at the arguments of a blocking collective that is made of others, which come then.
    pub(super) fn check_for<R>(&self, call: Call, check: impl FnOnce() -> Result<R>) -> Result<R> {
        self.collective(call, |_| check())
    }

    /// Tells all other members what comes in the place of this rank's part. Never waits.
    fn tell_others(&self, tag: Tag, words: &[u64]) -> Result<()> {
        let context = self.remote().contexts.collective();
        let words = buffer::of_slice(words);
        let envelope = Envelope { context, source: self.rank(), tag, bytes: words.len() };
        self.other_members().try_for_each(|(_, peer)| self.engine().send_buffered(peer, envelope, words))
    }

    fn other_members(&self) -> impl Iterator<Item = (Rank, PeerId)> + '_ {
        (0..).zip(self.remote().group.iter()).filter(|(rank, _)| *rank != self.rank())
    }

    /// The next message of a member among blocking collectives: whether it has that tag, and these words.
    fn hears(&self, (rank, peer): (Rank, PeerId), tag: Tag, words: &[u64]) -> Result<bool> {
        let context = self.local().contexts.collective();
        let pattern = Pattern { context, source: Some(rank), tag: None };
        let mut heard = [0; size_of::<Refused>()];
        let expected: &[u8] = bytemuck::cast_slice(words);
        let heard = &mut heard[..expected.len()];
        let received = self.engine().receive(pattern, Some(peer), buffer::of_slice_mut(heard));
        match received {
            Ok(status) => {
                Ok(status.tag() == tag && status.bytes() == expected.len() as u64 && heard == expected)
            }
            Err(error) if error.as_truncated().is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Entered<'_, '_> {
    /// The arguments are in order: from here on the rank takes part.
    #[inline(always)]
    pub(super) fn begin(&mut self) -> Result<(&mut Collective, Call)> {
        if !matches!(self.collective.standing, Standing::Sound) {
            self.comm.go_on(&mut self.collective, self.call.function)?;
        }
        self.has_begun = true;
        self.collective.passage.take(self.collective.calls);
        Ok((&mut self.collective, self.call))
    }
}

/// None of these takes what is [`Entered`], which so needs no memory of its own where nothing fails.
impl Communicator<'_> {
    /// After calls that have failed.
    #[cold]
    fn go_on(&self, collective: &mut Collective, function: Function) -> Result<()> {
        let outcome = match &collective.standing {
            Standing::Sound => Ok(()),
            Standing::Refused { first, last, calls, digest } => {
                self.agree_on_refusals(function, [*first, *last], [*calls, *digest])
            }
            Standing::Failed(why) => return Err(failed_before(function, why)),
        };
        collective.standing = match &outcome {
            Ok(()) => Standing::Sound,
            Err(error) => {
                // Some may agree with this rank, and go on.
                let _ = self.tell_others(Notice::Failed.tag(collective.calls), &[]);
                Standing::Failed(error.to_string())
            }
        };
        outcome
    }

    /// Whether all ranks were refused the same calls: then none has begun anything in these.
    fn agree_on_refusals(&self, function: Function, [first, last]: [u64; 2], mine: Refused) -> Result<()> {
        self.tell_others(Notice::RefusedCalls.tag(last), &mine)?;
        for member in self.other_members() {
            let is_alike = self.hears(member, Notice::Refused.tag(first), &[])?
                && self.hears(member, Notice::RefusedCalls.tag(last), &mine)?;
            if !is_alike {
                return Err(refused_other_calls(function, member.0));
            }
        }
        Ok(())
    }

    /// A call has failed, for a reason that comes back. The others are told, unless they have been, and nothing of this
    /// rank's has come since.
    #[cold]
    fn fail(&self, collective: &mut Collective, function: Function, has_begun: bool, reason: Error) -> Error {
        // What the engine says of a wait names no function.
        let is_nameless = reason.class() == ErrorClass::OTHER || reason.is_of_result();
        let reason = if is_nameless { reason.of(function.name()) } else { reason };
        if reason.is_of_result() || self.check_caller().is_err() {
            return reason;
        }
        let number = collective.calls;
        let (next, notice) = match collective.standing {
            Standing::Failed(_) => return reason,
            Standing::Sound if has_begun => (Standing::Failed(reason.to_string()), Some(Notice::Failed)),
            Standing::Sound => {
                let refused = Standing::Refused { first: number, last: number, calls: 1, digest: number };
                (refused, Some(Notice::Refused))
            }
            Standing::Refused { first, calls, digest, .. } => {
                let (calls, digest) = (calls + 1, mixed(digest, number));
                (Standing::Refused { first, last: number, calls, digest }, None)
            }
        };
        if let Standing::Refused { .. } = next {
            collective.passage.refuse(number);
        }
        collective.standing = next;
        if let Some(notice) = notice {
            // If they cannot be told the job has ended, which they learn by themselves.
            let _ = self.tell_others(notice.tag(number), &[]);
        }
        reason
    }
}

/// A digest with one more number.
fn mixed(digest: u64, number: u64) -> u64 {
    digest.rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number
}

#[cold]
fn refused_other_calls(function: Function, rank: Rank) -> Error {
    let what = format!(
        "{}: this rank has been refused calls of collectives that rank {rank} has taken part in, or the other way round",
        function
    );
    Error::new(ErrorClass::COMM, what).with_help(ADVICE)
}

#[cold]
fn failed_before(function: Function, why: &str) -> Error {
    let what = format!("{}: a collective of this communicator has failed before: {why}", function);
    Error::new(ErrorClass::COMM, what).with_help(ADVICE)
}

const ADVICE: &str = "the ranks no longer agree where they are; messages still pass, and split_by_subgroup makes a communicator out of them";
