//! The interface: a method a figure.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use super::copy::Kind;
use super::pair::Pair;
use super::payload::{Buffers, Touch};
use super::play::{Job, Message, Pace, Samples, Schedule, Task};
use super::ring::CELL_BYTES;
use super::scheme::{Scheme, Split};
use super::stats::{MAX_BATCHES, Per, Stats};
use super::survey;

/// Messages that a stream sends before it waits for an acknowledgement, as the OSU benchmarks do.
const WINDOW: usize = 64;

/// Bytes that a stream sends before it waits, where WINDOW messages are more: the wait is lost in them.
const WINDOW_BYTES: usize = 8 << 20;

/// Batches of a brief trial.
const TRIAL_BATCHES: usize = 3;

/// How long first trials may go on: on a busy machine not all schemes get one.
const FIRST_TRIALS: Duration = Duration::from_secs(1);

/// How many schemes get a second trial.
const BETTER: usize = 12;

/// How long a second trial takes.
const SECOND_TRIAL: Duration = Duration::from_millis(4);

/// How many schemes stay in the running when the same figure is asked for again.
const FINALISTS: usize = 4;

/// Two processes, and the figures that they reach. The partner sleeps between measurements and ends with this value.
pub(crate) struct Machine {
    pair: Pair,
    budget: Duration,
    kernel_copies: bool,
    finalists: HashMap<Figure, Vec<Scheme>>,
}

/// What competing schemes are compared in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Figure {
    bytes: usize,
    touch: Touch,
    buffers: Buffers,
    window: Option<u32>,
}

impl Figure {
    fn job(self, scheme: Scheme) -> Job {
        let message = Message { bytes: self.bytes, touch: self.touch, buffers: self.buffers, scheme };
        match self.window {
            None => Job::PingPong(message),
            Some(window) => Job::Stream(message, window),
        }
    }
}

impl Machine {
    /// Forks the partner. Each figure is measured for about `budget`, after the trials that it takes to find the best
    /// scheme.
    ///
    /// The partner is killed when the thread that called this ends. Every measurement panics if it finds the partner
    /// gone, or a payload that is not the one sent.
    ///
    /// # Errors
    ///
    /// If there is no memory or no process to be had.
    pub(crate) fn start(budget: Duration) -> io::Result<Machine> {
        let mut pair = Pair::start()?;
        let kernel_copies = pair.kernel_copies();
        Ok(Machine { pair, budget, kernel_copies, finalists: HashMap::new() })
    }

    /// Whether this process may use only one CPU, so that all figures are the scheduler's, not the machine's.
    pub(crate) fn shares_a_cpu(&self) -> bool {
        self.pair.shares_a_cpu()
    }

    /// A cache line to the other process and back, without payload.
    pub(crate) fn cache_line(&mut self) -> Stats {
        self.measure(Job::Line, self.budget)
    }

    /// Ping-pong of any length up to [`MAX_BYTES`](super::MAX_BYTES), by the best scheme, which is named. Up to
    /// [`CELL_BYTES`](super::CELL_BYTES) that is a cell of a ring, wherever the buffers lie.
    pub(crate) fn latency(&mut self, bytes: usize, touch: Touch, buffers: Buffers) -> (Stats, String) {
        self.best(Figure { bytes, touch, buffers, window: None })
    }

    /// A stream of messages of any length up to [`MAX_BYTES`](super::MAX_BYTES), by the best scheme, which is named.
    /// The sender waits after 64 messages, or 8 MiB, if these are less. All are sent from one buffer: when it is
    /// rewritten, a message that is copied straight out of it has to be received first.
    pub(crate) fn stream(&mut self, bytes: usize, touch: Touch, buffers: Buffers) -> (Stats, String) {
        let window = WINDOW.min(WINDOW_BYTES / bytes.max(1)) as u32;
        self.best(Figure { bytes, touch, buffers, window: Some(window) })
    }

    /// One process wakes the other by a futex and sleeps on one itself, in turn.
    pub(crate) fn futex_handover(&mut self) -> Stats {
        self.measure(Job::Handover, self.budget)
    }

    /// One process wakes the other, which has slept for a millisecond: until that one runs. (A hand-over wakes a process
    /// that has just fallen asleep, which is faster.)
    pub(crate) fn futex_wake_up(&mut self) -> Stats {
        self.measure(Job::WakeUp, self.budget)
    }

