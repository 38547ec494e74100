//! What the launcher knows of each rank, and which failure was the first.
//!
//! A rank has two processes: the one that the launcher started (the root) and the one that claimed
//! its slot. They are the same unless a shell stands between; then the shell takes the claimant's
//! exit status, and only the slot tells whether the claimant had finalized.

use super::failure::{Cause, Failure, Judgement, judge};
use crate::{
    shm::{
        segment::Segment,
        slot::{Published, RankState},
    },
    sys::process::Pid,
};
use std::{
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

/// So long a shell has to pass on the status of a claimant that ended before finalize.
const STATUS_GRACE: Duration = Duration::from_millis(50);

/// All ranks of a job.
pub(super) struct Ranks {
    segment: Arc<Segment>,
    ranks: Vec<Rank>,
    failure: Option<Failure>,
    first_code: Option<u8>,
}

struct Rank {
    published: Published,
    root: Option<Process>,
    claimant: Claimant,
    is_judged: bool,
    is_cancelled: bool,
}

#[derive(Clone, Copy)]
struct Process {
    pid: Pid,
    status: Option<ExitStatus>,
}

#[derive(Clone, Copy)]
enum Claimant {
    /// Nobody yet, as far as is known.
    Unseen,
    Root,
    Descendant(Pid),
    /// A descendant that has ended; its status, if it came to the keeper.
    Ended {
        pid: Pid,
        status: Option<ExitStatus>,
        at: Instant,
    },
}

impl Ranks {
    pub(super) fn new(segment: &Arc<Segment>) -> Self {
        let rank = |rank| Rank {
            published: segment.published(rank),
            root: None,
            claimant: Claimant::Unseen,
            is_judged: false,
            is_cancelled: false,
        };
        let ranks = (0..segment.ranks()).map(rank).collect();
        Self { segment: Arc::clone(segment), ranks, failure: None, first_code: None }
    }

    /// The first failure.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// The job's exit code, as far as its ranks are concerned.
    pub(super) fn exit_code(&self) -> u8 {
        self.failure.map(|failure| failure.exit_code()).or(self.first_code).unwrap_or(0)
    }

    /// Whether all processes of all ranks have ended.
    pub(super) fn all_ended(&self) -> bool {
        self.ranks.iter().all(Rank::has_ended)
    }

    /// Whether a process could still claim a slot unnoticed.
    pub(super) fn may_claim(&self) -> bool {
        self.ranks.iter().any(Rank::may_claim)
    }

    /// The processes that were started, have not ended, and don't stand before another claimant.
    pub(super) fn living(&self) -> impl Iterator<Item = Pid> {
        let is_shell = |rank: &&Rank| matches!(rank.claimant, Claimant::Descendant(_));
        let roots = self.ranks.iter().filter(move |rank| !is_shell(rank)).filter_map(|rank| rank.root);
        roots.filter(|root| root.status.is_none()).map(|root| root.pid)
    }

    /// Notes the process that was started for a rank.
    pub(super) fn started(&mut self, rank: usize, pid: Pid) {
        if let Some(rank) = self.ranks.get_mut(rank) {
            rank.root = Some(Process { pid, status: None });
        }
    }

    /// Notes that no process will be started for this rank and those after it.
    pub(super) fn cancel_from(&mut self, first: usize) {
        for rank in self.ranks.iter_mut().skip(first) {
            rank.is_cancelled = true;
        }
    }

    /// Looks at the slots; returns the claimants, newly seen, that are not the processes started.
    pub(super) fn look(&mut self) -> Vec<(usize, Pid)> {
        let seen = self.ranks.iter_mut().enumerate();
        let seen = seen.filter_map(|(index, rank)| rank.look().map(|pid| (index, pid))).collect();
        self.find_missing();
        seen
    }

    /// Notes that a process has ended: a root, or an orphan that came to the keeper.
    pub(super) fn ended(&mut self, pid: Pid, status: ExitStatus, now: Instant) {
        for index in 0..self.ranks.len() {
            if self.ranks[index].note_end(pid, status, now) {
                self.judge(index, now);
            }
        }
        self.find_missing();
    }

    /// Notes that a rank's claimant has ended; another process got its status.
    pub(super) fn claimant_ended(&mut self, index: usize, now: Instant) {
        if let Claimant::Descendant(pid) = self.ranks[index].claimant {
            self.ranks[index].claimant = Claimant::Ended { pid, status: None, at: now };
        }
        self.judge(index, now);
    }

    /// Notes that the system has no pidfds (an old container's filter): the claimant's end is then
    /// seen only when the process that was started for its rank ends.
    pub(super) fn cannot_watch(&mut self, index: usize) {
        self.ranks[index].claimant = Claimant::Root;
    }

    /// Judges the claimants whose status has not come in time.
    pub(super) fn judge_overdue(&mut self, now: Instant) {
        for index in 0..self.ranks.len() {
            if self.ranks[index].grace_ends().is_some_and(|end| now >= end) {
                self.judge(index, now);
            }
        }
    }

    /// When [`Self::judge_overdue`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ranks.iter().filter_map(Rank::grace_ends).min()
    }

    fn judge(&mut self, index: usize, now: Instant) {
        let rank = &mut self.ranks[index];
        let Some((pid, judgement)) = rank.judgement(now) else { return };
        match judgement {
            Judgement::Fine => {}
            Judgement::Counts(code) => _ = self.first_code.get_or_insert(code),
            Judgement::Fails(cause) => {
                rank.is_judged = true;
                let seen_first = Failure { rank: index, pid, cause };
                self.failure = self.failure.or_else(|| self.abort()).or(Some(seen_first));
            }
        }
    }

    /// The abort that ended the job: the ranks that it woke may have left before the one that called
    /// it.
    fn abort(&self) -> Option<Failure> {
        let rank = self.segment.ended_by()?;
        let slot = &self.ranks[rank].published.slot;
        Some(Failure { rank, pid: slot.pid(), cause: Cause::Aborted(slot.abort()) })
    }

    /// A rank that has ended without init, whatever its code, keeps those that are in MPI waiting.
    fn find_missing(&mut self) {
        if self.failure.is_some() || !self.ranks.iter().any(Rank::is_in_mpi) {
            return;
        }
        let ended_without_init = |(index, rank): (usize, &Rank)| {
            let root = rank.root?;
            let cause = Cause::NeverInitialised { code: root.status?.code()? };
            matches!(rank.claimant, Claimant::Unseen).then_some(Failure { rank: index, pid: root.pid, cause })
        };
        self.failure = self.ranks.iter().enumerate().find_map(ended_without_init);
    }
}

