//! [`race`]: ranks as threads, of which only the one that has the baton runs. A seed says who gets it, so that an
//! interleaving repeats.
//!
//! Ranks run the code that they run anywhere; only where they would let others run, or sleep, the baton goes on, and it
//! may at the points that [`baton`](crate::p2p::baton) lists. Nobody spins, and no sleep times out: a rank that sleeps
//! gets the baton when its doorbell has been rung. So if no rank can go on they wait for each other, or a wake-up is
//! lost.

use super::random::Random;
use crate::{
    p2p::{Engine, Until, role::Pause},
    shm::doorbell::Doorbell,
    sync::Ordering,
    sys::futex::Woken,
};
use std::{
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, Thread},
    time::Duration,
};

/// Points at which the baton may go on, after which ranks are taken to go round in circles.
const ENDLESS: u64 = 2_000_000;

/// What a race that went well was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Course {
    /// Points at which the baton could go on.
    pub(crate) points: u64,
    /// How often it did.
    pub(crate) passes: u64,
    /// Sleeps.
    pub(crate) sleeps: u64,
    /// Differs, as good as surely, if the baton has gone another way.
    pub(crate) trace: u64,
}

/// How the next holder is picked.
#[derive(Debug)]
enum Manner {
    /// Once in so many points, any rank.
    Fair { once_in: usize },
    /// The first of a line, as long as it can go on; once in so many points it becomes the last.
    Line { line: Vec<usize>, once_in: usize },
}

struct Contender {
    thread: Option<Thread>,
    bell: Doorbell,
    is_asleep: bool,
    is_over: bool,
}

impl Contender {
    fn can_go_on(&self) -> bool {
        !self.is_over && (!self.is_asleep || self.bell.is_rung())
    }
}

struct State {
    random: Random,
    manner: Manner,
    contenders: Vec<Contender>,
    /// None before all have come.
    holder: Option<usize>,
    course: Course,
    /// Why the race ends before its end.
    wrong: Option<String>,
    /// What ranks waited for then.
    waits: Vec<String>,
}

/// One race.
struct Relay(Mutex<State>);

/// A rank's part in a race.
pub(in crate::p2p) struct Runner {
    relay: Arc<Relay>,
    rank: usize,
}

/// What a rank unwinds with when the race has ended before its end.
struct Stopped;