    /// The call that wakes a sleeping process, for the process that makes it.
    pub(crate) fn futex_wake_call(&mut self) -> Stats {
        self.measure(Job::WakeCall, self.budget)
    }

    /// Both processes wait for each other.
    pub(crate) fn barrier(&mut self) -> (Stats, String) {
        self.better(
            [Pace::Ahead, Pace::Paced].map(|pace| (Job::Barrier(pace), format!("flags{}", paced(pace)))),
        )
    }

    /// The first process's numbers, of that many bytes, get to the second, and both meet after that (which is in the time). Up to
    /// [`CELL_BYTES`](super::CELL_BYTES) they are in a cell; else they are in shared memory, written anew before the clock starts, and
    /// copied once.
    pub(crate) fn broadcast(&mut self, bytes: usize) -> (Stats, String) {
        if bytes <= CELL_BYTES {
            let job = |pace| (Job::BroadcastCell(bytes, pace), format!("cell{}", paced(pace)));
            return self.better([Pace::Ahead, Pace::Paced].map(job));
        }
        let job = |kind: Kind| (Job::Broadcast(bytes, kind), format!("one copy {}", kind.name()));
        let kinds = Kind::available().iter().copied().filter(|kind| *kind != Kind::NonTemporal);
        self.better(kinds.map(job))
    }

    /// Both processes get the sums of both processes' numbers, of that many bytes. Up to [`CELL_BYTES`](super::CELL_BYTES) each sends
    /// them in a cell; else they are in shared memory, written anew before the clock starts, and each process adds up one half and
    /// copies the other, or adds up all. Both meet after that, which is in the time.
    pub(crate) fn all_reduce(&mut self, bytes: usize) -> (Stats, String) {
        self.better(all_reductions(bytes))
    }

    /// As [`all_reduce`](Self::all_reduce), but all ways, not only the best.
    pub(crate) fn all_reductions(&mut self, bytes: usize) -> Vec<(Stats, String)> {
        let ways = all_reductions(bytes).into_iter();
        ways.map(|(job, name)| (self.measure(job, self.budget), name)).collect()
    }

    /// Measures each job for its share of the budget, and returns the fastest one's figure.
    fn better(&mut self, jobs: impl IntoIterator<Item = (Job, String)>) -> (Stats, String) {
        let jobs: Vec<_> = jobs.into_iter().collect();
        let share = self.budget / jobs.len().max(1) as u32;
        let figures = jobs.into_iter().map(|(job, name)| (self.measure(job, share), name));
        let best = figures.min_by(|a, b| a.0.median.total_cmp(&b.0.median));
        best.expect("every figure has a way to reach it")
    }

    /// The schemes that did best in a ping-pong's trials, best first, each measured like a figure.
    pub(crate) fn survey(&mut self, bytes: usize, touch: Touch, buffers: Buffers) -> Vec<(Stats, String)> {
        let figure = Figure { bytes, touch, buffers, window: None };
        let ranked = self.rank_candidates(figure, self.budget);
        ranked.into_iter().map(|(stats, scheme)| (stats, scheme.to_string())).collect()
    }

    /// The figure of the best scheme. The finalists are found once and compete anew each time, because the best way
    /// changes while a host moves its guests' CPUs.
    fn best(&mut self, figure: Figure) -> (Stats, String) {
        let finalists = match self.finalists.get(&figure) {
            Some(finalists) => finalists.clone(),
            None => self.find_finalists(figure),
        };
        let share = self.budget / (2 * finalists.len() as u32);
        let winner = self.rank(figure, finalists, share)[0].1;
        (self.measure(figure.job(winner), self.budget), winner.to_string())
    }

    fn find_finalists(&mut self, figure: Figure) -> Vec<Scheme> {
        let ranked = self.rank_candidates(figure, SECOND_TRIAL);
        let finalists: Vec<_> = ranked.into_iter().take(FINALISTS).map(|(_, scheme)| scheme).collect();
        self.finalists.insert(figure, finalists.clone());
        finalists
    }

