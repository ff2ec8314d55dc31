//! Refused offers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use muster_resources::Resources;

/// Offers are refused for this long at most.
pub(crate) const LONGEST: Duration = Duration::from_hours(365 * 24);

/// Resources of an agent that a framework does not want in a role for a while.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// Whatever is in here is not offered.
    pub(crate) refused: Arc<Resources>,
    /// Which timer ends it.
    pub(crate) timer: u64,
    /// It holds as long as the framework is of this generation in the role.
    pub(crate) generation: u64,
}

/// When a filter ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer<K> {
    end: Duration,
    pub(crate) number: u64,
    /// Not before there have been so many cycles over all agents: if the filter is not longer
    /// than the time between them, it would end without having had any effect.
    cycles: u64,
    pub(crate) key: K,
}

/// The timers of all filters.
#[derive(Clone, Debug)]
pub(crate) struct Timers<K> {
    heap: BinaryHeap<Reverse<Timer<K>>>,
    next: u64,
}

impl<K: Ord> Default for Timers<K> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), next: 0 }
    }
}

impl<K: Ord> Timers<K> {
    /// Starts a timer for a filter made after `cycles` cycles over all agents; its number.
    pub(crate) fn start(
        &mut self,
        now: Duration,
        refuse: Duration,
        interval: Duration,
        cycles: u64,
        key: K,
    ) -> u64 {
        let number = self.next;
        self.next += 1;
        let end = now.saturating_add(refuse.max(interval));
        let cycles = if refuse <= interval { cycles + 1 } else { 0 };
        self.heap.push(Reverse(Timer { end, number, cycles, key }));
        number
    }

    /// The timers that are over before the cycle that comes after `cycles` over all agents.
    pub(crate) fn ended(&mut self, now: Duration, cycles: u64) -> Vec<Timer<K>> {
        let (mut ended, mut early) = (Vec::new(), Vec::new());
        while let Some(Reverse(timer)) = self.heap.peek() {
            if timer.end > now {
                break;
            }
            let Some(Reverse(timer)) = self.heap.pop() else { break };
            if timer.cycles <= cycles {
                ended.push(timer);
            } else {
                early.push(Reverse(timer));
            }
        }
        self.heap.extend(early);
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn numbers(timers: &mut Timers<()>, now: u64, cycles: u64) -> Vec<u64> {
        timers.ended(Duration::from_secs(now), cycles).iter().map(|timer| timer.number).collect()
    }

    #[test]
    fn timers_end_in_order() {
        let mut timers = Timers::default();
        for refuse in [30, 20, 40] {
            timers.start(Duration::ZERO, Duration::from_secs(refuse), INTERVAL, 0, ());
        }
        assert!(numbers(&mut timers, 19, 5).is_empty());
        assert_eq!(numbers(&mut timers, 30, 5), [1, 0]);
        assert_eq!(numbers(&mut timers, 99, 5), [2]);
    }

    #[test]
    fn a_short_timer_outlasts_one_cycle() {
        let mut timers = Timers::default();
        timers.start(Duration::ZERO, Duration::from_secs(1), INTERVAL, 3, ());
        assert!(numbers(&mut timers, 60, 3).is_empty());
        assert_eq!(numbers(&mut timers, 60, 4), [0]);
    }
}