impl Rank {
    fn root_status(&self) -> Option<ExitStatus> {
        self.root.and_then(|root| root.status)
    }

    fn has_ended(&self) -> bool {
        let root_has_ended = self.is_cancelled || self.root_status().is_some();
        root_has_ended && !matches!(self.claimant, Claimant::Descendant(_))
    }

    fn may_claim(&self) -> bool {
        matches!(self.claimant, Claimant::Unseen) && self.root_status().is_none()
    }

    fn is_in_mpi(&self) -> bool {
        self.published.slot.state().is_in_mpi()
    }

    /// Takes note of a claim; returns the claimant if it is new and not the root.
    fn look(&mut self) -> Option<Pid> {
        let pid = self.published.slot.pid();
        let root = self.root?.pid;
        match self.claimant {
            Claimant::Unseen if pid == root => self.claimant = Claimant::Root,
            Claimant::Unseen if pid > 0 => {
                self.claimant = Claimant::Descendant(pid);
                return Some(pid);
            }
            _ => {}
        }
        None
    }

    /// Whether `pid` is a process of this rank, whose end is now noted.
    fn note_end(&mut self, pid: Pid, status: ExitStatus, now: Instant) -> bool {
        if let Some(root) = self.root.as_mut().filter(|root| root.pid == pid) {
            root.status = Some(status);
            return true;
        }
        let is_claimant = match self.claimant {
            Claimant::Descendant(claimant) | Claimant::Ended { pid: claimant, .. } => claimant == pid,
            Claimant::Unseen | Claimant::Root => false,
        };
        if is_claimant {
            self.claimant = Claimant::Ended { pid, status: Some(status), at: now };
        }
        is_claimant
    }

    /// Until when the root may still pass on the status of a claimant that ended before finalize.
    fn grace_ends(&self) -> Option<Instant> {
        match self.claimant {
            Claimant::Ended { status: None, at, .. } if !self.is_judged && self.is_in_mpi() => {
                Some(at + STATUS_GRACE)
            }
            _ => None,
        }
    }

    /// What follows from the ends noted so far, and for which process.
    fn judgement(&self, now: Instant) -> Option<(Pid, Judgement)> {
        let root = self.root?;
        match self.claimant {
            Claimant::Unseen => Some((root.pid, self.judge_as(RankState::Free, root.status?))),
            Claimant::Root => Some((root.pid, self.judge_by_slot(root.status?))),
            // The shell has gone first: only its failing means something.
            Claimant::Descendant(_) => Some((root.pid, self.judge_as(RankState::Finalized, root.status?))),
            Claimant::Ended { pid, status: Some(status), .. } => Some((pid, self.judge_by_slot(status))),
            Claimant::Ended { pid, status: None, at } => self.judge_behind_shell(root, pid, at, now),
        }
    }

