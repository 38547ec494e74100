//! Probes: looking at a message before it is received, and taking it out of matching.

use super::{
    Awaited, Core, Engine, Until,
    arrive::{Arrived, StreamTarget, to_hold},
};
use crate::{
    buffer::ReceiveBuffer,
    envelope::{Envelope, Pattern},
    error::{Error, ErrorClass, Result},
    status::Status,
};

/// Names a message that a matched probe has taken out of matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MessageId {
    index: u32,
    generation: u32,
}

/// Messages that matched probes have taken, and that nobody has received yet.
pub(super) struct Messages {
    first_generation: u32,
    slots: Vec<(u32, Option<(Envelope, Arrived)>)>,
    free: Vec<u32>,
}

impl Messages {
    pub(super) fn new(first_generation: u32) -> Self {
        Self { first_generation, slots: Vec::new(), free: Vec::new() }
    }

    fn insert(&mut self, message: (Envelope, Arrived)) -> MessageId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((self.first_generation, None));
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 messages fit into memory")
        });
        let (generation, slot) = &mut self.slots[index as usize];
        *slot = Some(message);
        MessageId { index, generation: *generation }
    }

    pub(super) fn get_mut(&mut self, id: MessageId) -> Option<&mut (Envelope, Arrived)> {
        let (generation, slot) = self.slots.get_mut(id.index as usize)?;
        slot.as_mut().filter(|_| *generation == id.generation)
    }

    /// How many there are, for tests that expect none to be lost.
    #[cfg(any(test, feature = "internals"))]
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn take(&mut self, id: MessageId) -> Option<(Envelope, Arrived)> {
        let (generation, slot) = self.slots.get_mut(id.index as usize)?;
        let message = slot.take_if(|_| *generation == id.generation)?;
        *generation = generation.wrapping_add(1);
        self.free.push(id.index);
        Some(message)
    }
}

impl Engine {
    /// Looks for a message without receiving it.
    pub(crate) fn iprobe(&self, awaited: Awaited<'_>) -> Result<Option<Status>> {
        self.find_once(awaited, Core::probe)
    }

    /// Waits for a message without receiving it.
    pub(crate) fn probe(&self, awaited: Awaited<'_>) -> Result<Status> {
        self.find(awaited, Core::probe)
    }

    /// Takes a message out of matching, if there is one.
    pub(crate) fn improbe(&self, awaited: Awaited<'_>) -> Result<Option<(MessageId, Status)>> {
        self.find_once(awaited, Core::matched_probe)
    }

    /// Waits for a message and takes it out of matching.
    pub(crate) fn mprobe(&self, awaited: Awaited<'_>) -> Result<(MessageId, Status)> {
        self.find(awaited, Core::matched_probe)
    }

    fn find_once<F>(
        &self,
        awaited: Awaited<'_>,
        look: impl Fn(&mut Core, &Pattern) -> Result<Option<F>>,
    ) -> Result<Option<F>> {
        let mut core = self.lock();
        let found = look(&mut core, awaited.pattern)?;
        let mut core = self.combining(core)?;
        match found {
            Some(_) => core.blocked.note_success(&self.published),
            None => self.note_failed_test(&mut core, Until::Message(awaited))?,
        }
        Ok(found)
    }

    fn find<F>(
        &self,
        awaited: Awaited<'_>,
        look: impl Fn(&mut Core, &Pattern) -> Result<Option<F>>,
    ) -> Result<F> {
        loop {
            let found = look(&mut self.lock(), awaited.pattern)?;
            if let Some(found) = found {
                return Ok(found);
            }
            self.wait_until(Until::Message(awaited))?;
        }
    }

    /// Receives a message that a matched probe has taken.
    pub(crate) fn mreceive(&self, message: MessageId, into: impl Into<ReceiveBuffer>) -> Result<Status> {
        let id = self.imreceive(message, into)?;
        self.wait(id)
    }

    /// Begins to receive a message that a matched probe has taken.
    pub(crate) fn imreceive(
        &self,
        message: MessageId,
        into: impl Into<ReceiveBuffer>,
    ) -> Result<super::RequestId> {
        self.enter()?.unless_failed(|core| match core.messages.take(message) {
            Some((envelope, arrived)) => core.begin_matched(&envelope, arrived, into.into()),
            None => Err(Error::new(ErrorClass::REQUEST, "the message has been received already")),
        })
    }

    /// Receives a message and throws it away. Does not wait.
    pub(crate) fn discard_message(&self, message: MessageId) -> Result<()> {
        self.enter_to_drop()?.unless_failed(|core| {
            if let Some((envelope, arrived)) = core.messages.take(message) {
                let nowhere = ReceiveBuffer::discarding(envelope.bytes);
                let id = core.begin_matched(&envelope, arrived, nowhere)?;
                core.requests.detach(id, None);
            }
            Ok(())
        })
    }
}

impl Core {
    fn probe(&mut self, pattern: &Pattern) -> Result<Option<Status>> {
        self.check_failure()?;
        let found = match self.unexpected.find(pattern) {
            Some(id) => Some(id),
            None => {
                self.poll()?;
                self.unexpected.find(pattern)
            }
        };
        Ok(found.and_then(|id| self.unexpected.get(id)).map(|(envelope, _)| status_of(envelope)))
    }

    fn matched_probe(&mut self, pattern: &Pattern) -> Result<Option<(MessageId, Status)>> {
        if self.probe(pattern)?.is_none() {
            return Ok(None);
        }
        let Some((envelope, arrived)) = self.unexpected.take(pattern) else { return Ok(None) };
        self.let_go(&envelope, &arrived);
        let stream = arrived.stream_from(&envelope);
        let id = self.messages.insert((envelope, arrived));
        if let Some(from) = stream {
            self.peers[from.index()].stream = Some(StreamTarget::Message(id));
        }
        Ok(Some((id, status_of(&envelope))))
    }

    /// The message leaves the unexpected queue: its blocks no longer count as held there.
    pub(super) fn let_go(&mut self, envelope: &Envelope, arrived: &Arrived) {
        if let Arrived::InBlocks { from, pieces, .. } = arrived {
            let (class, blocks) = to_hold(envelope, pieces);
            self.peers[from.index()].held[class] -= blocks;
        }
    }
}

fn status_of(envelope: &Envelope) -> Status {
    Status::of_message(envelope.source, envelope.tag, envelope.bytes)
}
