//! Leaving: a rank completes its sends, as far as somebody can still receive them; and who waits for a rank
//! that has left learns that it is in vain. No error, early return or forgotten receive on one rank may
//! leave the others waiting for ever.
//!
//! A rank that leaves sends what is queued (of large messages the envelope), and ends receives that nobody asks for.
//! Then it is [`RankState::Settling`] until collectives have ended that it has let go of: nothing else sends or takes
//! messages. Then it says that it is [`RankState::Leaving`]: it sends no message any more and takes none, and its
//! answers to messages that it has taken are in the rings. What is left are sends that nobody has taken yet. When they
//! have ended it is [`RankState::Finalized`].
//!
//! Whoever finds such a state, and then nothing in the ring, knows: messages to that rank that it has not
//! taken never will be, and messages from it that have not come never will. A program in which it matters is
//! wrong, so that it is looked for only now and then: by every thread that waits, about once a second, and at
//! every 64th test or probe that finds nothing.

use super::{
    Core, Engine, RequestId, Until, Writer, job_ended,
    notices::failed_elsewhere,
    request::{ReceiveOperation, ReceivePhase, SendPhase},
};
use crate::{
    envelope::Envelope,
    error::{Error, ErrorClass, Result},
    shm::slot::RankState,
    status::Status,
    sys::thread,
    types::{PeerId, Rank},
};

/// Why a wait can never end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vain {
    Left(PeerId),
    AllLeft,
    /// The rank of a communicator whose call of a collective has failed, as it has told.
    Failed(Rank),
}

impl Engine {
    /// Ends what this rank still owes: sends that nobody waits for, control packets, room and blocks of its
    /// peers. Waits for peers only as long as they may receive what this rank has sent.
    pub(crate) fn leave(&self) -> Result<()> {
        // A rank that has ended the job does not leave it in order: its slot says what it did.
        if self.slot().state() == RankState::Aborted {
            return Err(job_ended());
        }
        let mut core = self.lock();
        core.withdraw_receives();
        core.drop_vain_sends()?;
        drop(core);
        self.wait_until(Until::Settled)?;
        self.slot().set_state(RankState::Settling);
        self.wait_until(Until::CollectivesOver)?;
        self.slot().set_state(RankState::Leaving);
        let mut core = self.lock();
        // Who asked for what has ended since need not find out by this rank's state.
        let answered = core.unless_failed(Core::answer_inquiries);
        let left = core.leave_contexts(&self.dropped);
        drop(core);
        let result = self.wait_until(Until::Quiet);
        let mut core = self.lock();
        core.publish_all();
        result.and(answered).and(left).and(core.check_failure())?;
        self.slot().set_state(RankState::Finalized);
        Ok(())
    }
}

impl Core {
    /// Looks whether somebody has left who would have to end the wait. Errs if so; a rank that leaves drops
    /// its own sends instead. True if something has moved meanwhile.
    pub(super) fn look_for_leavers(&mut self, until: &Until<'_>) -> Result<bool> {
        if !self.schedules.is_empty() {
            self.unless_failed(Self::inquire)?;
        }
        if until.is_of_finalize() {
            return self.look_in_finalize();
        }
        self.unless_failed(Self::answer_refusals)?;
        if self.end_failed_schedules() {
            return Ok(true);
        }
        if let Until::Woken(_) = until {
            return self.fail_vain_requests();
        }
        let Some(vain) = self.find_vain(until) else { return Ok(false) };
        // What was done before leaving can be seen now.
        if self.poll_all()? || self.is_satisfied(until) {
            return Ok(true);
        }
        Err(vain.into_error())
    }

    pub(super) fn find_vain(&mut self, until: &Until<'_>) -> Option<Vain> {
        match until {
            Until::Request(id) => self.is_request_vain(*id),
            Until::Any(ids) => {
                let mut verdicts = ids.iter().map(|id| self.is_request_vain(*id));
                let first = verdicts.next()??;
                verdicts.all(|verdict| verdict.is_some()).then_some(first)
            }
            Until::Message(awaited) => self.is_receive_vain(awaited.from),
            Until::Words { by, .. } => by.and_then(|by| self.is_writer_vain(by)),
            Until::Woken(_) | Until::Settled | Until::CollectivesOver | Until::Quiet => None,
        }
    }

