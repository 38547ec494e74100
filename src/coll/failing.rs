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

impl<'u> Communicator<'u> {
    /// A blocking collective: `body` looks at its arguments, [begins](Entered::begin), and goes to its end. If it errs all
    /// other ranks are told.
    #[inline(always)]
    pub(super) fn collective<R>(
        &self,
        call: Call,
        body: impl FnOnce(&mut Entered<'_, 'u>) -> Result<R>,
    ) -> Result<R> {
        let collective = self.enter_collective(call.function)?;
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
    fn tell_others(&self, tag: Tag) -> Result<()> {
        let context = self.remote().contexts.collective();
        let notice = Envelope { context, source: self.rank(), tag, bytes: 0 };
        let nothing = buffer::of_slice::<u8>(&[]);
        self.other_members().try_for_each(|(_, peer)| self.engine().send_buffered(peer, notice, nothing))
    }

    fn other_members(&self) -> impl Iterator<Item = (Rank, PeerId)> + '_ {
        (0..).zip(self.remote().group.iter()).filter(|(rank, _)| *rank != self.rank())
    }

    /// Whether the next message of a member among blocking collectives is that notice.
    fn hears(&self, (rank, peer): (Rank, PeerId), tag: Tag) -> Result<bool> {
        let context = self.local().contexts.collective();
        let pattern = Pattern { context, source: Some(rank), tag: None };
        match self.engine().receive(pattern, Some(peer), buffer::of_slice_mut::<u8>(&mut [])) {
            Ok(status) => Ok(status.tag() == tag),
            Err(error) if error.as_truncated().is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Entered<'_, '_> {
    /// The arguments are in order: from here on the rank takes part.
    #[inline(always)]
    pub(super) fn begin(&mut self) -> Result<(&mut Collective, Call)> {
        let mut number = self.collective.passage.taken() + 1;
        if !matches!(self.collective.standing, Standing::Sound) {
            number += self.comm.go_on(&mut self.collective, self.call.function)?;
        }
        self.has_begun = true;
        self.collective.passage.take(number);
        Ok((&mut self.collective, self.call))
    }
}

/// None of these takes what is [`Entered`], which so needs no memory of its own where nothing fails.
impl Communicator<'_> {
    /// After calls that have failed: how many were refused.
    #[cold]
    fn go_on(&self, collective: &mut Collective, function: Function) -> Result<u64> {
        let outcome = match &collective.standing {
            Standing::Sound => Ok(0),
            Standing::Refused(calls) => self.agree_on_refusals(function, collective, *calls).map(|()| *calls),
            Standing::Failed(why) => return Err(failed_before(function, why)),
        };
        collective.standing = match &outcome {
            Ok(_) => Standing::Sound,
            Err(error) => {
                // Some may agree with this rank, and go on.
                let _ = self.tell_others(Notice::Failed.tag(collective.passage.taken()));
                Standing::Failed(error.to_string())
            }
        };
        outcome
    }

    /// Whether all ranks were refused the same calls: then none has begun anything in these.
    fn agree_on_refusals(&self, function: Function, collective: &Collective, calls: u64) -> Result<()> {
        let taken = collective.passage.taken();
        let (first, last) = (Notice::Refused.tag(taken + 1), Notice::RefusedUpTo.tag(taken + calls));
        self.tell_others(last)?;
        for member in self.other_members() {
            if !(self.hears(member, first)? && self.hears(member, last)?) {
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
        let taken = collective.passage.taken();
        let (next, notice) = match collective.standing {
            Standing::Failed(_) => return reason,
            Standing::Sound if has_begun => {
                (Standing::Failed(reason.to_string()), Some(Notice::Failed.tag(taken)))
            }
            Standing::Sound => (Standing::Refused(1), Some(Notice::Refused.tag(taken + 1))),
            Standing::Refused(calls) => (Standing::Refused(calls + 1), None),
        };
        if let Standing::Refused(calls) = next {
            collective.passage.refuse(taken + calls);
        }
        collective.standing = next;
        if let Some(notice) = notice {
            // If they cannot be told the job has ended, which they learn by themselves.
            let _ = self.tell_others(notice);
        }
        reason
    }
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