    /// All candidates in a brief trial; then the better ones again, `length` each, best first.
    fn rank_candidates(&mut self, figure: Figure, length: Duration) -> Vec<(Stats, Scheme)> {
        let candidates = survey::candidates(figure.bytes, figure.buffers, self.kernel_copies);
        let start = Instant::now();
        let mut trials = Vec::with_capacity(candidates.len());
        for scheme in candidates {
            if trials.is_empty() || start.elapsed() < FIRST_TRIALS {
                trials.push((self.trial(figure.job(scheme)), scheme));
            }
        }
        trials.sort_by(|a, b| a.0.total_cmp(&b.0));
        let better = trials.into_iter().take(BETTER).map(|(_, scheme)| scheme).collect();
        self.rank(figure, better, length)
    }

    /// Measures each scheme for about `length`; best first.
    fn rank(&mut self, figure: Figure, schemes: Vec<Scheme>, length: Duration) -> Vec<(Stats, Scheme)> {
        let mut ranked: Vec<_> =
            schemes.into_iter().map(|scheme| (self.measure(figure.job(scheme), length), scheme)).collect();
        ranked.sort_by(|a, b| a.0.median.total_cmp(&b.0.median));
        ranked
    }

    /// The nanoseconds of a round at best, from as few rounds as say something.
    fn trial(&mut self, job: Job) -> f64 {
        let rounds = least_rounds(job);
        let schedule = Schedule { warm_up: rounds + 1, batches: TRIAL_BATCHES, rounds };
        let samples = self.pair.play(Task { job, schedule });
        samples[..TRIAL_BATCHES].iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn measure(&mut self, job: Job, length: Duration) -> Stats {
        let round = self.trial(job).max(1.0);
        let rounds = length.as_nanos() as f64 / MAX_BATCHES as f64 / round;
        let schedule =
            Schedule { warm_up: 2 * least_rounds(job), batches: MAX_BATCHES, rounds: (rounds as u32).max(1) };
        stats(job, self.pair.play(Task { job, schedule }))
    }
}

/// Rounds that bring the caches to rest: the scheme has used each of its slots.
fn least_rounds(job: Job) -> u32 {
    let (message, messages) = match job {
        Job::PingPong(message) => (message, 1),
        Job::Stream(message, window) => (message, window as usize),
        Job::Line | Job::Barrier(_) | Job::BroadcastCell(..) | Job::AllReduceWords(..) => return 512,
        Job::Broadcast(..) | Job::AllReduce(..) => return 4,
        Job::Handover | Job::WakeCall | Job::WakeUp => return 8,
        Job::Probe => return 1,
    };
    match message.scheme {
        Scheme::Cell { .. } => 512_usize.div_ceil(messages) as u32,
        scheme => scheme.working_set().div_ceil(message.bytes * messages).max(1) as u32,
    }
}

/// The ways to reduce that many bytes.
fn all_reductions(bytes: usize) -> [(Job, String); 2] {
    if bytes <= CELL_BYTES {
        let job = |pace| (Job::AllReduceWords(bytes, pace), format!("cells{}", paced(pace)));
        return [Pace::Ahead, Pace::Paced].map(job);
    }
    let ways = [(Split::Halves, "split reduction"), (Split::Whole, "each reduces all")];
    ways.map(|(split, name)| (Job::AllReduce(bytes, split), name.to_owned()))
}

/// What a way is called that polls at that pace.
fn paced(pace: Pace) -> &'static str {
    match pace {
        Pace::Ahead => "",
        Pace::Paced => " paced",
    }
}

fn stats(job: Job, mut samples: Samples) -> Stats {
    let (per, divisor, bytes) = match job {
        Job::PingPong(message) => (Per::HalfRoundTrip, 2.0, message.bytes),
        Job::Line | Job::Handover => (Per::HalfRoundTrip, 2.0, 0),
        Job::Stream(message, window) => (Per::Message, f64::from(window), message.bytes),
        Job::Broadcast(bytes, _)
        | Job::BroadcastCell(bytes, _)
        | Job::AllReduceWords(bytes, _)
        | Job::AllReduce(bytes, _) => (Per::Call, 1.0, bytes),
        Job::Barrier(_) | Job::WakeCall | Job::WakeUp | Job::Probe => (Per::Call, 1.0, 0),
    };
    for sample in &mut samples {
        *sample /= divisor;
    }
    Stats::of(&mut samples, per, bytes)
}