    /// Ends the waits of wakers that are in vain, each by itself. True if something has moved.
    fn fail_vain_requests(&mut self) -> Result<bool> {
        let mut vain = Vec::new();
        for id in self.wakers.registered() {
            vain.extend(self.is_request_vain(id).map(|vain| (id, vain)));
        }
        // What was done before leaving can be seen now.
        if vain.is_empty() || self.poll_all()? {
            return Ok(!vain.is_empty());
        }
        vain.into_iter().for_each(|(id, vain)| self.fail(id, vain.into_error()));
        Ok(true)
    }

    fn is_request_vain(&mut self, id: RequestId) -> Option<Vain> {
        if let Some(send) = self.requests.send(id) {
            let (to, is_waiting, envelope) = (send.to, send.phase.waits_for_match(), send.envelope);
            let is_vain =
                to != self.me && (self.is_send_vain(to, is_waiting) || is_waiting && self.is_leaving(to));
            let failed = || self.failure_at(to, &envelope).map(Vain::Failed);
            return if is_vain { Some(Vain::Left(to)) } else { failed() };
        }
        if let Some(running) = self.requests.schedule(id) {
            let open: Vec<RequestId> = running.open().collect();
            return open.into_iter().find_map(|message| self.is_scheduled_vain(message)).map(Vain::Left);
        }
        match self.requests.receive(id)?.phase {
            ReceivePhase::Posted { from, .. } => self.is_receive_vain(from),
            _ => None,
        }
    }

    /// Of a message of a collective: its other side may be one that a rank which is settling has let go of.
    fn is_scheduled_vain(&mut self, message: RequestId) -> Option<PeerId> {
        if let Some((peer, _)) = self.awaited_peer(message) {
            return (self.has_left(peer) || self.is_answered_in_vain(message)).then_some(peer);
        }
        // A send that only lacks room.
        let to = self.requests.send(message)?.to;
        (to != self.me && self.is_send_vain(to, false)).then_some(to)
    }

    fn is_writer_vain(&self, Writer { peer, context, needs_all }: Writer) -> Option<Vain> {
        let part = Envelope { context, source: 0, tag: 0, bytes: 0 };
        let failed = if needs_all { self.failure_of_any(&part) } else { self.failure_at(peer, &part) };
        failed.map(Vain::Failed).or_else(|| self.is_leaving(peer).then_some(Vain::Left(peer)))
    }

    /// Whether no message can come any more. A rank may always send to itself, if it has another thread.
    fn is_receive_vain(&self, from: Option<PeerId>) -> Option<Vain> {
        match from {
            Some(from) => (from != self.me && self.is_leaving(from)).then_some(Vain::Left(from)),
            None => {
                let mut others = (0..self.peers.len() as u32).map(PeerId).filter(|peer| *peer != self.me);
                let has_others = self.peers.len() > 1;
                let all_left =
                    has_others && others.all(|peer| self.is_leaving(peer)) && thread::is_only_one();
                all_left.then_some(Vain::AllLeft)
            }
        }
    }

    /// Whether a message will never be taken. A rank that is leaving still polls: what has no room finds it.
    fn is_send_vain(&self, to: PeerId, is_waiting: bool) -> bool {
        match self.state_of(to) {
            RankState::Finalized => true,
            RankState::Leaving => is_waiting,
            _ => false,
        }
    }

    /// Whether only collectives that it has let go of may still send or take messages, if anything.
    fn is_leaving(&self, peer: PeerId) -> bool {
        self.has_left(peer) || self.state_of(peer) == RankState::Settling
    }

    /// Whether it sends no message any more and takes none.
    fn has_left(&self, peer: PeerId) -> bool {
        matches!(self.state_of(peer), RankState::Leaving | RankState::Finalized)
    }

    pub(super) fn state_of(&self, peer: PeerId) -> RankState {
        self.peers[peer.index()].published.slot.state()
    }

    /// What has been posted and forgotten takes no message any more. Collectives go on: others need them.
    fn withdraw_receives(&mut self) {
        let scheduled = self.scheduled_messages();
        let is_posted = |receive: &ReceiveOperation| matches!(receive.phase, ReceivePhase::Posted { .. });
        let receives = self.requests.receives().filter(|(_, receive)| is_posted(receive));
        let forgotten = receives.map(|(id, _)| id).filter(|id| !scheduled.contains(id));
        let posted: Vec<RequestId> = forgotten.collect();
        for id in posted {
            self.cancel_receive(id);
        }
    }

