//! [`Job`]: engines over one segment, and who of them does something next.

use super::{
    context::{Attempt, Context},
    oracle::Oracle,
    plan::Plan,
    random::Random,
    reached::Reached,
    task::Task,
};
use crate::{
    p2p::{BulkOption, Engine, Until},
    shm::{
        segment::Segment,
        slot::RankState,
        tuning::{Method, Tuning},
    },
    sys::process::own_pid,
    types::PeerId,
};
use std::sync::Arc;

/// Attempts without any progress, with looks for cycles among them, that mean that the job hangs.
const STUCK: u32 = 20_000;
/// A number that no process has.
const NO_PROCESS: i32 = i32::MAX;
/// After one turn in so many, memory that is being read can be read no more, in jobs that want that.
const LOSES_PLACE_ONCE_IN: usize = 2;
/// Attempts without any progress after which looks for cycles become frequent.
const QUIET: u32 = 60;

pub(super) struct Job<'a> {
    plan: &'a Plan,
    segment: Arc<Segment>,
    ranks: Vec<SimulatedRank>,
    oracle: Oracle,
    random: Random,
    /// When others rest.
    rest_ends: u64,
    clock: u64,
    pub(super) reached: Reached,
}

struct SimulatedRank {
    engine: Engine,
    tasks: Vec<Task>,
    /// It has no turn.
    rests: bool,
    has_left: bool,
}

impl<'a> Job<'a> {
    pub(super) fn new(plan: &'a Plan, random: Random) -> Attempt<Self> {
        let segment =
            Segment::on_heap_from(plan.programs.len(), plan.starts).map_err(|error| error.to_string())?;
        let engine = |me: usize| {
            let pid = if plan.hidden[me] { NO_PROCESS } else { own_pid() };
            segment.published(me).slot.claim(pid).map_err(|_| "a slot is taken".to_string())?;
            Engine::new(&segment, PeerId(me as u32), plan.config).map_err(|error| error.to_string())
        };
        let rank = |(me, programs): (usize, &Vec<Vec<_>>)| {
            Attempt::Ok(SimulatedRank {
                engine: engine(me)?,
                tasks: programs.iter().map(|steps| Task::new(steps.clone())).collect(),
                rests: me % 2 == 1,
                has_left: false,
            })
        };
        let ranks = plan.programs.iter().enumerate().map(rank).collect::<Attempt<_>>()?;
        let ranks: Vec<SimulatedRank> = ranks;
        ranks.iter().for_each(|rank| _ = rank.engine.take_arrivals());
        let (oracle, reached) = (Oracle::default(), Reached::default());
        Ok(Self { plan, segment, ranks, oracle, random, rest_ends: 0, clock: 0, reached })
    }

    pub(super) fn clock(&self) -> u64 {
        self.clock
    }

    /// To the end of all ranks, and then everything must be as it was.
    pub(super) fn run(&mut self) -> Attempt<()> {
        let mut idle = 0;
        while self.ranks.iter().any(|rank| !rank.has_left) {
            self.clock += 1;
            let turn = self.choose(idle % QUIET == QUIET - 1);
            let has_moved = self.turn(turn, idle > QUIET).map_err(|wrong| format!("rank {turn}: {wrong}"))?;
            idle = if has_moved { 0 } else { idle + 1 };
            if idle > STUCK {
                return Err(format!("nothing has moved for {STUCK} attempts\n{}", self.describe()));
            }
            self.reached.look_at(&self.ranks[turn].engine);
            if self.plan.loses_places && self.random.one_in(LOSES_PLACE_ONCE_IN) {
                self.ranks[turn].engine.lose_places();
            }
        }
        self.note_outcomes();
        self.oracle.check(self.plan)?;
        self.check_drained()
    }

    /// Whose turn it is. Some ranks rest for a while: rings get full, and what has been sent waits.
    fn choose(&mut self, change: bool) -> usize {
        if change || self.clock >= self.rest_ends {
            self.rest_ends = self.clock + self.random.pick(&[5, 30, 300, 1500]);
            self.change_machine();
            let mood = self.random.below(4);
            for rank in &mut self.ranks {
                rank.rests = match mood {
                    0 => false,
                    1 => self.random.one_in(2),
                    _ => !rank.rests,
                };
            }
        }
        let is_awake = |rank: &SimulatedRank| !(rank.rests || rank.has_left);
        let awake: Vec<usize> = (0..self.ranks.len()).filter(|&rank| is_awake(&self.ranks[rank])).collect();
        if awake.is_empty() {
            self.rest_ends = self.clock;
            return self.random.below(self.ranks.len());
        }
        self.random.pick(&awake)
    }

