//! What has to be written so that the maps say what they should: a pure comparison.

use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry};

use muster_packet::{Backend, Counted, Endpoint, MAX_COUNTERS, Policy, Slot, Vip, maglev};

use crate::{
    Error,
    desired::Desired,
    pages::Pages,
    table::{self, Built},
    tables::Tables,
};

/// What the maps say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Current {
    /// Map `vips`.
    pub(crate) vips: BTreeMap<Endpoint, Vip>,
    /// Map `backends`: the slots of each table by index.
    pub(crate) tables: HashMap<u32, BTreeMap<u32, Backend>>,
    /// Map `counted`: where each backend's counters are.
    pub(crate) counted: BTreeMap<Endpoint, u32>,
    /// Map `maglev`: which parts of tables there are.
    pub(crate) pages: Pages,
}

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
    /// Backends to count from now on, and where.
    pub(crate) count: Vec<(Endpoint, u32)>,
    /// Backends for whose counters there is no room.
    pub(crate) uncounted: BTreeSet<Endpoint>,
    /// VIPs that have too many backends for the Maglev table they should have.
    pub(crate) crowded: Vec<(Endpoint, usize)>,
    /// VIPs to write.
    pub(crate) write: Vec<Write>,
    /// VIPs that are as they should be.
    pub(crate) unchanged: usize,
}

// === impl Current ===

impl Current {
    /// Reads the maps, `maglev` only if nothing is known of it: it is large, and never
    /// changed in place.
    pub(crate) fn read(tables: &Tables, pages: Option<Pages>) -> Result<Self, Error> {
        let (vips, slots) = (tables.vips.entries()?, tables.backends.entries()?);
        let current = Self::new(vips, slots, tables.counted.entries()?);
        Ok(Self { pages: pages.map_or_else(|| Pages::read(tables), Ok)?, ..current })
    }

    /// Sorts the maps' entries by what they belong to.
    pub(crate) fn new(
        vips: Vec<(Endpoint, Vip)>,
        slots: Vec<(Slot, Backend)>,
        counted: Vec<(Endpoint, Counted)>,
    ) -> Self {
        let mut tables: HashMap<u32, BTreeMap<u32, Backend>> = HashMap::new();
        for (slot, backend) in slots {
            tables.entry(slot.table).or_default().insert(slot.index, backend);
        }
        // An entry that is another's hand's work is as good as none.
        let mut taken = BTreeSet::new();
        let counted = counted
            .into_iter()
            .map(|(backend, at)| (backend, at.counter))
            .filter(|(_, at)| (*at as usize) < MAX_COUNTERS && taken.insert(*at))
            .collect();
        Self { vips: vips.into_iter().collect(), tables, counted, pages: Pages::default() }
    }

    /// How many of the first counters there are to read, to have all that are some backend's.
    pub(crate) fn counters(&self) -> usize {
        self.counted.values().max().map_or(0, |last| *last as usize + 1)
    }

    /// The VIP's table, if it is exactly `built`.
    fn table(&self, vip: Endpoint, built: &Built) -> Option<u32> {
        let entry = self.vips.get(&vip)?;
        let slots = self.tables.get(&entry.table);
        let fits = entry.backends == built.drawn
            && entry.draining == built.draining
            && slots.map_or(0, BTreeMap::len) == built.slots.len()
            && slots.into_iter().flat_map(BTreeMap::values).eq(&built.slots);
        fits.then_some(entry.table)
    }

    /// A number above all tables'; after the highest possible it starts again from 1 and
    /// skips those in use.
    fn unused_tables(&self) -> impl Iterator<Item = u32> {
        let used = self.tables.keys().copied().chain(self.vips.values().map(|vip| vip.table));
        let used: BTreeSet<u32> = used.chain(self.pages.tables()).collect();
        let first = used.last().copied().unwrap_or(0);
        (1..=u32::MAX)
            .map(move |offset| first.wrapping_add(offset))
            .filter(move |table| *table != 0 && !used.contains(table))
    }

    /// Places for counters that no backend has, the first ones first.
    fn unused_counters(&self) -> impl Iterator<Item = u32> {
        let used: BTreeSet<u32> = self.counted.values().copied().collect();
        (0..u32::try_from(MAX_COUNTERS).unwrap_or(u32::MAX))
            .filter(move |counter| !used.contains(counter))
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

/// Compares what the maps say with what they should say.
pub(crate) fn plan(current: &Current, desired: &Desired, rules: impl Into<Rules>) -> Plan {
    let rules = rules.into();
    let mut plan = Plan {
        remove: current.vips.keys().filter(|vip| !desired.contains_key(vip)).copied().collect(),
        ..Plan::default()
    };
    let mut tables = current.unused_tables();
    let mut counted = current.counted.clone();
    let mut counters = current.unused_counters();
    for (backend, _) in desired.values().flat_map(|wanted| &wanted.backends) {
        let Entry::Vacant(entry) = counted.entry(*backend) else { continue };
        match counters.next() {
            Some(counter) => {
                entry.insert(counter);
                plan.count.push((*backend, counter));
            }
            None => {
                plan.uncounted.insert(*backend);
            }
        }
    }
    for (vip, wanted) in desired {
        let built = table::build(*vip, &wanted.backends, &counted);
        let policy = wanted.policy.unwrap_or(rules.policy);
        let slots = if let Some(slots) = rules.slots(policy, built.drawn) {
            slots
        } else {
            plan.crowded.push((*vip, built.drawn as usize));
            0
        };
        let former = current.table(*vip, &built);
        // Four billion tables do not fit into the maps.
        let Some(table) = former.or_else(|| tables.next()) else { break };
        let entry = Vip::new(table, built.drawn, built.draining, policy)
            .with_slots(slots)
            .with_native(built.native);
        let needs_pages = slots > 0 && !current.pages.has(table, slots);
        if current.vips.get(vip) == Some(&entry) && !needs_pages && former.is_some() {
            plan.unchanged += 1;
            continue;
        }
        plan.write.push(Write {
            vip: *vip,
            table,
            built,
            has_table: former.is_some(),
            policy,
            slots,
            needs_pages,
            is_new: !current.vips.contains_key(vip),
        });
    }
    plan
}

#[cfg(test)]
mod tests;
