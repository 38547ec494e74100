//! Corrupted shared memory: what is wrong stays wrong. A packet that was found corrupted has left its
//! ring, so that nobody would notice again; the first such error is kept, and every later call that
//! posts, waits, tests or probes reports it. Nothing moves any more. What has ended before keeps its
//! outcome.

use super::Core;
use crate::error::{Error, ErrorClass, Result};

impl Core {
    /// Errs if shared memory has been found corrupted.
    #[inline]
    pub(super) fn check_failure(&self) -> Result<()> {
        self.failure.as_ref().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// Does what may find shared memory corrupted, unless that has been found before.
    #[inline]
    pub(super) fn unless_failed<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.check_failure()?;
        let outcome = act(self);
        if let Err(error) = &outcome {
            self.note_error(error);
        }
        outcome
    }

    #[cold]
    fn note_error(&mut self, error: &Error) {
        if error.class() != ErrorClass::INTERN || self.failure.is_some() {
            return;
        }
        self.failure = Some(error.clone());
        // The fast paths test nothing else.
        self.peers.iter_mut().for_each(|peer| peer.is_fast = false);
        self.role.wake_holder(&self.bell);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::{
        buffer::{of_slice, of_slice_mut},
        envelope::{Envelope, Pattern},
        error::{ErrorClass, Result},
        p2p::{Awaited, Config, Engine, Mode, Until},
        shm::{doorbell::BarrierMode, segment::Segment},
        types::{ContextId, PeerId},
    };
    use std::{
        sync::{Arc, mpsc},
        time::Duration,
    };

    /// Only what hangs takes so long.
    const LIMIT: Duration = Duration::from_secs(60);
    const CONTEXT: ContextId = ContextId(16);
    const ANY: Pattern = Pattern { context: CONTEXT, source: None, tag: None };
    const FROM_ANY: Awaited<'_> = Awaited { pattern: &ANY, from: None };

    fn engines() -> [Engine; 2] {
        let segment = Segment::on_heap(2).unwrap();
        let config = Config::new(BarrierMode::Fence);
        [0, 1].map(|rank| Engine::new(&segment, PeerId(rank), config).unwrap())
    }

    fn envelope(source: i32, bytes: usize) -> Envelope {
        Envelope { context: CONTEXT, source, tag: 0, bytes: bytes as u64 }
    }

    fn send(from: &Engine, to: u32, data: &[u8]) -> Result<()> {
        let envelope = envelope(from.me().0 as i32, data.len());
        from.send(PeerId(to), envelope, Mode::Standard, of_slice(data))
    }

    /// Rank 1 writes a packet of no kind into its ring to rank 0.
    fn scribble(engine: &Engine) {
        let peer = &mut engine.lock().peers[0];
        assert_eq!(peer.find_room().ok(), Some(true));
        peer.producer.push(0xff, &[]);
        peer.bell.announce(1);
    }

    #[test]
    fn a_packet_that_a_sender_finds_corrupted_is_reported_by_all_later_calls() {
        let [engine, peer] = engines();
        let mut into = [[0u8; 8]; 3];
        let [first, second, third] = &mut into;
        let receive = engine.ireceive(ANY, None, of_slice_mut(first)).unwrap();
        send(&peer, 0, &[1; 8]).unwrap();
        assert!(engine.test(receive).unwrap());
        let unmatched = engine.ireceive(ANY, None, of_slice_mut(second)).unwrap();
        scribble(&peer);
        // Sends poll now and then.
        let failed = (0..1000).find_map(|_| {
            peer.step().unwrap();
            send(&engine, 1, &[2; 8]).err()
        });
        let failure = failed.expect("sends go on for ever").to_string();
        assert!(failure.contains("shared memory is corrupted"), "{failure}");
        let reports = |what: &str, outcome: Result<()>| {
            let error = outcome.expect_err(what);
            assert_eq!((error.class(), error.to_string()), (ErrorClass::INTERN, failure.clone()), "{what}");
        };
        reports("send", send(&engine, 1, &[2; 8]));
        reports("send to itself", send(&engine, 0, &[2; 8]));
        reports("buffered send", engine.send_buffered(PeerId(1), envelope(0, 8), of_slice(&[2u8; 8])));
        let isend = engine.isend(PeerId(1), envelope(0, 8), Mode::Synchronous, of_slice(&[2u8; 8]));
        reports("isend", isend.map(drop));
        reports("receive", engine.receive(ANY, Some(PeerId(1)), of_slice_mut(third)).map(drop));
        reports("ireceive", engine.ireceive(ANY, None, of_slice_mut(third)).map(drop));
        reports("iprobe", engine.iprobe(FROM_ANY).map(drop));
        reports("probe", engine.probe(FROM_ANY).map(drop));
        reports("improbe", engine.improbe(FROM_ANY).map(drop));
        reports("test", engine.test(unmatched).map(drop));
        reports("wait for any", engine.wait_until(Until::Any(&[unmatched])));
        reports("wait", engine.wait(unmatched).map(drop));
        reports("finalize", engine.leave());
        assert_eq!(engine.wait(receive).unwrap().bytes(), 8, "it had ended before");
        assert_eq!(into, [[1; 8], [0; 8], [0; 8]]);
    }

    #[test]
    fn all_threads_that_wait_learn_of_a_corrupted_packet() {
        const THREADS: usize = 3;
        let [engine, peer] = engines().map(Arc::new);
        let (results, outcomes) = mpsc::channel();
        for _ in 0..THREADS {
            let (engine, results) = (Arc::clone(&engine), results.clone());
            std::thread::spawn(move || results.send(engine.probe(FROM_ANY)));
        }
        scribble(&peer);
        for _ in 0..THREADS {
            let outcome = outcomes.recv_timeout(LIMIT).expect("a thread waits for ever");
            assert_eq!(outcome.unwrap_err().class(), ErrorClass::INTERN);
        }
    }
}
