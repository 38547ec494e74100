//! Which method a large message takes: the one that has cost least, as measured while the job runs.
//!
//! The receiver decides. What a method costs is in a table that all ranks share ([`Tuning`]): the time
//! in copies only, so that a peer that comes late makes no method look slow. Another method is taken up
//! only if it is a fifth cheaper. To see whether the best still is, some messages travel by another: at
//! most one byte in a hundred, and fewer if it is known to be slow, so that trials cost about one part in
//! a hundred of the time.

use crate::shm::tuning::{CLASSES, Method, Tuning, class};
use std::str::FromStr;

/// What the user says about the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BulkOption {
    /// By measurement.
    Auto,
    /// Always in pieces through shared blocks.
    Pipelined,
    /// The same, in larger pieces and more of them.
    PipelinedLarge,
    /// By cross-memory attach wherever it is possible.
    Cma,
    /// In place wherever the sender's buffer lies in shared memory.
    Direct,
}

impl FromStr for BulkOption {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "auto" => Ok(Self::Auto),
            "pipelined" => Ok(Self::Pipelined),
            "pipelined-large" => Ok(Self::PipelinedLarge),
            "cma" => Ok(Self::Cma),
            "direct" => Ok(Self::Direct),
            _ => Err(()),
        }
    }
}

impl BulkOption {
    /// Whether a method may be taken at all.
    pub(super) fn allows(self, method: Method) -> bool {
        match self {
            Self::Auto => true,
            Self::Pipelined => method == Method::SmallPieces,
            Self::PipelinedLarge => method == Method::LargePieces,
            Self::Cma => matches!(method, Method::SmallPieces | Method::Cma),
            Self::Direct => matches!(method, Method::SmallPieces | Method::Direct),
        }
    }
}

/// The methods by which one message can travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Possible {
    pub(super) cma: bool,
    pub(super) direct: bool,
}

impl Possible {
    fn contains(self, method: Method) -> bool {
        match method {
            Method::SmallPieces | Method::LargePieces => true,
            Method::Cma => self.cma,
            Method::Direct => self.direct,
        }
    }
}

/// How one message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) method: Method,
    /// Its copies are timed.
    pub(super) is_timed: bool,
}

/// Messages by which a method is tried: the last is timed, the others bring the lines to where this
/// method leaves them.
const TRIAL: u32 = 4;
/// One byte in so many goes into trials.
const TRIAL_SHARE: u64 = 100;
/// Of the messages that take the chosen method one in so many is timed: clocks cost time too.
const TIMED_SHARE: u32 = 8;
/// The first messages of a class say how fast page faults are, and are not timed;
const COLD: u32 = 2;
/// all up to here are, before anything else is tried.
const SETTLED: u32 = 16;

/// A method that is known to be so many times slower costs so many times its bytes, up to this.
const SLOWER_MAX: u64 = 8;

/// A method that is being tried.
#[derive(Clone, Copy)]
struct Trial {
    method: Method,
    /// What its bytes count.
    weight: u64,
    /// Messages to go.
    left: u32,
}

/// One rank's choices.
pub(super) struct Choices {
    option: BulkOption,
    tuning: Tuning,
    /// By whether the sender's buffer can be read in place, and size class.
    states: [[State; CLASSES]; 2],
}

#[derive(Clone, Copy, Default)]
struct State {
    chosen: Option<Method>,
    messages: u32,
    /// Bytes, all, and those in trials.
    moved: u64,
    tried: u64,
    trial: Option<Trial>,
    /// Where the search for the next method to try begins.
    turn: usize,
}

impl Choices {
    pub(super) fn new(option: BulkOption, tuning: Tuning) -> Self {
        Self { option, tuning, states: Default::default() }
    }

    pub(super) fn option(&self) -> BulkOption {
        self.option
    }

    pub(super) fn plan(&mut self, bytes: u64, possible: Possible) -> Plan {
        match self.option {
            BulkOption::Direct if possible.direct => untimed(Method::Direct),
            BulkOption::Cma if possible.cma => untimed(Method::Cma),
            BulkOption::Auto => self.plan_by_cost(bytes, possible),
            BulkOption::PipelinedLarge => untimed(Method::LargePieces),
            _ => untimed(Method::SmallPieces),
        }
    }

