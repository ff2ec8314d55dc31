//! What waits to be launched, why it waits, and for how long after failures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use muster_api::mesos::Offer;

use super::{Scheduler, Timer};
use crate::app::{App, AppId, Backoff};
use crate::matching::Reason;
use crate::timestamp::Timestamp;

/// Offers remembered per application: of so many agents at most.
const MAX_UNUSED: usize = 100;

/// Instances of an application that wait for offers.
#[derive(Debug)]
pub(crate) struct Launch {
    /// What they are made from.
    pub(crate) app: Arc<App>,
    /// How many.
    pub(crate) count: u32,
    /// Since when there are any.
    pub(crate) since: Timestamp,
    /// What became of the offers so far.
    pub(crate) offers: OfferStatistics,
    /// Whether this demand came up after the last REVIVE.
    pub(super) is_new: bool,
}

/// An offer that was of no use.
#[derive(Debug)]
pub(crate) struct UnusedOffer {
    pub(crate) offer: Offer,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) at: Timestamp,
}

/// What became of the offers that an application looked at.
#[derive(Debug, Default)]
pub(crate) struct OfferStatistics {
    pub(crate) processed: u64,
    pub(crate) unused: u64,
    pub(crate) last_used_at: Option<Timestamp>,
    pub(crate) last_unused_at: Option<Timestamp>,
    /// How often each reason was the first.
    pub(crate) reasons: BTreeMap<Reason, u64>,
    /// The last offer of each agent, if it was of no use.
    pub(crate) last: BTreeMap<String, UnusedOffer>,
}

impl OfferStatistics {
    pub(super) fn used(&mut self, agent: &str, now: Timestamp) {
        self.processed += 1;
        self.last_used_at = Some(now);
        self.last.remove(agent);
    }

    pub(super) fn unused(&mut self, offer: &Offer, reasons: Vec<Reason>, now: Timestamp) {
        self.processed += 1;
        self.unused += 1;
        self.last_unused_at = Some(now);
        if let Some(first) = reasons.iter().min() {
            *self.reasons.entry(*first).or_default() += 1;
        }
        let unused = UnusedOffer { offer: offer.clone(), reasons, at: now };
        self.last.insert(offer.agent_id.value.clone(), unused);
        if self.last.len() > MAX_UNUSED {
            let oldest = self.last.iter().min_by_key(|(_, unused)| unused.at);
            if let Some(agent) = oldest.map(|(agent, _)| agent.clone()) {
                self.last.remove(&agent);
            }
        }
    }
}

/// The delay after failures of an application. It is not on record: after a restart the
/// count begins anew.
#[derive(Debug)]
pub(crate) struct Delay {
    /// Of which epoch the failures were: a changed application starts without delay.
    epoch: Timestamp,
    length: Duration,
    /// No launches before this.
    pub(crate) until: Timestamp,
    /// The last failure, or the last start of an instance if that was later.
    last: Timestamp,
}

impl Scheduler {
    /// Notes how many instances of an application are missing.
    pub(super) fn demand(&mut self, id: &AppId, app: Option<&Arc<App>>, count: u32) {
        let Some(app) = app.filter(|_| count > 0) else {
            self.queue.remove(id);
            return;
        };
        let now = self.now;
        let launch = self.queue.entry(id.clone()).or_insert_with(|| Launch {
            app: Arc::clone(app),
            count: 0,
            since: now,
            offers: OfferStatistics::default(),
            is_new: false,
        });
        launch.is_new |= count > launch.count || launch.app.version != app.version;
        launch.count = count;
        launch.app = Arc::clone(app);
    }

    /// Whether an application in the queue may be launched now.
    pub(super) fn is_launchable(&self, id: &AppId) -> bool {
        self.delays.get(id).is_none_or(|delay| delay.until <= self.now)
    }

    /// Delays further launches of an application one of whose instances failed.
    pub(super) fn delay_launches(&mut self, id: &AppId, epoch: Timestamp) {
        let Some(versions) = self.apps.get(id) else { return };
        let app = &versions.current;
        if app.epoch != epoch {
            return;
        }
        let backoff = app.spec.backoff;
        let before = self
            .delays
            .get(id)
            .filter(|delay| delay.epoch == epoch && !is_over(delay, backoff, self.now));
        let length = backoff.next(before.map(|delay| delay.length));
        let until = self.now.plus(length);
        self.delays.insert(id.clone(), Delay { epoch, length, until, last: self.now });
        self.timers.set(until, Timer::Launch(id.clone()));
    }

    /// Notes that an instance has started: failures only count as a series while they
    /// follow each other closely.
    pub(super) fn note_start(&mut self, id: &AppId) {
        if let Some(delay) = self.delays.get_mut(id) {
            delay.last = self.now;
        }
    }

    /// Ends the delay of an application.
    pub(crate) fn reset_delay(&mut self, id: &AppId) {
        self.delays.remove(id);
        if let Some(launch) = self.queue.get_mut(id) {
            launch.is_new = true;
        }
    }
}

/// Whether instances have held for so long that a failure begins a new series.
fn is_over(delay: &Delay, backoff: Backoff, now: Timestamp) -> bool {
    now.since(delay.last) > Duration::from_secs(backoff.max_seconds.into())
}
