//! What is to happen later.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::AppId;
use crate::instance::InstanceId;
use crate::timestamp::Timestamp;

/// Something that becomes due. Whoever set a timer need not take it back: when it goes
/// off, what it is about is looked at afresh.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// An unreachable instance may be overdue.
    Plan(AppId),
    /// An instance may need another kill.
    Kill(InstanceId),
    /// A readiness check is due.
    Readiness(InstanceId),
    /// The delay after a failure is over.
    Launch(AppId),
    /// REVIVE may be said again.
    Signal,
    /// All tasks are due for reconciliation.
    Reconcile,
    /// Instances may still be of unknown fate.
    Confirm,
    /// The master may take a subscription now.
    Subscribe,
}

/// The timers that are set, each for one moment.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Timestamp, Timer)>,
    times: BTreeMap<Timer, Timestamp>,
}

impl Timers {
    /// Sets `timer` to go off at `at`, and not when it was set for before.
    pub(super) fn set(&mut self, at: Timestamp, timer: Timer) {
        if let Some(before) = self.times.insert(timer.clone(), at) {
            self.by_time.remove(&(before, timer.clone()));
        }
        self.by_time.insert((at, timer));
    }

    /// Takes out the timers that are due.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Timer> {
        let mut due = Vec::new();
        while self.by_time.first().is_some_and(|(at, _)| *at <= now) {
            due.extend(self.by_time.pop_first().map(|(_, timer)| timer));
        }
        for timer in &due {
            self.times.remove(timer);
        }
        due
    }

    /// When the next one goes off.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_goes_off_once_when_it_was_last_set_for() {
        let at = Timestamp::from_millis;
        let mut timers = Timers::default();
        timers.set(at(10), Timer::Signal);
        timers.set(at(30), Timer::Signal);
        timers.set(at(20), Timer::Reconcile);
        assert_eq!(timers.next(), Some(at(20)));
        assert_eq!(timers.due(at(29)), [Timer::Reconcile]);
        assert_eq!(timers.due(at(30)), [Timer::Signal]);
        assert_eq!(timers.next(), None);
    }
}
