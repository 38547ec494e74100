//! [`InFlight`]: a receive that has been begun.

use super::{
    context::{Attempt, Context},
    memory::Memory,
    oracle::{Fate, facts_of_status},
};
use crate::{envelope::Pattern, error::Result, p2p::RequestId, status::Status};

pub(super) struct InFlight {
    pub(super) request: RequestId,
    pub(super) memory: Memory,
    pub(super) pattern: Pattern,
    /// When.
    pub(super) posted: u64,
    /// What a probe has said about the message.
    pub(super) probed: Option<Status>,
    pub(super) was_cancelled: bool,
}

impl InFlight {
    /// Posts a receive into new memory for `room` bytes.
    pub(super) fn post(context: &mut Context<'_>, pattern: Pattern, room: u64, key: u64) -> Attempt<Self> {
        let mut memory = Memory::new(key, room);
        let request = context.post(pattern, memory.receive_buffer())?;
        Ok(Self { request, memory, pattern, posted: context.clock, probed: None, was_cancelled: false })
    }

    /// Its outcome, if it has ended.
    pub(super) fn test(&self, context: &mut Context<'_>) -> Attempt<Option<Result<Status>>> {
        context.test(self.request)
    }

    pub(super) fn cancel(&mut self, context: &mut Context<'_>) {
        self.was_cancelled = true;
        context.cancel(self.request, self.posted);
    }

    /// The oracle looks at what it has got. True if it was withdrawn.
    pub(super) fn end(self, context: &mut Context<'_>, outcome: Result<Status>) -> Attempt<bool> {
        let Self { memory, pattern, posted, probed, .. } = self;
        let fate = match outcome {
            Ok(status) if status.is_cancelled() => {
                context.oracle.note_withdrawn(posted)?;
                return memory.check(&[]).map(|()| true);
            }
            Ok(status) => Fate::Stored { status, memory },
            Err(error) => match error.as_truncated() {
                Some(facts) => Fate::Truncated { facts, memory },
                None => return Err(error.to_string()),
            },
        };
        if let Some(probed) = probed.as_ref().map(facts_of_status)
            && fate.facts() != probed
        {
            return Err(format!("probed (source, tag, bytes) {probed:?}, received {:?}", fate.facts()));
        }
        context.note_end(posted, pattern, fate).map(|()| false)
    }
}
