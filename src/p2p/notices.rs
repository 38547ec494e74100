//! Notices: a rank whose call of a collective has failed tells the others, which may wait for its part.
//!
//! A notice is an empty message where the part would be ([`Envelope::is_notice`]). Who waits to receive that finds the
//! notice instead, and `coll` makes an error of it. Who waits for something else of that rank (a flag on a board, the
//! match of a send) looks for notices where it looks for ranks that have left (docs/PROTOCOL.md, Collectives that
//! fail).

use super::{
    Core, Engine, Mode, RequestId,
    arrive::Arrived,
    schedule::{Channel, Running},
};
use crate::{
    buffer,
    envelope::{Envelope, NOTICE_MARK, Notice, PERSISTENT_TAG, Pattern, marked},
    error::{Error, ErrorClass, Result},
    sync::{AtomicU64, Ordering},
    types::{ContextId, PeerId, Rank, Tag},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

/// How far this rank is in the blocking collectives of a communicator, which one thread at a time sets.
#[derive(Default)]
pub(crate) struct Passage {
    /// The number of the last one that it has taken part in, and of the last one that it was refused.
    taken: AtomicU64,
    refused: AtomicU64,
}

impl Passage {
    #[inline]
    pub(crate) fn taken(&self) -> u64 {
        // Relaxed: by the thread that sets it.
        self.taken.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn take(&self, call: u64) {
        // Relaxed: who reads an earlier number does so again later.
        self.taken.store(call, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self, call: u64) {
        // Relaxed: as above.
        self.refused.store(call, Ordering::Relaxed);
    }

    /// Whether what a notice says can never become what this rank says; of its call only the low bits are known.
    fn contradicts(&self, notice: Notice, call: u64) -> bool {
        let (last, least) = match notice {
            Notice::Refused => (&self.taken, call),
            Notice::RefusedUpTo => (&self.refused, call + 1),
            Notice::Failed | Notice::Passed => return false,
        };
        // Relaxed: as above.
        let ahead = last.load(Ordering::Relaxed).wrapping_sub(least) & ((1 << Notice::CALL_BITS) - 1);
        ahead < 1 << (Notice::CALL_BITS - 1)
    }
}

/// How far this rank is in the blocking collectives of its communicators, by their contexts.
#[derive(Default)]
pub(super) struct Passages {
    by_context: HashMap<ContextId, (Rank, Weak<Passage>)>,
    /// So many are there before those of communicators that are no more go.
    limit: usize,
    /// The refusals of others that have been answered.
    answered: HashSet<(ContextId, PeerId, Tag)>,
}

impl Passages {
    fn add(&mut self, context: ContextId, rank: Rank) -> Arc<Passage> {
        if self.by_context.len() >= self.limit {
            self.by_context.retain(|_, (_, passage)| passage.strong_count() > 0);
            self.answered.retain(|(context, ..)| self.by_context.contains_key(context));
            self.limit = 64 + 2 * self.by_context.len();
        }
        let passage = Arc::new(Passage::default());
        self.by_context.insert(context, (rank, Arc::downgrade(&passage)));
        passage
    }

    /// The context may be given again.
    pub(super) fn forget(&mut self, context: ContextId) {
        self.by_context.remove(&context);
        self.answered.retain(|(other, ..)| *other != context);
    }
}

/// The overlapping collectives that this rank was refused, and how many others have not told the same: what they tell is
/// of no use here.
#[derive(Default)]
pub(super) struct RefusedCalls(HashMap<(ContextId, Tag), usize>);

impl RefusedCalls {
    /// The context may be given again.
    pub(super) fn forget(&mut self, context: ContextId) {
        if !self.0.is_empty() {
            self.0.retain(|(other, _), _| *other != context);
        }
    }
}

impl Engine {
    /// To be told how far this rank, of a new communicator, is in the blocking collectives with a context.
    pub(crate) fn passage(&self, context: ContextId, rank: Rank) -> Arc<Passage> {
        // A child's is for nothing.
        self.enter_to_drop().map_or_else(|_| Arc::default(), |mut core| core.passages.add(context, rank))
    }

    /// This rank has no part in an overlapping collective, as it tells the other members.
    #[cold]
    pub(crate) fn refuse_part(&self, channel: &Channel, members: impl Iterator<Item = PeerId>) {
        let others: Vec<PeerId> = members.filter(|member| *member != self.me).collect();
        if let Ok(mut core) = self.enter_to_drop() {
            // What goes wrong every later call reports.
            let _ = core.unless_failed(|core| {
                core.tell(channel, &others)?;
                core.expect_refusals(channel, others.len())
            });
        }
    }
}

impl Core {
    /// A collective of this rank ends with an error: tells those that its steps to come, or its open messages, were for.
    pub(super) fn tell_partners(&mut self, running: &Running, open: &[RequestId]) {
        let mut partners: Vec<PeerId> = running.partners_to_come().collect();
        if running.tag() & PERSISTENT_TAG != 0 {
            // There may be further rounds at the others, and none here.
            partners.extend(running.partners());
        }
        partners.extend(open.iter().filter_map(|message| self.awaited_peer(*message)).map(|(peer, _)| peer));
        partners.sort_unstable_by_key(|partner| partner.0);
        partners.dedup();
        partners.retain(|partner| *partner != self.me);
        // If shared memory is corrupted, or the job has ended, they learn of that.
        let _ = self.unless_failed(|core| core.tell(running.channel(), &partners));
    }

    fn tell(&mut self, channel: &Channel, others: &[PeerId]) -> Result<()> {
        let Channel { sends_in: context, rank, tag, .. } = *channel;
        let notice = Envelope { context, source: marked(rank, NOTICE_MARK), tag, bytes: 0 };
        others.iter().try_for_each(|to| self.post_notice(*to, notice))
    }

    /// Never waits.
    fn post_notice(&mut self, to: PeerId, notice: Envelope) -> Result<()> {
        let id = self.try_post_send(to, notice, Mode::Standard, buffer::of_slice::<u8>(&[]).into())?;
        self.abandon(id);
        Ok(())
    }

    /// Answers those that were refused a call which this rank has taken part in, or that go on although this rank was
    /// refused a later one: they wait to hear that all were refused the same ones, and this rank may wait for them.
    pub(super) fn answer_refusals(&mut self) -> Result<()> {
        if self.notices == 0 {
            return Ok(());
        }
        let mut passed = Vec::new();
        for (_, notice, arrived) in self.unexpected.iter() {
            let Some(from) = arrived.teller() else { continue };
            let Envelope { context, tag, .. } = *notice;
            if !(notice.is_of_blocking_collective() && notice.is_notice()) {
                continue;
            }
            let (what, call) = Notice::of_tag(tag);
            let Some((rank, passage)) = self.passages.by_context.get(&context) else { continue };
            if passage.upgrade().is_some_and(|passage| passage.contradicts(what, call)) {
                let answer = Envelope { context, source: *rank, tag: Notice::Passed.tag(call), bytes: 0 };
                passed.push((from, tag, answer));
            }
        }
        for (to, tag, answer) in passed {
            if self.passages.answered.insert((answer.context, to, tag)) {
                self.post_notice(to, answer)?;
            }
        }
        Ok(())
    }

    /// So many others may have been refused the same call, and tell so, or have told. What others send to this rank in that
    /// call is of no use.
    fn expect_refusals(&mut self, channel: &Channel, mut others: usize) -> Result<()> {
        let (context, tag) = (channel.receives_in, channel.tag);
        let of_call = Pattern { context, source: None, tag: Some(tag) };
        self.discard_unexpected(&of_call, |envelope| {
            others -= usize::from(envelope.is_notice() && others > 0);
        })?;
        if others > 0 {
            self.refused.0.insert((context, tag), others);
        }
        Ok(())
    }

    /// Whether a message that comes is of a call that this rank was refused.
    pub(super) fn is_of_no_use(&mut self, envelope: &Envelope) -> bool {
        if self.refused.0.is_empty() {
            return false;
        }
        let key = (envelope.context, envelope.tag);
        let Some(others) = self.refused.0.get_mut(&key) else { return false };
        *others -= usize::from(envelope.is_notice());
        if *others == 0 {
            self.refused.0.remove(&key);
        }
        true
    }

    /// The rank of a peer that has told that it has no part in a message's collective.
    pub(super) fn failure_at(&self, peer: PeerId, message: &Envelope) -> Option<Rank> {
        self.notices_of(message).find(|(from, _)| *from == peer).map(|(_, rank)| rank)
    }

    /// As [`Self::failure_at`], of any peer.
    pub(super) fn failure_of_any(&self, message: &Envelope) -> Option<Rank> {
        self.notices_of(message).next().map(|(_, rank)| rank)
    }

    /// Ends the collectives that send to such peers: who waits to receive learns by itself. True if there were any.
    pub(super) fn end_failed_schedules(&mut self) -> bool {
        if self.notices == 0 {
            return false;
        }
        let mut failed = Vec::new();
        for id in self.schedules.clone() {
            let Some(running) = self.requests.schedule(id) else { continue };
            // Its memory is in use while a thread combines.
            if running.is_combining() {
                continue;
            }
            let function = running.channel().function;
            let open: Vec<RequestId> = running.open().collect();
            let rank = open.into_iter().find_map(|message| {
                let send = self.requests.send(message)?;
                let (to, envelope) = (send.to, send.envelope);
                self.failure_at(to, &envelope)
            });
            failed.extend(rank.map(|rank| (id, failed_elsewhere(rank).of(function))));
        }
        let has_failed = !failed.is_empty();
        failed.into_iter().for_each(|(id, error)| self.end_schedule(id, error));
        has_failed
    }

    fn notices_of<'a>(&'a self, message: &'a Envelope) -> impl Iterator<Item = (PeerId, Rank)> + 'a {
        // Not for every message of a program.
        let unexpected = message.is_of_collective().then(|| self.unexpected.iter()).into_iter().flatten();
        let notices = unexpected.filter(|(_, envelope, _)| envelope.is_notice_of(message));
        notices.filter_map(|(_, envelope, arrived)| Some((arrived.teller()?, envelope.sender())))
    }
}

impl Arrived {
    /// Who has sent a message that can be a notice: without credit these are announced.
    fn teller(&self) -> Option<PeerId> {
        match self {
            Self::Inline { from, .. } | Self::Announced { from, .. } | Self::Aside { from, .. } => {
                Some(*from)
            }
            Self::InBlocks { .. } | Self::AtSelf { .. } => None,
        }
    }
}

/// A rank of a communicator has told that its call of a collective has failed.
#[cold]
pub(crate) fn failed_elsewhere(rank: Rank) -> Error {
    let what = format!("rank {rank} has no part in this collective, or in one before: its call has failed");
    Error::new(ErrorClass::OTHER, what).with_help("its own error says why")
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        buffer::Scratch,
        p2p::{
            Config, Until, Writer,
            schedule::{ChannelOrder, Schedule, Step},
        },
        shm::{doorbell::BarrierMode, segment::Segment},
    };
    use std::sync::Arc;

    /// Of collectives that overlap, and of those that do not.
    const OVERLAPPING: ContextId = ContextId(18);
    const CONSECUTIVE: ContextId = ContextId(17);

    fn engines() -> [Engine; 2] {
        let segment = Segment::on_heap(2).unwrap();
        [0, 1].map(|rank| Engine::new(&segment, PeerId(rank), Config::new(BarrierMode::Fence)).unwrap())
    }

    fn channel(engine: &Engine, tag: Tag) -> Channel {
        let order = ChannelOrder::Overlapping { mark: 0, compare: |_, _, _| unreachable!("no other marks") };
        let rank = engine.me().0 as i32;
        Channel { sends_in: OVERLAPPING, receives_in: OVERLAPPING, rank, function: "f", tag, order }
    }

    fn refuse(engine: &Engine, tag: Tag) {
        engine.refuse_part(&channel(engine, tag), [0, 1].map(PeerId).into_iter());
    }

    /// A collective of rank 0 that sends to rank 1, or receives from it.
    fn begun(engine: &Engine, tag: Tag, bytes: u64, sends: bool) -> RequestId {
        let mut scratch = Scratch::new(bytes).unwrap();
        let memory = scratch.memory();
        let step = match sends {
            true => Step::Send { to: PeerId(1), from: memory.to_send() },
            false => Step::Receive { from: PeerId(1), source: 1, into: memory },
        };
        let schedule = Schedule { scratch: vec![scratch], ..Schedule::new(channel(engine, tag)) };
        let schedule = Schedule { steps: vec![step], messages: 1, ..schedule };
        engine.begin(Arc::new(schedule), vec![]).unwrap()
    }

    fn says_who(outcome: Result<impl Sized>) {
        let error = outcome.map(drop).unwrap_err().to_string();
        assert!(error.contains("rank 1 has no part in this collective"), "{error}");
    }

    #[test]
    fn who_waits_to_receive_learns_at_once_and_who_waits_to_send_when_it_looks() {
        let engines = engines();
        let receives = begun(&engines[0], 1, 8, false);
        let sends = begun(&engines[0], 2, 1 << 20, true);
        let other = begun(&engines[0], 3, 1 << 20, true);
        refuse(&engines[1], 1);
        engines[0].step().unwrap();
        assert!(engines[0].test(receives).unwrap());
        says_who(engines[0].take_outcome(receives));
        let look = |id| engines[0].lock().look_for_leavers(&Until::Request(id));
        assert!(!look(sends).unwrap(), "of another call");
        refuse(&engines[1], 2);
        engines[0].step().unwrap();
        assert!(look(other).unwrap(), "whatever the thread waits for");
        says_who(engines[0].take_outcome(sends));
        assert!(!look(other).unwrap());
        engines[0].abandon(other);
    }

    #[test]
    fn who_waits_for_a_word_looks_for_notices_of_whom_it_waits_for_or_of_all() {
        let engines = engines();
        let words = [];
        let look = |context, peer: u32, needs_all| {
            let by = Some(Writer { peer: PeerId(peer), context, needs_all });
            // Of no words any value is reached; looks for who is in vain come before.
            engines[0].lock().find_vain(&Until::Words { words: &words, at_least: 1, by })
        };
        assert!(look(CONSECUTIVE, 1, false).is_none());
        let notice = Envelope { context: CONSECUTIVE, source: 1, tag: -1, bytes: 0 };
        engines[1].send_buffered(PeerId(0), notice, buffer::of_slice::<u8>(&[])).unwrap();
        engines[0].step().unwrap();
        assert!(look(CONSECUTIVE, 1, false).is_some() && look(CONSECUTIVE, 0, true).is_some());
        assert!(look(CONSECUTIVE, 0, false).is_none() && look(OVERLAPPING, 1, true).is_none());
    }

    #[test]
    fn who_was_refused_hears_from_those_that_were_not_once_each() {
        let engines = engines();
        let passage = engines[0].passage(CONSECUTIVE, 0);
        let tell = |notice: Notice, call| {
            let envelope = Envelope { context: CONSECUTIVE, source: 1, tag: notice.tag(call), bytes: 0 };
            engines[1].send_buffered(PeerId(0), envelope, buffer::of_slice::<u8>(&[])).unwrap();
        };
        let answers = || {
            while engines[0].step().unwrap() {}
            engines[0].lock().answer_refusals().unwrap();
            while engines[1].step().unwrap() {}
            engines[1].held().1
        };
        passage.take(6);
        tell(Notice::Refused, 7);
        assert_eq!(answers(), 0, "this rank may be refused that call as well");
        passage.refuse(7);
        tell(Notice::RefusedUpTo, 7);
        assert_eq!(answers(), 0, "they say the same so far");
        passage.refuse(8);
        assert_eq!(answers(), 1, "the other one goes on, and this one was refused another call");
        passage.take(9);
        assert_eq!(answers(), 2, "this one has taken part in a later call");
        assert_eq!(answers(), 2, "that has been said");
        tell(Notice::Failed, 7);
        assert_eq!(answers(), 2, "who has failed waits for nobody");
    }

    #[test]
    fn of_calls_that_all_were_refused_nothing_is_kept() {
        for early in [true, false] {
            let engines = engines();
            for tag in 0..1000 {
                refuse(&engines[1], tag);
                if early {
                    engines[0].step().unwrap();
                }
                refuse(&engines[0], tag);
                engines.iter().for_each(|engine| while engine.step().unwrap() {});
            }
            for engine in &engines {
                assert_eq!(engine.held(), (0, 0, 0));
                assert!(engine.lock().refused.0.is_empty());
            }
        }
    }

    #[test]
    fn a_collective_that_fails_tells_those_that_it_has_not_come_to() {
        let engines = engines();
        let ends = begun(&engines[0], 1, 1 << 20, true);
        engines[0].lock().end_schedule(ends, Error::new(ErrorClass::OTHER, "on purpose"));
        engines[1].step().unwrap();
        let told = engines[1]
            .lock()
            .notices_of(&Envelope { context: OVERLAPPING, source: 0, tag: 1, bytes: 0 })
            .count();
        assert_eq!(told, 1);
        says_on_purpose(engines[0].take_outcome(ends));
    }

    fn says_on_purpose(outcome: Result<impl Sized>) {
        assert!(outcome.map(drop).unwrap_err().to_string().contains("on purpose"));
    }
}