    /// This rank receives nothing any more, and so may others: drops its sends that nobody will ever take.
    /// True if something has moved.
    pub(super) fn drop_vain_sends(&mut self) -> Result<bool> {
        let vain = self.vain_sends();
        let schedules: Vec<(RequestId, Vain)> = self.vain_schedules();
        let gone: Vec<PeerId> =
            self.backlog.iter().copied().filter(|to| self.state_of(*to) == RankState::Finalized).collect();
        if vain.is_empty() && gone.is_empty() && schedules.is_empty() {
            return Ok(false);
        }
        // They may have taken a message just before they left.
        if self.poll_all()? {
            return Ok(true);
        }
        for to in gone {
            self.peers[to.index()].drop_backlog();
        }
        for &id in &vain {
            self.end(id, Ok(Status::EMPTY));
        }
        for (id, vain) in schedules {
            self.end_schedule(id, vain.into_error());
        }
        Ok(true)
    }

    fn vain_schedules(&mut self) -> Vec<(RequestId, Vain)> {
        let schedules = self.schedules.clone();
        // The memory of a schedule is in use while a thread combines.
        let is_combining =
            |core: &mut Self, id| core.requests.schedule(id).is_none_or(|it| it.is_combining());
        let vain = |id| if is_combining(self, id) { None } else { Some((id, self.is_request_vain(id)?)) };
        schedules.into_iter().filter_map(vain).collect()
    }

    fn vain_sends(&mut self) -> Vec<RequestId> {
        let sends: Vec<(RequestId, PeerId, bool)> =
            self.requests.sends().map(|(id, send)| (id, send.to, send.phase.waits_for_match())).collect();
        let is_vain = |&(_, to, is_waiting): &(RequestId, PeerId, bool)| {
            to == self.me || self.is_send_vain(to, is_waiting)
        };
        sends.iter().filter(|send| is_vain(send)).map(|(id, ..)| *id).collect()
    }
}

impl SendPhase {
    /// Nothing but the receiver's match is missing.
    pub(super) fn waits_for_match(&self) -> bool {
        matches!(self, Self::Announced | Self::AwaitMatch)
    }
}

impl Vain {
    #[cold]
    fn into_error(self) -> Error {
        let who = match self {
            Self::Failed(rank) => return failed_elsewhere(rank),
            Self::Left(peer) => format!("rank {}, which is finalizing or has finalized", peer.0),
            Self::AllLeft => "a message: all other ranks are finalizing or have finalized".into(),
        };
        let what = format!("this call waits in vain for {who}");
        Error::new(ErrorClass::OTHER, what)
            .with_help("it left before its part was done; perhaps its main returned an error")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        buffer::{of_slice, of_slice_mut},
        envelope::{Envelope, Pattern},
        p2p::{Awaited, Config, Mode},
        shm::{doorbell::BarrierMode, segment::Segment},
        types::{ContextId, Tag},
    };
    use std::{sync::Arc, thread::JoinHandle};

    const CONTEXT: ContextId = ContextId(16);
    /// More than is sent before it is asked for.
    const LARGE: usize = 100_000;

    fn engines(ranks: u32) -> Vec<Arc<Engine>> {
        let segment = Segment::on_heap(ranks as usize).unwrap();
        let config = Config::new(BarrierMode::Fence);
        let engine = |rank| Arc::new(Engine::new(&segment, PeerId(rank), config).unwrap());
        (0..ranks).map(engine).collect()
    }

    fn from(source: i32, tag: Tag) -> Pattern {
        Pattern { context: CONTEXT, source: Some(source), tag: Some(tag) }
    }

    /// A send that nobody waits for.
    fn detached(engine: &Engine, to: u32, tag: Tag, data: &[u8], mode: Mode) {
        let (source, bytes) = (engine.me().0 as i32, data.len() as u64);
        let id =
            engine.isend(PeerId(to), Envelope { context: CONTEXT, source, tag, bytes }, mode, of_slice(data));
        engine.abandon(id.unwrap());
    }

