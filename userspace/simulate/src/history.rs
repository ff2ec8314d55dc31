//! Shares over time.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_allocator::Shares;

/// Whose share it is. A role comes before its frameworks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The role, as a path.
    pub role: String,
    /// A framework in it; `None` is the role itself.
    pub framework: Option<String>,
}

/// A step after which a share was another one: `None` is none at all.
pub(crate) type Change = (usize, Option<f64>);

/// The shares of all roles and of their frameworks, after every step that may change them.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// When each step was.
    times: Vec<Duration>,
    series: BTreeMap<Series, Vec<Change>>,
}

impl History {
    /// Notes the shares after a step.
    pub(crate) fn note(&mut self, now: Duration, shares: &Shares) {
        let step = self.times.len();
        self.times.push(now);
        let mut current: BTreeMap<Series, f64> = BTreeMap::new();
        for role in &shares.roles {
            let of = |framework| Series { role: role.name.clone(), framework };
            current.insert(of(None), role.share);
            let frameworks = role.frameworks.iter();
            current.extend(frameworks.map(|one| (of(Some(one.id.clone())), one.share)));
        }
        for (series, changes) in &mut self.series {
            if !current.contains_key(series) {
                change(changes, step, None);
            }
        }
        for (series, share) in current {
            change(self.series.entry(series).or_default(), step, Some(share));
        }
    }

    /// How many steps there were.
    pub fn steps(&self) -> usize {
        self.times.len()
    }

    /// When each step was, in virtual time.
    pub fn times(&self) -> &[Duration] {
        &self.times
    }

    /// Whose shares there are, each with its changes.
    pub(crate) fn series(&self) -> impl ExactSizeIterator<Item = (&Series, &[Change])> {
        self.series.iter().map(|(series, changes)| (series, changes.as_slice()))
    }

    /// The share after a step, if there was one.
    pub fn share(&self, series: &Series, step: usize) -> Option<f64> {
        let changes = self.series.get(series)?;
        let after = changes.partition_point(|(changed, _)| *changed <= step);
        changes.get(after.checked_sub(1)?)?.1
    }
}

fn change(changes: &mut Vec<Change>, step: usize, share: Option<f64>) {
    let last = changes.last().and_then(|(_, share)| *share);
    if last != share {
        changes.push((step, share));
    }
}
