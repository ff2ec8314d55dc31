//! What to do next with the instances of one application: stop which, launch how many.
//!
//! The plan only depends on the instances there are. It is made again after every change,
//! so that a crash at any moment, a lost task or an agent that comes back needs no
//! bookkeeping: whatever there is, the next plan leads from there to what should be.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::app::{Constraint, KillSelection, Operator, UpgradeStrategy};
use crate::instance::{Condition, Instance, InstanceId};
use crate::timestamp::Timestamp;

/// What the instances of an application should become.
#[derive(Clone, Copy, Debug)]
pub struct Desired<'a> {
    /// How many there should be.
    pub count: u32,
    /// The epoch of those that are up to date.
    pub epoch: Timestamp,
    /// Bounds within which the others are replaced; `None` leaves them be.
    pub replace: Option<UpgradeStrategy>,
    /// Who goes first.
    pub selection: KillSelection,
    /// The application's constraints: scaling down keeps groups even.
    pub constraints: &'a [Constraint],
}

/// What to do next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Instances that should end, in the order of choice.
    pub stop: Vec<InstanceId>,
    /// How many more should be launched.
    pub launch: u32,
    /// Whether all is as it should be: so many, up to date, ready, and none ending.
    pub done: bool,
}

/// The next plan for `instances`. One for which `is_given_up` holds counts no more: its
/// agent has been unreachable for too long.
pub fn plan(
    desired: &Desired<'_>,
    instances: &[&Instance],
    is_given_up: impl Fn(&Instance) -> bool,
) -> Plan {
    let count = desired.count as usize;
    let live: Vec<&Instance> =
        instances.iter().copied().filter(|i| i.is_wanted() && !is_given_up(i)).collect();
    let ending = instances.iter().filter(|i| !i.is_wanted()).count();
    let Some(strategy) = desired.replace.filter(|_| count > 0) else {
        let excess = live.len().saturating_sub(count);
        let missing = count.saturating_sub(live.len());
        let ready = live.iter().all(|i| i.is_ready());
        return Plan {
            stop: choose(desired, live, excess),
            launch: missing.try_into().unwrap_or(u32::MAX),
            done: excess == 0 && missing == 0 && ending == 0 && ready,
        };
    };
    let (new, old): (Vec<_>, Vec<_>) = live.into_iter().partition(|i| i.epoch == desired.epoch);
    let (least, most) = bounds(count, strategy);
    let new_ready = new.iter().filter(|i| i.is_ready()).count();
    let (old_ready, old_unready): (Vec<_>, Vec<_>) = old.iter().partition(|i| i.is_ready());
    let there = new.len() + old.len() + ending;
    let missing = count.saturating_sub(new.len()).min(most.saturating_sub(there));
    let excess = new.len().saturating_sub(count);
    let done = old.is_empty() && ending == 0 && new.len() == count && new_ready == count;
    // Old instances that are not ready add nothing to the healthy capacity.
    let spare = (new_ready + old_ready.len()).saturating_sub(least).min(old_ready.len());
    let all = old_unready.len();
    let mut stop = choose(desired, old_unready, all);
    stop.extend(choose(desired, old_ready, spare));
    stop.extend(choose(desired, new, excess));
    Plan { stop, launch: missing.try_into().unwrap_or(u32::MAX), done }
}

/// The least number of ready instances and the largest number of instances there may be
/// during an upgrade of `count`.
fn bounds(count: usize, strategy: UpgradeStrategy) -> (usize, usize) {
    // Shares such as 0.1 are not exact: what is a hair off a whole number is that number.
    const HAIR: f64 = 1e-9;
    #[expect(clippy::cast_precision_loss, reason = "instances are far fewer than 2^52")]
    let of = |share: f64| count as f64 * share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2 * count")]
    let whole = |number: f64| number as usize;
    let least = whole((of(strategy.minimum_health_capacity) - HAIR).ceil());
    let most = whole((of(1.0 + strategy.maximum_over_capacity) + HAIR).floor());
    // With neither room below nor above, nothing could ever be replaced: one more is allowed.
    (least, if most <= least { count + 1 } else { most })
}

/// The first `count` of `candidates` to go: unreachable before staging before running,
/// not ready before ready, outdated before current, then by age; while there are `GROUP_BY`
/// constraints, always from the fullest group.
fn choose(desired: &Desired<'_>, candidates: Vec<&Instance>, count: usize) -> Vec<InstanceId> {
    if count == 0 {
        return Vec::new();
    }
    let mut candidates = candidates;
    candidates.sort_by_key(|i| {
        let condition = match i.condition {
            Condition::Unreachable => 0,
            Condition::Staging => 1,
            Condition::Starting => 2,
            Condition::Running => 3,
            Condition::Killing => 4,
        };
        let since = i.started_at.unwrap_or(i.staged_at);
        let age = match desired.selection {
            KillSelection::YoungestFirst => (Reverse(since), Timestamp::default()),
            KillSelection::OldestFirst => (Reverse(Timestamp::default()), since),
        };
        (condition, i.is_ready(), i.epoch == desired.epoch, age, i.id.clone())
    });
    let groups: Vec<&str> = desired
        .constraints
        .iter()
        .filter(|c| c.operator == Operator::GroupBy)
        .map(|c| c.field.as_str())
        .collect();
    if groups.is_empty() {
        return candidates.into_iter().take(count).map(|i| i.id.clone()).collect();
    }
    let mut chosen = Vec::new();
    while chosen.len() < count && !candidates.is_empty() {
        chosen.push(candidates.remove(in_fullest(&groups, &candidates)).id.clone());
    }
    chosen
}

/// The position of the first candidate in the fullest group: by the first field, among
/// equals by the next.
fn in_fullest(fields: &[&str], candidates: &[&Instance]) -> usize {
    let mut sizes: Vec<BTreeMap<Option<&str>, usize>> = Vec::new();
    for field in fields {
        let mut counts = BTreeMap::new();
        for instance in candidates {
            *counts.entry(instance.agent.field(field)).or_default() += 1;
        }
        sizes.push(counts);
    }
    let size = |instance: &Instance| -> Vec<usize> {
        let sizes = fields.iter().zip(&sizes);
        sizes.filter_map(|(field, of)| of.get(&instance.agent.field(field)).copied()).collect()
    };
    let fullest = candidates.iter().map(|i| size(i)).max();
    candidates.iter().position(|i| Some(size(i)) == fullest).unwrap_or(0)
}

#[cfg(test)]
mod tests;
