//! Tests of requests as futures, in one process.

use super::threads;
use crate::{
    communicator::{Communicator, Request, ScopedFuture, Source, wait_any_of},
    error::ErrorClass,
    op::commutative,
};
use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

/// Only what hangs takes so long.
const LIMIT: Duration = Duration::from_secs(60);

/// A waker that says when it is called, and then may panic.
struct Bell {
    calls: Sender<()>,
    panics: bool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.calls.send(()).unwrap();
        assert!(!self.panics, "on purpose");
    }
}

fn waker(panics: bool) -> (Waker, Receiver<()>) {
    let (calls, called) = mpsc::channel();
    (Waker::from(Arc::new(Bell { calls, panics })), called)
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

fn expect_call(called: &Receiver<()>) {
    called.recv_timeout(LIMIT).expect("nobody calls the waker");
}

/// In a rank that is alone, and that sends to itself.
fn alone(f: impl Fn(&Communicator<'_>) + Sync) {
    threads(1, |world| f(&world)).unwrap();
}

#[test]
fn requests_are_futures_that_may_move_between_threads() {
    fn check<F: Future + Unpin + Send>() {}
    check::<Request<'_, Vec<u8>>>();
    check::<ScopedFuture<'_, &mut [u8]>>();
}

#[test]
fn what_has_ended_is_ready_at_once_and_needs_no_waker() {
    alone(|world| {
        let myself = world.process_at_rank(0);
        myself.send(&[1u8, 2]).unwrap();
        let mut receiving = myself.immediate_receive::<u8>(9).unwrap();
        let Poll::Ready(Ok((data, status))) = poll(&mut receiving, Waker::noop()) else {
            panic!("not ready")
        };
        assert_eq!((&data[..], status.bytes()), (&[1, 2][..], 2));
        let Poll::Ready(Err(again)) = poll(&mut receiving, Waker::noop()) else { panic!("ready twice") };
        assert_eq!(again.class(), ErrorClass::REQUEST);
    });
}

#[test]
fn only_the_waker_of_the_last_poll_is_called_and_by_another_thread() {
    alone(|world| {
        let myself = world.process_at_rank(0);
        let mut receiving = myself.immediate_receive::<u8>(1).unwrap();
        let [(first, not_called), (second, called)] = [(); 2].map(|()| waker(false));
        assert!(poll(&mut receiving, &first).is_pending());
        assert!(poll(&mut receiving, &second).is_pending());
        assert!(poll(&mut receiving, &second).is_pending());
        drop(first);
        assert!(not_called.try_recv().is_err(), "its waker is gone, and has not been called");
        myself.send(&[7u8]).unwrap();
        expect_call(&called);
        let Poll::Ready(Ok((data, _))) = poll(&mut receiving, &second) else { panic!("not ready") };
        assert_eq!(data, [7]);
    });
}

#[test]
fn a_request_that_moves_to_another_task_wakes_that_one() {
    alone(|world| {
        let myself = world.process_at_rank(0);
        let mut receiving = myself.immediate_receive::<u8>(1).unwrap();
        assert!(poll(&mut receiving, Waker::noop()).is_pending());
        std::thread::scope(|scope| {
            let (polled, is_polled) = mpsc::channel();
            let other = scope.spawn(move || {
                let (waker, called) = waker(false);
                assert!(poll(&mut receiving, &waker).is_pending());
                polled.send(()).unwrap();
                expect_call(&called);
                poll(&mut receiving, &waker).map(|outcome| outcome.unwrap().0)
            });
            is_polled.recv_timeout(LIMIT).unwrap();
            myself.send(&[7u8]).unwrap();
            assert_eq!(other.join().unwrap(), Poll::Ready(vec![7]));
        });
    });
}

#[test]
fn a_dropped_request_lets_go_of_its_waker_and_takes_no_message() {
    alone(|world| {
        let myself = world.process_at_rank(0);
        let mut receiving = myself.immediate_receive::<u8>(1).unwrap();
        let (waker, called) = waker(false);
        assert!(poll(&mut receiving, &waker).is_pending());
        drop((receiving, waker));
        assert_eq!(called.try_recv(), Err(mpsc::TryRecvError::Disconnected));
        myself.send(&[7u8]).unwrap();
        assert_eq!(myself.receive::<u8>().unwrap().0, 7);
    });
}

#[test]
fn a_cancelled_request_gives_its_buffer_back() {
    alone(|world| {
        let mut receiving = world.process_at_rank(0).immediate_receive_into(vec![5u8]).unwrap();
        assert!(poll(&mut receiving, Waker::noop()).is_pending());
        assert_eq!(receiving.cancel().unwrap(), [5]);
    });
}

/// Another call waits for the request in between, and is ended by another one.
#[test]
fn a_waker_stays_registered_while_a_call_waits_for_the_same_request() {
    alone(|world| {
        let myself = world.process_at_rank(0);
        let mut receives = [1, 2].map(|tag| myself.tag(tag).immediate_receive::<u8>(1).unwrap());
        let (waker, called) = waker(false);
        assert!(poll(&mut receives[0], &waker).is_pending());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| wait_any_of(&mut receives).unwrap());
            std::thread::sleep(Duration::from_millis(5));
            myself.tag(2).send(&[0u8]).unwrap();
            assert_eq!(waiting.join().unwrap(), Some(1));
        });
        assert_eq!(called.try_recv(), Err(mpsc::TryRecvError::Empty));
        myself.tag(1).send(&[0u8]).unwrap();
        expect_call(&called);
    });
}