    /// Where ranks choose by cost: as if one of them had found that a way costs something else now.
    fn change_machine(&mut self) {
        if self.plan.config.bulk == BulkOption::Auto {
            let method = self.random.pick(&Method::ALL);
            let bytes = self.random.pick(&[4096, 4096, 4096, 40_000, 300_000]);
            let cost = self.random.pick(&[1, 1, 5, 50]);
            Tuning::new(&self.segment).note(method, bytes, bytes * cost);
        }
    }

    /// One turn of a rank. True if anything moved.
    fn turn(&mut self, turn: usize, is_quiet: bool) -> Attempt<bool> {
        let Self { plan, segment, ranks, oracle, random, clock, .. } = self;
        let SimulatedRank { engine, tasks, has_left, .. } = &mut ranks[turn];
        if *has_left {
            return Ok(false);
        }
        let mut context = Context { plan, engine, oracle, clock: *clock };
        let unfinished: Vec<usize> = (0..tasks.len()).filter(|&task| !tasks[task].is_finished()).collect();
        let action = random.below(if is_quiet { 3 } else { 20 });
        if action == 0 {
            return context.step();
        }
        if unfinished.is_empty() {
            if engine.step_is(&Until::Quiet) {
                engine.rest();
                segment.published(turn).slot.set_state(RankState::Finalized);
                *has_left = true;
                return Ok(true);
            }
            return if action == 1 { rest(engine, Until::Quiet) } else { context.step() };
        }
        let task = random.pick(&unfinished);
        if action == 1 {
            let rested = tasks[task].while_waiting(plan, |until| rest(engine, until));
            return rested.unwrap_or(Ok(false));
        }
        let has_moved = tasks[task].attempt(&mut context).map_err(|wrong| format!("task {task}: {wrong}"))?;
        if has_moved {
            engine.step_awake();
        }
        Ok(has_moved)
    }

    fn note_outcomes(&mut self) {
        self.oracle.tell(&mut self.reached);
        for task in self.ranks.iter().flat_map(|rank| &rank.tasks) {
            self.reached.note_cancelled(task.cancelled());
        }
    }

    /// Nothing is left in any queue, slab or pool, and all credit has come back.
    fn check_drained(&self) -> Attempt<()> {
        for (me, rank) in self.ranks.iter().enumerate() {
            let held = rank.engine.held();
            if held != (0, 0, 0) {
                return Err(format!(
                    "rank {me} still holds (requests, unexpected messages, blocks out) {held:?}\n{}",
                    self.describe()
                ));
            }
            for (other, peer) in self.ranks.iter().enumerate() {
                let (spent, returned) = (rank.engine.credit_spent(other), peer.engine.credit_given_back(me));
                if spent != returned {
                    return Err(format!(
                        "rank {me} spent credit of {spent:?} (bytes, envelopes) at rank {other}, which gave back {returned:?}"
                    ));
                }
            }
            rank.engine.check_idle().map_err(|left| format!("rank {me}: {left}"))?;
            let shared = rank.engine.arena_users();
            if shared > 0 {
                return Err(format!("{shared} buffers are left in the arena of rank {me}"));
            }
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for (me, rank) in self.ranks.iter().enumerate() {
            let state = if rank.has_left { ", has left" } else { "" };
            text += &format!("rank {me}{state}: {}\n", rank.engine.describe());
            for (number, task) in rank.tasks.iter().enumerate() {
                text += &format!("  task {number}: {}\n", task.describe(self.plan));
            }
        }
        text
    }
}

/// What a rank does that has nothing to do but to wait: it publishes that, and looks for a cycle.
fn rest(engine: &Engine, until: Until<'_>) -> Attempt<bool> {
    if engine.step_is(&until) {
        return Ok(false);
    }
    engine.step_cycle(until).map_err(|error| error.to_string())?;
    Ok(false)
}