    /// Of a rank that has been seen to claim its slot, which is never free again: one that says so has been
    /// written over, and says nothing.
    fn judge_by_slot(&self, status: ExitStatus) -> Judgement {
        let state = match self.published.slot.state() {
            RankState::Free => RankState::Attached,
            state => state,
        };
        self.judge_as(state, status)
    }

    fn judge_as(&self, state: RankState, status: ExitStatus) -> Judgement {
        judge(status, state, self.published.slot.abort())
    }

    fn judge_behind_shell(
        &self,
        root: Process,
        pid: Pid,
        at: Instant,
        now: Instant,
    ) -> Option<(Pid, Judgement)> {
        match self.published.slot.state() {
            RankState::Attached | RankState::Running | RankState::Settling | RankState::Leaving => {}
            RankState::Aborted => return Some((pid, self.judge_by_slot(ExitStatus::default()))),
            RankState::Free | RankState::Finalized => {
                return Some((root.pid, self.judge_by_slot(root.status?)));
            }
        }
        let is_final = root.status.is_some() || now >= at + STATUS_GRACE;
        let code = root.status.and_then(|status| status.code()).unwrap_or(0);
        is_final.then_some((pid, Judgement::Fails(Cause::Vanished { code })))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        shm::slot::{Abort, AbortReason},
        types::PeerId,
    };
    use std::os::unix::process::ExitStatusExt;

    const FINE: i32 = 0;

    /// Two ranks, started as processes 100 and 101.
    fn two_ranks() -> (Arc<Segment>, Ranks) {
        let segment = Segment::on_heap(2).expect("a heap segment for two");
        let mut ranks = Ranks::new(&segment);
        ranks.started(0, 100);
        ranks.started(1, 101);
        (segment, ranks)
    }

    fn claim(segment: &Arc<Segment>, rank: usize, pid: Pid, state: RankState) {
        let slot = &segment.published(rank).slot;
        slot.claim(pid).expect("a free slot");
        slot.set_state(state);
    }

    fn end(ranks: &mut Ranks, pid: Pid, raw_status: i32) {
        ranks.look();
        ranks.ended(pid, ExitStatus::from_raw(raw_status), Instant::now());
    }

    #[test]
    fn programs_without_mpi_give_the_first_code_that_is_not_0_and_no_failure() {
        let (_segment, mut ranks) = two_ranks();
        end(&mut ranks, 101, 3 << 8);
        assert!(!ranks.all_ended());
        end(&mut ranks, 100, 4 << 8);
        assert!(ranks.all_ended());
        assert_eq!((ranks.failure(), ranks.exit_code()), (None, 3));
    }

    #[test]
    fn the_first_failure_stays_the_first() {
        let (segment, mut ranks) = two_ranks();
        claim(&segment, 0, 100, RankState::Running);
        claim(&segment, 1, 101, RankState::Running);
        end(&mut ranks, 101, libc::SIGKILL);
        end(&mut ranks, 100, 1 << 8);
        let failure = ranks.failure().unwrap();
        assert_eq!((failure.rank, failure.pid, ranks.exit_code()), (1, 101, 137));
    }

    #[test]
    fn an_abort_comes_before_its_consequences_whoever_leaves_first() {
        let (segment, mut ranks) = two_ranks();
        claim(&segment, 0, 100, RankState::Running);
        claim(&segment, 1, 101, RankState::Running);
        for (rank, code) in [(1, 42), (0, 101)] {
            segment.published(rank).slot.set_aborted(Abort { code, reason: AbortReason::Call });
            segment.end_by(PeerId(rank as u32));
        }
        end(&mut ranks, 100, 101 << 8);
        let failure = ranks.failure().unwrap();
        assert_eq!((failure.rank, failure.pid, ranks.exit_code()), (1, 101, 42));
    }

    #[test]
    fn a_claimed_slot_that_says_that_it_is_free_does_not_hide_a_failure() {
        for (code, of_job) in [(9, 9), (0, 1)] {
            let (segment, mut ranks) = two_ranks();
            claim(&segment, 0, 100, RankState::Running);
            ranks.look();
            segment.published(0).slot.set_state(RankState::Free);
            end(&mut ranks, 100, code << 8);
            let failure = ranks.failure().unwrap();
            assert_eq!((failure.cause, ranks.exit_code()), (Cause::NotFinalized { code }, of_job));
        }
    }

