//! The cluster view, as the master streams it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_api::muster::{AgentEntry, ViewDelta, ViewSnapshot, Vip, VipKey};

/// What this agent knows about the whole cluster.
#[derive(Clone, Debug, Default)]
pub struct View {
    epoch: String,
    version: u64,
    agents: BTreeMap<String, (AgentEntry, Duration)>,
    vips: BTreeMap<Key, Vip>,
}

/// Address, port and protocol: unique, and ordered as they are shown.
pub(crate) type Key = (String, u32, i32);

/// A delta starts from a version that is not the one held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap;

impl View {
    /// Names the master's incarnation that versions belong to; empty before any snapshot.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The version held; 0 before any snapshot.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The cluster's agents, by id, and when the master last told of each: since the Unix epoch.
    pub fn agents(&self) -> impl Iterator<Item = (&AgentEntry, Duration)> {
        self.agents.values().map(|(agent, told)| (agent, *told))
    }

    /// The cluster's VIPs, by address, port and protocol.
    pub fn vips(&self) -> impl Iterator<Item = &Vip> {
        self.vips.values()
    }

    /// One of them.
    pub(crate) fn vip(&self, key: &Key) -> Option<&Vip> {
        self.vips.get(key)
    }

    /// Replaces everything.
    pub(crate) fn replace(&mut self, snapshot: ViewSnapshot, now: Duration) {
        *self = Self {
            epoch: snapshot.epoch,
            version: snapshot.version,
            agents: snapshot.agents.into_iter().map(|a| told(a, now)).collect(),
            vips: snapshot.vips.into_iter().filter_map(keyed).collect(),
        };
    }

    /// Applies a change; tells which VIPs may differ now. A change that has been
    /// applied before, as one that crossed a snapshot on the way, changes nothing.
    pub(crate) fn apply(&mut self, delta: ViewDelta, now: Duration) -> Result<BTreeSet<Key>, Gap> {
        if delta.epoch != self.epoch {
            return Err(Gap);
        }
        if delta.to <= self.version {
            return Ok(BTreeSet::new());
        }
        if delta.from != self.version {
            return Err(Gap);
        }
        let mut vips = BTreeSet::new();
        for id in delta.agents_removed {
            self.agents.remove(&id);
        }
        self.agents.extend(delta.agents_changed.into_iter().map(|a| told(a, now)));
        for removed in delta.vips_removed.into_iter().map(key) {
            self.vips.remove(&removed);
            vips.insert(removed);
        }
        for (key, vip) in delta.vips_changed.into_iter().filter_map(keyed) {
            vips.insert(key.clone());
            self.vips.insert(key, vip);
        }
        self.version = delta.to;
        Ok(vips)
    }
}

fn told(agent: AgentEntry, now: Duration) -> (String, (AgentEntry, Duration)) {
    (agent.agent_id.clone(), (agent, now))
}

fn key(vip: VipKey) -> Key {
    (vip.address, vip.port, vip.protocol)
}

fn keyed(vip: Vip) -> Option<(Key, Vip)> {
    if vip.key.is_none() {
        tracing::warn!(name = vip.name, "the master sent a VIP without address; it is left out");
    }
    Some((key(vip.key.clone()?), vip))
}

#[cfg(test)]
mod tests {
    use muster_api::muster::Protocol;

    use super::*;

    const NOW: Duration = Duration::from_secs(7);

    fn vip(address: &str, name: &str) -> Vip {
        let key = VipKey { address: address.into(), port: 80, protocol: Protocol::Tcp.into() };
        Vip { key: Some(key), name: name.into(), ..Vip::default() }
    }

    fn agent(id: &str, address: &str) -> AgentEntry {
        AgentEntry { agent_id: id.into(), hostname: id.into(), address: address.into() }
    }

    fn names(view: &View) -> Vec<&str> {
        view.vips().map(|vip| vip.name.as_str()).collect()
    }

    fn held() -> View {
        let mut view = View::default();
        let snapshot = ViewSnapshot {
            epoch: "e".into(),
            version: 5,
            agents: vec![agent("a", "1"), agent("b", "2")],
            vips: vec![vip("11.0.0.2", "two"), vip("11.0.0.1", "one"), Vip::default()],
        };
        view.replace(snapshot, NOW);
        view
    }

    fn delta(from: u64, to: u64) -> ViewDelta {
        ViewDelta { epoch: "e".into(), from, to, ..Default::default() }
    }

    #[test]
    fn a_snapshot_replaces_everything() {
        let mut view = held();
        assert_eq!(names(&view), ["one", "two"]);
        assert_eq!((view.epoch(), view.version()), ("e", 5));
        view.replace(ViewSnapshot { epoch: "f".into(), version: 1, ..Default::default() }, NOW);
        assert_eq!((view.epoch(), view.version(), names(&view).len()), ("f", 1, 0));
        assert_eq!(view.agents().count(), 0);
    }

    #[test]
    fn deltas_follow_each_other() {
        let mut view = held();
        let change = ViewDelta {
            agents_changed: vec![agent("c", "4")],
            agents_removed: vec!["a".into()],
            ..delta(5, 6)
        };
        let later = NOW + Duration::from_secs(1);
        assert_eq!(view.apply(change, later), Ok(BTreeSet::new()));
        let agents: Vec<_> =
            view.agents().map(|(a, told)| (&*a.agent_id, &*a.address, told)).collect();
        assert_eq!(agents, [("b", "2", NOW), ("c", "4", later)]);
        let change = ViewDelta {
            vips_changed: vec![vip("11.0.0.1", "uno")],
            vips_removed: vec![vip("11.0.0.2", "").key.unwrap()],
            ..delta(6, 9)
        };
        let vips = ["11.0.0.1", "11.0.0.2"].map(|address| (address.to_owned(), 80, 6));
        assert_eq!(view.apply(change, NOW), Ok(vips.into()));
        assert_eq!((names(&view), view.version()), (vec!["uno"], 9));
    }

    #[test]
    fn gaps_and_repetitions_change_nothing() {
        let mut view = held();
        let cases = [
            (delta(6, 7), Err(Gap)),
            (delta(4, 6), Err(Gap)),
            (delta(4, 5), Ok(BTreeSet::new())),
            (ViewDelta { epoch: "f".into(), ..delta(5, 6) }, Err(Gap)),
        ];
        for (mut delta, expected) in cases {
            delta.vips_removed = vec![vip("11.0.0.1", "").key.unwrap()];
            assert_eq!(view.apply(delta, NOW), expected);
            assert_eq!((names(&view), view.version()), (vec!["one", "two"], 5));
        }
    }

    #[test]
    fn a_delta_before_any_snapshot_is_a_gap() {
        assert_eq!(View::default().apply(delta(0, 1), NOW), Err(Gap));
    }
}
