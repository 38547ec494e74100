//! How a job is ended: gently first, and for certain after two seconds.

use std::time::{Duration, Instant};

/// What the launcher does to the ranks that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Tell them in the segment, and wake them: ranks inside MPI flush their output and leave.
    Wake,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
    /// Not even SIGKILL ended them: stop waiting.
    GiveUp,
}

type Schedule = &'static [(Duration, Step)];

const KILL: (Duration, Step) = (Duration::from_secs(2), Step::Kill);
const GIVE_UP: (Duration, Step) = (Duration::from_secs(7), Step::GiveUp);

const AFTER_FAILURE: Schedule =
    &[(Duration::ZERO, Step::Wake), (Duration::from_millis(100), Step::Terminate), KILL, GIVE_UP];

/// The ranks have the signal: those that catch it (Python raises KeyboardInterrupt) get some time.
const AFTER_SIGNAL: Schedule = &[(Duration::from_millis(250), Step::Wake), KILL, GIVE_UP];

const AT_ONCE: Schedule = &[(Duration::ZERO, Step::Wake), (Duration::ZERO, Step::Kill), GIVE_UP];

/// A job that is being ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    since: Instant,
    left: Schedule,
}

impl Ending {
    pub(super) fn after_failure(now: Instant) -> Self {
        Self { since: now, left: AFTER_FAILURE }
    }

    pub(super) fn after_signal(now: Instant) -> Self {
        Self { since: now, left: AFTER_SIGNAL }
    }

    pub(super) fn at_once(now: Instant) -> Self {
        Self { since: now, left: AT_ONCE }
    }

    /// When the next step is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.left.first().map(|&(delay, _)| self.since + delay)
    }

    /// The next step, if it is due; each is given once.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<Step> {
        let (&(delay, step), left) = self.left.split_first()?;
        (now >= self.since + delay).then(|| {
            self.left = left;
            step
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn steps_within(mut ending: Ending, since: Instant, millis: u64) -> Vec<Step> {
        std::iter::from_fn(|| ending.next_due(since + Duration::from_millis(millis))).collect()
    }

    #[test]
    fn after_a_failure_ranks_are_woken_then_terminated_then_killed() {
        let now = Instant::now();
        let ending = Ending::after_failure(now);
        assert_eq!(steps_within(ending, now, 0), [Step::Wake]);
        assert_eq!(steps_within(ending, now, 100), [Step::Wake, Step::Terminate]);
        assert_eq!(steps_within(ending, now, 2000), [Step::Wake, Step::Terminate, Step::Kill]);
    }

    #[test]
    fn after_a_signal_ranks_may_unwind_before_they_are_woken() {
        let now = Instant::now();
        assert_eq!(steps_within(Ending::after_signal(now), now, 100), []);
        assert_eq!(steps_within(Ending::after_signal(now), now, 2000), [Step::Wake, Step::Kill]);
    }

    #[test]
    fn every_ending_ends() {
        let now = Instant::now();
        for ending in [Ending::after_failure(now), Ending::after_signal(now), Ending::at_once(now)] {
            assert_eq!(steps_within(ending, now, 10_000).last(), Some(&Step::GiveUp));
        }
    }
}