#[test]
fn a_panic_in_a_waker_keeps_no_other_from_being_called() {
    alone(|world| {
        let myself = world.process_at_rank(0);
        for _ in 0..3 {
            let mut receives = [1, 2, 3].map(|tag| myself.tag(tag).immediate_receive::<u8>(1).unwrap());
            let wakers = [true, false, true].map(waker);
            for (receive, (waker, _)) in receives.iter_mut().zip(&wakers) {
                assert!(poll(receive, waker).is_pending());
            }
            [3, 1, 2].into_iter().for_each(|tag| myself.tag(tag).send(&[0u8]).unwrap());
            wakers.iter().for_each(|(_, called)| expect_call(called));
        }
    });
}

#[test]
fn a_panic_in_a_waker_does_not_end_block_on() {
    alone(|world| {
        let myself = world.process_at_rank(0);
        let mut receiving = myself.immediate_receive::<u8>(1).unwrap();
        let (panics, called) = waker(true);
        world.block_on(async {
            assert!(poll(&mut receiving, &panics).is_pending());
            let second = myself.tag(1).immediate_receive::<u8>(1).unwrap();
            myself.send(&[1u8]).unwrap();
            myself.tag(1).send(&[2u8]).unwrap();
            assert_eq!(second.await.unwrap().0, [2]);
        });
        expect_call(&called);
    });
}

/// A future that another thread makes ready.
#[test]
fn block_on_wakes_up_when_another_thread_calls_the_waker() {
    alone(|world| {
        let shared = Mutex::new((false, None::<Waker>));
        std::thread::scope(|scope| {
            let (polled, is_polled) = mpsc::channel();
            let shared = &shared;
            scope.spawn(move || {
                is_polled.recv_timeout(LIMIT).unwrap();
                // Long enough to be asleep.
                std::thread::sleep(Duration::from_millis(20));
                let mut shared = shared.lock().unwrap();
                shared.0 = true;
                let waker = shared.1.take();
                waker.into_iter().for_each(Waker::wake);
            });
            world.block_on(std::future::poll_fn(|context| {
                let mut shared = shared.lock().unwrap();
                shared.1 = Some(context.waker().clone());
                // Nobody listens any more when it is ready.
                _ = polled.send(());
                if shared.0 { Poll::Ready(()) } else { Poll::Pending }
            }));
        });
        assert_eq!(world.rescues(), 0);
    });
}

/// As a task that yields and is asked again at once, beside one whose waker is its own.
#[test]
fn a_future_that_wakes_itself_all_the_time_keeps_nobody_from_being_woken() {
    threads(2, |world| {
        let peer = world.process_at_rank(1 - world.rank());
        if world.rank() == 1 {
            peer.receive::<u8>().unwrap();
            return peer.send(&[1u8]).unwrap();
        }
        let mut receiving = peer.immediate_receive::<u8>(1).unwrap();
        let (waker, called) = waker(false);
        world.block_on(async {
            assert!(poll(&mut receiving, &waker).is_pending());
            peer.immediate_send(vec![0u8]).unwrap().await.unwrap();
            std::future::poll_fn(|context| match called.try_recv() {
                Ok(()) => Poll::Ready(()),
                Err(_) => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            })
            .await;
        });
        assert!(poll(&mut receiving, &waker).is_ready());
    })
    .unwrap();
}

/// More often than it is looked for ranks that have left.
#[test]
fn a_wait_in_vain_ends_also_while_others_end_all_the_time() {
    threads(2, |world| {
        if world.rank() == 1 {
            return;
        }
        let myself = world.process_at_rank(0);
        let mut in_vain = world.process_at_rank(1).immediate_receive::<u8>(1).unwrap();
        let is_over = Mutex::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !*is_over.lock().unwrap() {
                    myself.send(&[0u8]).unwrap();
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let mut tick = myself.immediate_receive::<u8>(1).unwrap();
            let outcome = world.block_on(std::future::poll_fn(|context| {
                while Pin::new(&mut tick).poll(context).is_ready() {
                    tick = myself.immediate_receive::<u8>(1).unwrap();
                }
                Pin::new(&mut in_vain).poll(context)
            }));
            *is_over.lock().unwrap() = true;
            assert!(outcome.unwrap_err().to_string().contains("in vain"));
        });
    })
    .unwrap();
}

