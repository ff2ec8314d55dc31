//! Refused offers.

use std::time::Duration;

use muster_resources::Resources;

/// Resources that a framework does not want for a while.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    refused: Resources,
    /// When it ends at the earliest.
    end: Duration,
    /// Ends only after the next cycle over all agents: it is not longer than the time between
    /// them, so that it could end without having had any effect.
    after: Option<u64>,
}

impl Filter {
    /// A filter made after `cycles` cycles over all agents.
    pub(crate) fn new(
        refused: Resources,
        now: Duration,
        refuse: Duration,
        interval: Duration,
        cycles: u64,
    ) -> Self {
        let end = now.saturating_add(refuse.max(interval));
        Self { refused, end, after: (refuse <= interval).then_some(cycles) }
    }

    /// Whether it is over before the cycle that comes after `cycles` over all agents.
    pub(crate) fn is_over(&self, now: Duration, cycles: u64) -> bool {
        now >= self.end && self.after.is_none_or(|after| cycles > after)
    }

    /// Whether an offer is not wanted: it holds nothing that was not refused.
    pub(crate) fn refuses(&self, offer: &Resources) -> bool {
        self.refused.contains(offer)
    }
}