    /// What has been chosen for every kind of message, for simulations.
    #[cfg(any(all(test, not(loom)), feature = "internals"))]
    pub(super) fn chosen(&self) -> Vec<Option<Method>> {
        self.states.iter().flatten().map(|state| state.chosen).collect()
    }

    /// A message's copies took `nanos`.
    pub(super) fn note(&self, method: Method, bytes: u64, nanos: u64) {
        self.tuning.note(method, bytes, nanos);
    }

    fn plan_by_cost(&mut self, bytes: u64, possible: Possible) -> Plan {
        let class = class(bytes);
        let Self { tuning, states, .. } = self;
        let state = &mut states[usize::from(possible.direct)][class];
        state.messages = state.messages.wrapping_add(1).max(1);
        state.moved += bytes;
        let cost = |method| tuning.cost(method, class).map(|cost| charged(method, cost));
        if let Some(plan) = state.go_on_trying(bytes, possible) {
            return plan;
        }
        let chosen = state.choose(possible, cost);
        if state.messages <= SETTLED || cost(chosen).is_none() {
            return Plan { method: chosen, is_timed: state.messages > COLD };
        }
        match state.begin_trial(bytes, possible, cost) {
            Some(method) => untimed(method),
            None => Plan { method: chosen, is_timed: state.messages.is_multiple_of(TIMED_SHARE) },
        }
    }
}

impl State {
    fn go_on_trying(&mut self, bytes: u64, possible: Possible) -> Option<Plan> {
        let Trial { method, weight, left } =
            self.trial.take().filter(|trial| possible.contains(trial.method))?;
        self.tried += bytes * weight;
        self.trial = Some(Trial { method, weight, left: left - 1 }).filter(|trial| trial.left > 0);
        Some(Plan { method, is_timed: self.trial.is_none() })
    }

    /// The cheapest, unless the present one is nearly as cheap.
    fn choose(&mut self, possible: Possible, cost: impl Fn(Method) -> Option<u64>) -> Method {
        let default = if possible.direct { Method::Direct } else { Method::SmallPieces };
        let present = self.chosen.filter(|method| possible.contains(*method)).unwrap_or(default);
        let others = Method::ALL.into_iter().filter(|method| possible.contains(*method));
        let cheapest =
            others.filter_map(|method| Some((cost(method)?, method))).min_by_key(|(cost, _)| *cost);
        let chosen = match (cheapest, cost(present)) {
            (Some((least, method)), Some(now)) if least < now / 5 * 4 => method,
            _ => present,
        };
        self.chosen = Some(chosen);
        chosen
    }

    /// A method that was never measured, or whose turn it is if there are bytes to spend.
    fn begin_trial(
        &mut self,
        bytes: u64,
        possible: Possible,
        cost: impl Fn(Method) -> Option<u64>,
    ) -> Option<Method> {
        let best = self.chosen.and_then(&cost).unwrap_or(1).max(1);
        let weight = |cost: u64| (cost / best).clamp(1, SLOWER_MAX);
        let in_turn = (0..Method::ALL.len()).map(|step| (self.turn + step) % Method::ALL.len());
        let mut others = in_turn
            .map(|index| (index, Method::ALL[index]))
            .filter(|(_, method)| possible.contains(*method) && Some(*method) != self.chosen);
        let unknown = others.clone().find(|(_, method)| cost(*method).is_none());
        let (index, method) = unknown.or_else(|| others.next())?;
        let is_affordable =
            |cost: u64| (self.tried + bytes * u64::from(TRIAL) * weight(cost)) * TRIAL_SHARE <= self.moved;
        if !cost(method).is_none_or(is_affordable) {
            return None;
        }
        let weight = cost(method).map_or(1, weight);
        self.turn = index + 1;
        self.tried += bytes * weight;
        self.trial = Some(Trial { method, weight, left: TRIAL - 1 });
        Some(method)
    }
}

/// What a method costs in all. A copy out of the sender's arena takes the lines out of the sender's
/// cache, who pays when he rewrites them: about half as much again. (Cross-memory attach does the same,
/// but there the kernel's part of the cost is the larger.)
fn charged(method: Method, cost: u64) -> u64 {
    match method {
        Method::Direct => cost.saturating_mul(3) / 2,
        Method::SmallPieces | Method::LargePieces | Method::Cma => cost,
    }
}

