//! What has to be written so that the maps say what they should: a pure comparison.

use std::collections::{BTreeMap, BTreeSet};

use muster_packet::{Counted, Endpoint, Pair, Policy, Vip, maglev};

use crate::{
    current::Current,
    desired::Wanted,
    table::{self, Built},
};

/// What holds for VIPs that say nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// By what backends are chosen.
    pub(crate) policy: Policy,
    /// True if all VIPs need Maglev tables, whatever their policy: for packets that are forwarded.
    pub(crate) forward: bool,
}

/// A VIP whose entry is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) vip: Endpoint,
    /// Number of the table: one that nothing in the maps has, unless it is [there](Self::has_table).
    pub(crate) table: u32,
    pub(crate) built: Built,
    /// True if the table is there, and only how it is used changes.
    pub(crate) has_table: bool,
    pub(crate) policy: Policy,
    /// Slots of its Maglev table; 0 for none.
    pub(crate) slots: u32,
    /// True if the Maglev table is to be written, too.
    pub(crate) needs_pages: bool,
    /// False if the VIP is there with other backends.
    pub(crate) is_new: bool,
}

/// The changes, in the order they are to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// VIPs to remove.
    pub(crate) remove: Vec<Endpoint>,
    /// Backends of VIPs to count from now on, and where; of a backend first its home.
    pub(crate) count: Vec<(Pair, Counted)>,
    /// Backends of VIPs for whose counters there is no room.
    pub(crate) uncounted: BTreeSet<Pair>,
    /// VIPs that have too many backends for the Maglev table they should have.
    pub(crate) crowded: Vec<(Endpoint, usize)>,
    /// VIPs to write.
    pub(crate) write: Vec<Write>,
    /// VIPs that are as they should be.
    pub(crate) unchanged: usize,
    /// True if it is of all VIPs.
    pub(crate) is_whole: bool,
}

// === impl Plan ===

impl Plan {
    /// True if the maps say all that they should once it is carried out without an error: then only
    /// what changes in the view is to be looked at.
    pub(crate) fn settles(&self) -> bool {
        self.uncounted.is_empty() && self.crowded.is_empty()
    }
}

// === impl Rules ===

impl Rules {
    /// How many slots the Maglev table of a VIP has; 0 if it needs none, as with one backend. `None` if
    /// no table is large enough.
    fn slots(self, policy: Policy, backends: u32) -> Option<u32> {
        if (self.forward || policy == Policy::Maglev) && backends > 1 {
            maglev::slots(backends as usize)
        } else {
            Some(0)
        }
    }
}

impl From<Policy> for Rules {
    fn from(policy: Policy) -> Self {
        Self { policy, forward: false }
    }
}

// === impl Write ===

impl Write {
    /// What the map `vips` is to say.
    pub(crate) const fn entry(&self) -> Vip {
        Vip::new(self.table, self.built.drawn, self.built.draining, self.policy)
            .with_slots(self.slots)
            .with_native(self.built.native)
    }
}

/// All VIPs that are served or to be served, and what they are to be: nothing if they are to go.
pub(crate) fn all<'a>(
    current: &'a Current,
    desired: impl Iterator<Item = (Endpoint, &'a Wanted)>,
) -> Vec<(Endpoint, Option<&'a Wanted>)> {
    let mut all: BTreeMap<_, _> = current.vips().keys().map(|vip| (*vip, None)).collect();
    all.extend(desired.map(|(vip, wanted)| (vip, Some(wanted))));
    all.into_iter().collect()
}

/// Compares what the maps say of some VIPs with what they should say: nothing of those that are to go.
pub(crate) fn plan(
    current: &Current,
    vips: &[(Endpoint, Option<&Wanted>)],
    rules: impl Into<Rules>,
) -> Plan {
    let rules = rules.into();
    let mut plan = Plan::default();
    let gone = vips.iter().filter(|(_, wanted)| wanted.is_none()).map(|(vip, _)| *vip);
    plan.remove.extend(gone.filter(|vip| current.vips().contains_key(vip)));
    let wanted = || vips.iter().filter_map(|(vip, wanted)| Some((*vip, (*wanted)?)));

    let mut counted = BTreeMap::new();
    let mut homes = BTreeMap::new();
    let mut places = current.places().unused();
    let pairs = wanted().flat_map(|(vip, wanted)| {
        wanted.backends.iter().map(move |(backend, _)| Pair { vip, backend: *backend })
    });
    for pair in pairs.filter(|pair| current.places().get(pair).is_none()) {
        let Some(counter) = places.next() else {
            plan.uncounted.insert(pair);
            continue;
        };
        let home = current.places().home(&pair.backend);
        let home = home.unwrap_or_else(|| *homes.entry(pair.backend).or_insert(counter));
        counted.insert(pair, counter);
        plan.count.push((pair, Counted { counter, home }));
    }
    let place = |pair: Pair| {
        let new = counted.get(&pair).copied();
        new.unwrap_or_else(|| current.places().or_uncounted(&pair))
    };

    let mut tables = current.unused_numbers();
    for (vip, wanted) in wanted() {
        let built =
            table::build(vip, &wanted.backends, |backend| place(Pair { vip, backend: *backend }));
        let policy = wanted.policy.unwrap_or(rules.policy);
        let slots = if let Some(slots) = rules.slots(policy, built.drawn) {
            slots
        } else {
            plan.crowded.push((vip, built.drawn as usize));
            0
        };
        let former = current.table(vip, &built);
        // Four billion tables do not fit into the maps.
        let Some(table) = former.or_else(|| tables.next()) else { break };
        let entry = Vip::new(table, built.drawn, built.draining, policy)
            .with_slots(slots)
            .with_native(built.native);
        let needs_pages = slots > 0 && !current.pages().has(table, slots);
        if current.vips().get(&vip) == Some(&entry) && !needs_pages && former.is_some() {
            plan.unchanged += 1;
            continue;
        }
        plan.write.push(Write {
            vip,
            table,
            built,
            has_table: former.is_some(),
            policy,
            slots,
            needs_pages,
            is_new: !current.vips().contains_key(&vip),
        });
    }
    plan
}

#[cfg(test)]
mod tests;