    #[test]
    fn a_claimant_that_dies_behind_a_shell_is_a_failure_though_the_shell_says_0() {
        let (segment, mut ranks) = two_ranks();
        claim(&segment, 0, 200, RankState::Running);
        assert_eq!(ranks.look(), [(0, 200)]);
        ranks.claimant_ended(0, Instant::now());
        assert_eq!(ranks.failure(), None, "the shell may still tell the status");
        end(&mut ranks, 100, FINE);
        let failure = ranks.failure().unwrap();
        assert_eq!((failure.rank, failure.pid, failure.exit_code()), (0, 200, 1));
    }

    #[test]
    fn a_shell_that_passes_the_status_on_gives_the_exit_code() {
        let (segment, mut ranks) = two_ranks();
        claim(&segment, 0, 200, RankState::Running);
        ranks.look();
        ranks.claimant_ended(0, Instant::now());
        end(&mut ranks, 100, 139 << 8);
        assert_eq!(ranks.exit_code(), 139);
    }

    #[test]
    fn a_shell_that_goes_on_does_not_delay_the_failure() {
        let (segment, mut ranks) = two_ranks();
        claim(&segment, 0, 200, RankState::Running);
        ranks.look();
        let now = Instant::now();
        ranks.claimant_ended(0, now);
        let deadline = ranks.deadline().unwrap();
        assert!(deadline > now);
        ranks.judge_overdue(deadline);
        assert_eq!((ranks.exit_code(), ranks.deadline()), (1, None));
    }

    #[test]
    fn without_pidfds_the_end_of_the_shell_shows_that_its_claimant_had_not_finalized() {
        let (segment, mut ranks) = two_ranks();
        claim(&segment, 0, 200, RankState::Running);
        ranks.look();
        ranks.cannot_watch(0);
        end(&mut ranks, 100, FINE);
        assert_eq!(ranks.failure().unwrap().cause, Cause::NotFinalized { code: 0 });
    }

    #[test]
    fn a_finalized_claimant_behind_a_shell_is_fine() {
        let (segment, mut ranks) = two_ranks();
        claim(&segment, 0, 200, RankState::Finalized);
        ranks.look();
        ranks.claimant_ended(0, Instant::now());
        end(&mut ranks, 100, FINE);
        end(&mut ranks, 101, FINE);
        assert!(ranks.all_ended());
        assert_eq!((ranks.failure(), ranks.exit_code()), (None, 0));
    }

    #[test]
    fn a_rank_whose_shell_has_left_ends_with_its_claimant_whose_status_counts() {
        let (segment, mut ranks) = two_ranks();
        claim(&segment, 0, 200, RankState::Running);
        claim(&segment, 1, 101, RankState::Finalized);
        end(&mut ranks, 101, FINE);
        end(&mut ranks, 100, FINE);
        assert!(!ranks.all_ended());
        end(&mut ranks, 200, libc::SIGSEGV);
        assert!(ranks.all_ended());
        assert_eq!((ranks.failure().unwrap().pid, ranks.exit_code()), (200, 139));
    }

    #[test]
    fn ending_without_init_ends_the_job_once_another_rank_is_in_mpi_whatever_the_code() {
        for (code, of_job) in [(3, 3), (0, 1)] {
            let (segment, mut ranks) = two_ranks();
            end(&mut ranks, 101, code << 8);
            assert_eq!(ranks.failure(), None);
            claim(&segment, 0, 100, RankState::Attached);
            ranks.look();
            let failure = ranks.failure().unwrap();
            assert_eq!((failure.rank, failure.cause), (1, Cause::NeverInitialised { code }));
            assert_eq!(ranks.exit_code(), of_job);
        }
    }

    #[test]
    fn a_rank_that_waits_in_init_learns_of_one_that_ends_later() {
        let (segment, mut ranks) = two_ranks();
        claim(&segment, 0, 100, RankState::Attached);
        ranks.look();
        assert_eq!(ranks.failure(), None);
        end(&mut ranks, 101, FINE);
        assert_eq!(ranks.failure().unwrap().cause, Cause::NeverInitialised { code: 0 });
    }

    #[test]
    fn ranks_that_are_never_started_are_not_waited_for() {
        let segment = Segment::on_heap(3).unwrap();
        let mut ranks = Ranks::new(&segment);
        ranks.started(0, 100);
        ranks.cancel_from(1);
        assert!(!ranks.all_ended());
        end(&mut ranks, 100, FINE);
        assert!(ranks.all_ended());
    }

    #[test]
    fn claims_are_looked_for_only_while_some_can_come() {
        let (segment, mut ranks) = two_ranks();
        assert!(ranks.may_claim());
        claim(&segment, 0, 100, RankState::Running);
        end(&mut ranks, 101, FINE);
        assert!(!ranks.may_claim());
    }
}