fn untimed(method: Method) -> Plan {
    Plan { method, is_timed: false }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::shm::segment::Segment;

    const SIZE: u64 = 1 << 20;
    const CMA: Possible = Possible { cma: true, direct: false };
    const ALL: Possible = Possible { cma: true, direct: true };

    fn choices(option: BulkOption) -> Choices {
        Choices::new(option, Tuning::new(&Segment::on_heap(1).expect("memory for one rank")))
    }

    /// Plans `messages` messages at the given costs (ns a message, by method); how many took each method.
    fn play(choices: &mut Choices, possible: Possible, costs: [u64; 4], messages: usize) -> [usize; 4] {
        let mut taken = [0; 4];
        for _ in 0..messages {
            let plan = choices.plan(SIZE, possible);
            taken[plan.method as usize] += 1;
            if plan.is_timed {
                choices.note(plan.method, SIZE, costs[plan.method as usize]);
            }
        }
        taken
    }

    #[test]
    fn the_cheapest_method_is_found_and_the_others_get_one_byte_in_a_hundred() {
        for cheapest in Method::ALL {
            let mut choices = choices(BulkOption::Auto);
            let mut costs = [300; 4];
            costs[cheapest as usize] = 100;
            play(&mut choices, ALL, costs, 60);
            let taken = play(&mut choices, ALL, costs, 10_000);
            assert!(taken[cheapest as usize] >= 9_890, "{cheapest:?}: {taken:?}");
            assert!(taken.iter().all(|taken| *taken >= 6), "{cheapest:?}: {taken:?}");
        }
    }

    #[test]
    fn slow_methods_are_tried_less() {
        let mut choices = choices(BulkOption::Auto);
        play(&mut choices, CMA, [100, 150, 600, 1], 60);
        let taken = play(&mut choices, CMA, [100, 150, 600, 1], 20_000);
        let extra = 50 * taken[1] + 500 * taken[2];
        assert!(taken[2] > 0 && extra <= 20_000 * 100 / 100, "{taken:?}");
    }

    #[test]
    fn a_method_that_gets_cheaper_is_taken_up() {
        let mut choices = choices(BulkOption::Auto);
        play(&mut choices, CMA, [100, 1000, 1000, 1], 1000);
        play(&mut choices, CMA, [100, 1000, 20, 1], 50_000);
        let taken = play(&mut choices, CMA, [100, 1000, 20, 1], 1000);
        assert!(taken[Method::Cma as usize] >= 980, "{taken:?}");
    }

    #[test]
    fn nearly_as_cheap_is_no_reason_to_change() {
        let mut choices = choices(BulkOption::Auto);
        play(&mut choices, CMA, [100, 1000, 1000, 1], 60);
        let taken = play(&mut choices, CMA, [100, 1000, 85, 1], 10_000);
        assert!(taken[Method::SmallPieces as usize] >= 9_890, "{taken:?}");
    }

    #[test]
    fn what_is_not_possible_is_never_planned() {
        let mut choices = choices(BulkOption::Auto);
        let taken = play(&mut choices, Possible::default(), [1000, 1000, 1, 1], 1000);
        assert_eq!((taken[2], taken[3]), (0, 0));
        // What was chosen for others may be impossible for the next.
        play(&mut choices, CMA, [1000, 1000, 1, 1], 1000);
        let taken = play(&mut choices, Possible::default(), [1000, 1000, 1, 1], 1000);
        assert_eq!((taken[2], taken[3]), (0, 0));
    }

    #[test]
    fn an_option_freezes_the_choice_as_far_as_it_is_possible() {
        for (option, possible, method) in [
            (BulkOption::Pipelined, ALL, Method::SmallPieces),
            (BulkOption::PipelinedLarge, ALL, Method::LargePieces),
            (BulkOption::Cma, ALL, Method::Cma),
            (BulkOption::Cma, Possible::default(), Method::SmallPieces),
            (BulkOption::Direct, ALL, Method::Direct),
            (BulkOption::Direct, CMA, Method::SmallPieces),
        ] {
            let taken = play(&mut choices(option), possible, [1; 4], 200);
            assert_eq!(taken[method as usize], 200, "{option:?}");
        }
    }
}