/// Tasks that were polled in a `block_on` which is over are woken by the progress thread.
#[test]
fn what_block_on_leaves_behind_is_woken_all_the_same() {
    alone(|world| {
        let myself = world.process_at_rank(0);
        let mut receiving = myself.immediate_receive::<u8>(1).unwrap();
        let (waker, called) = waker(false);
        world.block_on(async { assert!(poll(&mut receiving, &waker).is_pending()) });
        myself.send(&[7u8]).unwrap();
        expect_call(&called);
    });
}

/// The other rank panics; those who wait in futures return, and so does `threads`.
fn pending_when_the_job_ends(wait: impl Fn(&Communicator<'_>) -> ErrorClass + Sync) {
    let outcome = Mutex::new(None);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        threads(2, |world| {
            let peer = world.process_at_rank(1 - world.rank());
            if world.rank() == 1 {
                peer.receive::<u8>().unwrap();
                panic!("on purpose");
            }
            peer.send(&[0u8]).unwrap();
            *outcome.lock().unwrap() = Some(wait(&world));
        })
    }));
    assert!(ended.is_err(), "the panic goes on");
    assert_eq!(outcome.into_inner().unwrap(), Some(ErrorClass::PROC_ABORTED));
}

#[test]
fn the_end_of_the_job_reaches_a_future_in_block_on() {
    pending_when_the_job_ends(|world| {
        let receiving = world.process_at_rank(1).tag(5).immediate_receive::<u8>(1).unwrap();
        world.block_on(receiving).unwrap_err().class()
    });
}

fn poll_when_called<F: Future + Unpin>(
    future: &mut F,
    waker: &Waker,
    called: &Receiver<()>,
) -> Poll<F::Output> {
    expect_call(called);
    poll(future, waker)
}

#[test]
fn the_end_of_the_job_wakes_all_tasks() {
    pending_when_the_job_ends(|world| {
        let receive = |tag| world.process_at_rank(1).tag(tag).immediate_receive::<u8>(1).unwrap();
        let mut receives = [5, 6, 7].map(receive);
        let wakers = [(); 3].map(|()| waker(false));
        let mut classes = Vec::new();
        let polled = receives.iter_mut().zip(&wakers).map(|(receive, (waker, _))| poll(receive, waker));
        let polled: Vec<_> = polled.collect();
        for ((receive, polled), (waker, called)) in receives.iter_mut().zip(polled).zip(&wakers) {
            // The job may have ended already.
            let ended = if polled.is_ready() { polled } else { poll_when_called(receive, waker, called) };
            let Poll::Ready(Err(error)) = ended else { panic!("the job has ended") };
            classes.push(error.class());
        }
        classes.dedup();
        assert_eq!(classes.len(), 1);
        classes[0]
    });
}

#[test]
fn persistent_operations_complete_and_completions_may_be_dropped() {
    alone(|world| {
        let myself = world.process_at_rank(0);
        let mut receiving = myself.receive_init(vec![false; 2]).unwrap();
        assert_eq!(world.block_on(receiving.completion()).unwrap().bytes(), 0, "not active");
        receiving.start().unwrap();
        assert!(poll(&mut receiving.completion(), Waker::noop()).is_pending());
        myself.send(&[true, false]).unwrap();
        assert_eq!(world.block_on(receiving.completion()).unwrap().bytes(), 2);
        assert_eq!(receiving.buffer_mut().unwrap(), [true, false]);
    });
}

/// On the progress thread, which has nobody to hand the panic on to.
#[test]
fn a_panic_in_an_operation_ends_the_job_and_wakes_all_tasks() {
    let error = threads(2, |world| {
        let (rank, peer) = (world.rank(), world.process_at_rank(1 - world.rank()));
        let add = commutative(move |a: &u64, b: &u64| {
            assert!(rank != 0, "on purpose");
            a + b
        });
        if rank == 1 {
            peer.receive::<u8>().unwrap();
            return drop(world.immediate_all_reduce(vec![1u64; 3], add).and_then(Request::wait));
        }
        let mut sum = world.immediate_all_reduce(vec![1u64; 3], add).unwrap();
        let (waker, called) = waker(false);
        assert!(poll(&mut sum, &waker).is_pending());
        peer.send(&[0u8]).unwrap();
        expect_call(&called);
        assert!(matches!(poll(&mut sum, &waker), Poll::Ready(Err(_))));
    })
    .unwrap_err();
    assert!(error.to_string().contains("panic"), "{error}");
}