impl Relay {
    fn new(engines: &[Engine], mut random: Random) -> Arc<Self> {
        let manner = if random.one_in(2) {
            Manner::Fair { once_in: random.pick(&[1, 2, 4, 16, 64]) }
        } else {
            let mut line: Vec<usize> = (0..engines.len()).collect();
            random.shuffle(&mut line);
            Manner::Line { line, once_in: random.pick(&[4, 16, 64, 256, 1024, 4096]) }
        };
        let contender = |engine: &Engine| Contender {
            thread: None,
            bell: engine.bell.clone(),
            is_asleep: false,
            is_over: false,
        };
        Arc::new(Self(Mutex::new(State {
            random,
            manner,
            contenders: engines.iter().map(contender).collect(),
            holder: None,
            course: Course::default(),
            wrong: None,
            waits: vec![],
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who goes on at a point of a rank's, which gives way or need not. None if nobody can.
    fn next(&mut self, rank: usize, gives_way: bool) -> Option<usize> {
        self.course.points += 1;
        let Self { random, manner, contenders, .. } = self;
        let (Manner::Fair { once_in } | Manner::Line { once_in, .. }) = *manner;
        if !gives_way && !random.one_in(once_in) && !matches!(manner, Manner::Line { .. }) {
            return Some(rank);
        }
        match manner {
            Manner::Fair { .. } => {
                let can = |other: &usize| contenders[*other].can_go_on() && !(gives_way && *other == rank);
                let others = (0..contenders.len()).filter(can).count();
                match others {
                    0 => contenders[rank].can_go_on().then_some(rank),
                    _ => (0..contenders.len()).filter(can).nth(random.below(others)),
                }
            }
            Manner::Line { line, once_in } => {
                if gives_way || random.one_in(*once_in) {
                    line.retain(|other| *other != rank);
                    line.push(rank);
                }
                line.iter().copied().find(|other| contenders[*other].can_go_on())
            }
        }
    }

    /// The race ends, unless it has ended before.
    fn stop(&mut self, wrong: String) {
        self.wrong.get_or_insert(wrong);
        self.contenders.iter().filter_map(|contender| contender.thread.as_ref()).for_each(Thread::unpark);
    }

    fn hand_to(&mut self, next: usize) {
        self.holder = Some(next);
        self.course.passes += 1;
        self.course.trace = (self.course.trace.rotate_left(5) ^ self.course.points << 8 ^ next as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.contenders[next].thread.as_ref().expect("all have come").unpark();
    }
}

impl Runner {
    /// Others may go on first.
    pub(in crate::p2p) fn pass(&self) {
        self.come_to_point(false);
    }

    /// Others go on first, if any can.
    pub(in crate::p2p) fn give_way(&self) {
        self.come_to_point(true);
    }

    fn come_to_point(&self, gives_way: bool) {
        if thread::panicking() {
            return;
        }
        let mut state = self.relay.state();
        let next = state.next(self.rank, gives_way);
        if state.course.points > ENDLESS {
            state.stop(format!("the baton could go on {ENDLESS} times"));
        }
        self.go_on_after(state, next, None);
    }

    /// What this rank does that has nothing to do.
    pub(in crate::p2p) fn pause(&self) -> Pause {
        let gives_way = self.relay.state().random.one_in(4);
        if gives_way { Pause::Yield } else { Pause::Sleep(Duration::MAX) }
    }

    /// Until the doorbell is rung, which has been announced.
    pub(in crate::p2p) fn sleep(&self, bell: &Doorbell, until: &Until<'_>) -> Woken {
        let mut state = self.relay.state();
        state.course.sleeps += 1;
        state.contenders[self.rank].is_asleep = true;
        let next = state.next(self.rank, true);
        if next.is_none() {
            state.stop("no rank can go on".into());
        }
        self.go_on_after(state, next, Some(until));
        debug_assert!(bell.is_rung());
        self.relay.state().contenders[self.rank].is_asleep = false;
        Woken::MaybeReady
    }

    fn go_on_after(&self, mut state: MutexGuard<'_, State>, next: Option<usize>, until: Option<&Until<'_>>) {
        if let Some(next) = next.filter(|next| *next != self.rank) {
            state.hand_to(next);
        }
        self.wait_for_turn(state, until);
    }

    fn wait_for_turn<'a>(&'a self, mut state: MutexGuard<'a, State>, until: Option<&Until<'_>>) {
        while state.wrong.is_none() {
            if state.holder == Some(self.rank) {
                return;
            }
            drop(state);
            thread::park();
            state = self.relay.state();
        }
        if let Some(until) = until {
            let wait = format!("\n  rank {} sleeps until {}", self.rank, describe(until));
            state.waits.push(wait);
        }
        drop(state);
        resume_unwind(Box::new(Stopped));
    }

    /// Takes its place; the last one to come gives the baton to the first to go.
    fn start(&self) {
        let mut state = self.relay.state();
        state.contenders[self.rank].thread = Some(thread::current());
        if state.contenders.iter().all(|contender| contender.thread.is_some()) {
            let ranks = state.contenders.len();
            let first = state.random.below(ranks);
            state.hand_to(first);
        }
        self.wait_for_turn(state, None);
    }

    fn finish(&self, outcome: thread::Result<Result<(), String>>) {
        let mut state = self.relay.state();
        state.contenders[self.rank].is_over = true;
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(wrong)) => state.stop(format!("rank {}: {wrong}", self.rank)),
            Err(payload) if payload.is::<Stopped>() => return,
            Err(payload) => {
                let text = payload.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("see above");
                state.stop(format!("rank {} has panicked: {text}", self.rank));
            }
        }
        if state.wrong.is_some() || state.contenders.iter().all(|contender| contender.is_over) {
            return;
        }
        match state.next(self.rank, true) {
            Some(next) => state.hand_to(next),
            None => state.stop(format!("rank {} was the last that could go on", self.rank)),
        }
    }
}

fn describe(until: &Until<'_>) -> String {
    match until {
        Until::Words { words, at_least, by } => {
            // Relaxed: a rank that has the baton has seen all before.
            let values: Vec<u64> = words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
            let by = by.map_or_else(String::new, |by| format!(" by rank {}", by.peer.0));
            let is_lost = values.iter().all(|value| value >= at_least);
            let lost = if is_lost { ": nobody has rung" } else { "" };
            format!("words that are {values:?} have been raised to {at_least}{by}{lost}")
        }
        Until::Request(id) => format!("operation {id:?} has ended"),
        Until::Any(ids) => format!("one of the operations {ids:?} has ended"),
        Until::Message(awaited) => format!("a message {:?} has come", awaited.pattern),
        Until::Woken(_) => "a waker is called".into(),
        Until::Settled | Until::CollectivesOver | Until::Quiet => "it may leave".into(),
    }
}

/// Runs the body of every rank in a thread. Errs with the first thing that went wrong, of which the others are told by
/// unwinding: what they do then does not matter.
pub(crate) fn race(
    engines: &mut [Engine],
    random: Random,
    body: impl Fn(&Engine) -> Result<(), String> + Sync,
) -> Result<Course, String> {
    let relay = Relay::new(engines, random);
    for (rank, engine) in engines.iter_mut().enumerate() {
        engine.baton.runner = Some(Runner { relay: Arc::clone(&relay), rank });
    }
    thread::scope(|scope| {
        for engine in &*engines {
            let body = &body;
            scope.spawn(move || {
                let runner = engine.baton.runner.as_ref().expect("just given");
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    runner.start();
                    body(engine)
                }));
                runner.finish(outcome);
            });
        }
    });
    engines.iter_mut().for_each(|engine| engine.baton.runner = None);
    let mut state = relay.state();
    let Some(mut wrong) = state.wrong.take() else { return Ok(state.course) };
    state.waits.sort();
    state.waits.iter().try_for_each(|wait| wrong.write_str(wait)).expect("a String takes everything");
    Err(wrong)
}

impl Engine {
    /// A point of a race at which others may go on first.
    pub(crate) fn pass_baton(&self) {
        self.baton.pass();
    }
}