    fn leaving(engine: &Arc<Engine>) -> JoinHandle<Result<()>> {
        let engine = Arc::clone(engine);
        std::thread::spawn(move || engine.leave())
    }

    fn wait_for_state(engine: &Engine, state: RankState) {
        while engine.slot().state() != state {
            std::thread::yield_now();
        }
    }

    fn is_in_vain<T: std::fmt::Debug>(outcome: Result<T>, rank: u32) {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("in vain") && error.contains(&format!("rank {rank}")), "{error}");
    }

    #[test]
    fn what_a_rank_sent_before_it_left_is_received_and_what_it_did_not_send_is_an_error() {
        let engines = engines(2);
        let [sender, receiver] = &engines[..] else { panic!("two engines") };
        let (small, large) = ([1u8; 10], vec![2u8; LARGE]);
        detached(sender, 1, 1, &large, Mode::Standard);
        detached(sender, 1, 2, &small, Mode::Synchronous);
        let sender_leaves = leaving(sender);
        wait_for_state(sender, RankState::Leaving);
        let mut into = vec![0u8; LARGE];
        let mut receive = |tag| receiver.receive(from(0, tag), Some(PeerId(0)), of_slice_mut(&mut into));
        is_in_vain(receive(3), 0);
        let pattern = from(0, 3);
        is_in_vain(receiver.probe(Awaited { pattern: &pattern, from: Some(PeerId(0)) }), 0);
        assert_eq!(receive(1).unwrap().bytes(), LARGE as u64);
        assert_eq!(receive(2).unwrap().bytes(), 10);
        sender_leaves.join().unwrap().unwrap();
        assert_eq!(sender.slot().state(), RankState::Finalized);
        is_in_vain(receive(3), 0);
    }

    #[test]
    fn a_send_to_a_rank_that_leaves_is_an_error_and_one_that_it_took_before_is_none() {
        let engines = engines(2);
        let [leaver, sender] = &engines[..] else { panic!("two engines") };
        // Its own message keeps it.
        detached(leaver, 1, 1, &[1; 10], Mode::Synchronous);
        let mut into = vec![0u8; LARGE];
        let taken = leaver.ireceive(from(1, 2), Some(PeerId(1)), of_slice_mut(&mut into)).unwrap();
        let envelope = |tag| Envelope { context: CONTEXT, source: 1, tag, bytes: LARGE as u64 };
        let data = vec![3u8; LARGE];
        let send = |tag, mode| sender.isend(PeerId(0), envelope(tag), mode, of_slice(&data)).unwrap();
        let first = send(2, Mode::Standard);
        leaver.step().unwrap();
        leaver.abandon(taken);
        let unasked = [send(3, Mode::Standard), send(3, Mode::Synchronous)];
        let leaves = leaving(leaver);
        sender.wait(first).unwrap();
        wait_for_state(leaver, RankState::Leaving);
        unasked.into_iter().for_each(|id| is_in_vain(sender.wait(id), 0));
        sender.leave().unwrap();
        leaves.join().unwrap().unwrap();
    }

    #[test]
    fn ranks_that_leave_with_messages_for_each_other_and_themselves_all_leave() {
        let engines = engines(3);
        for engine in &engines {
            for to in 0..3 {
                (0..200).for_each(|_| detached(engine, to, 1, &[1; 10], Mode::Standard));
                detached(engine, to, 1, &[1; LARGE], Mode::Standard);
                detached(engine, to, 1, &[1; 10], Mode::Synchronous);
            }
        }
        let all: Vec<_> = engines.iter().map(leaving).collect();
        all.into_iter().for_each(|leaves| leaves.join().unwrap().unwrap());
        for engine in &engines {
            assert_eq!((engine.slot().state(), engine.held().0), (RankState::Finalized, 0));
        }
    }

    /// The error of a test or probe that is made again and again.
    fn failure_of<T: std::fmt::Debug>(mut test: impl FnMut() -> Result<T>) -> Result<T> {
        (0..1000).map(|_| test()).find(Result::is_err).expect("it goes on for ever")
    }

    #[test]
    fn tests_and_probes_that_go_on_for_what_a_rank_that_has_left_never_sent_are_errors() {
        let engines = engines(3);
        let [leaver, other, tester] = &engines[..] else { panic!("three engines") };
        detached(leaver, 2, 1, &[1; 10], Mode::Standard);
        leaver.leave().unwrap();
        let (from_leaver, pattern, mut into) = (Some(PeerId(0)), from(0, 3), [[0u8; 10]; 4]);
        let mut receives =
            into.iter_mut().zip([(0, 1), (0, 2), (0, 3), (1, 4)]).map(|(into, (source, tag))| {
                let peer = Some(PeerId(source as u32));
                tester.ireceive(from(source, tag), peer, of_slice_mut(into)).unwrap()
            });
        let [sent, first, second, slow] = std::array::from_fn(|_| receives.next().unwrap());
        let awaited = Awaited { pattern: &pattern, from: from_leaver };
        is_in_vain(failure_of(|| tester.iprobe(awaited)), 0);
        is_in_vain(failure_of(|| tester.improbe(awaited)), 0);
        is_in_vain(failure_of(|| tester.test(first)), 0);
        is_in_vain(failure_of(|| tester.test_some(&[first, second], 1)), 0);
        // Other calls end well meanwhile, as those of another thread do.
        is_in_vain(failure_of(|| (tester.test(RequestId::COMPLETE)?, tester.test(second)).1), 0);
        for _ in 0..1000 {
            assert!(!tester.test(slow).unwrap(), "its sender is there");
            assert_eq!(tester.test_some(&[first, slow], 1).unwrap(), [0; 0]);
            assert!(tester.test(sent).unwrap(), "it was sent before");
        }
        detached(other, 2, 4, &[4; 10], Mode::Standard);
        assert_eq!(tester.wait(slow).unwrap().bytes(), 10);
        [sent, first, second].into_iter().for_each(|id| tester.abandon(id));
    }

    #[test]
    fn a_thread_that_waits_behind_another_learns_that_a_rank_has_left() {
        let engines = engines(3);
        let [leaver, other, waiter] = &engines[..] else { panic!("three engines") };
        let receive = |source, tag| {
            let engine = Arc::clone(waiter);
            std::thread::spawn(move || {
                let mut into = [0u8; 10];
                engine.receive(from(source, tag), Some(PeerId(source as u32)), of_slice_mut(&mut into))
            })
        };
        let slow = receive(1, 1);
        // Who sleeps on the doorbell has the role.
        while waiter.slot().epoch() % 2 == 0 {
            std::thread::yield_now();
        }
        let in_vain = receive(0, 2);
        leaver.leave().unwrap();
        is_in_vain(in_vain.join().unwrap(), 0);
        assert!(!slow.is_finished());
        detached(other, 2, 1, &[1; 10], Mode::Standard);
        assert_eq!(slow.join().unwrap().unwrap().bytes(), 10);
        assert_eq!(waiter.rescues(), 0);
    }

    #[test]
    fn a_receive_that_was_forgotten_takes_no_message_of_a_rank_that_leaves_too() {
        let engines = engines(2);
        let [forgetful, sender] = &engines[..] else { panic!("two engines") };
        let mut into = [0u8; 10];
        forgetful.ireceive(from(1, 1), Some(PeerId(1)), of_slice_mut(&mut into)).unwrap();
        // Its own message keeps it.
        detached(forgetful, 1, 1, &[1; 10], Mode::Synchronous);
        let leaves = leaving(forgetful);
        wait_for_state(forgetful, RankState::Leaving);
        detached(sender, 0, 1, &[1; 10], Mode::Synchronous);
        sender.leave().unwrap();
        leaves.join().unwrap().unwrap();
        assert_eq!(into, [0; 10]);
    }

    #[test]
    fn a_receive_from_any_rank_goes_on_while_another_thread_may_send() {
        let engines = engines(2);
        engines[1].leave().unwrap();
        let any = Pattern { context: CONTEXT, source: None, tag: None };
        let core = &mut *engines[0].lock();
        // The tests have threads.
        assert_eq!(core.is_receive_vain(None), None);
        assert_eq!(core.is_receive_vain(Some(PeerId(1))), Some(Vain::Left(PeerId(1))));
        assert_eq!(core.is_receive_vain(Some(PeerId(0))), None);
        assert!(core.find_vain(&Until::Message(Awaited { pattern: &any, from: None })).is_none());
    }
}
