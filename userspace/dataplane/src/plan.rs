//! What has to be written so that the maps say what they should: a pure comparison.

use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry};

use muster_packet::{Backend, Counted, Endpoint, MAX_COUNTERS, Policy, Slot, Vip};

use crate::{
    desired::Desired,
    table::{self, Built},
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
}

/// A VIP that gets a new table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) vip: Endpoint,
    /// Number of the table: one that nothing in the maps has.
    pub(crate) table: u32,
    pub(crate) built: Built,
    pub(crate) policy: Policy,
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
    /// VIPs to write.
    pub(crate) write: Vec<Write>,
    /// VIPs that are as they should be.
    pub(crate) unchanged: usize,
}

// === impl Current ===

impl Current {
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
        Self { vips: vips.into_iter().collect(), tables, counted }
    }

    /// How many of the first counters there are to read, to have all that are some backend's.
    pub(crate) fn counters(&self) -> usize {
        self.counted.values().max().map_or(0, |last| *last as usize + 1)
    }

    /// True if the VIP's table is exactly `built`.
    fn serves(&self, vip: Endpoint, built: &Built, policy: Policy) -> bool {
        let Some(entry) = self.vips.get(&vip) else { return false };
        let slots = self.tables.get(&entry.table);
        entry.policy == policy.number()
            && entry.backends == built.drawn
            && entry.draining == built.draining
            && slots.map_or(0, BTreeMap::len) == built.slots.len()
            && slots.into_iter().flat_map(BTreeMap::values).eq(&built.slots)
    }

    /// A number above all tables'; after the highest possible it starts again from 1 and
    /// skips those in use.
    fn unused_tables(&self) -> impl Iterator<Item = u32> {
        let used: BTreeSet<u32> =
            self.tables.keys().copied().chain(self.vips.values().map(|vip| vip.table)).collect();
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

/// Compares what the maps say with what they should say.
pub(crate) fn plan(current: &Current, desired: &Desired, policy: Policy) -> Plan {
    let mut plan = Plan {
        remove: current.vips.keys().filter(|vip| !desired.contains_key(vip)).copied().collect(),
        ..Plan::default()
    };
    let mut tables = current.unused_tables();
    let mut counted = current.counted.clone();
    let mut counters = current.unused_counters();
    for (backend, _) in desired.values().flatten() {
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
    for (vip, backends) in desired {
        let built = table::build(*vip, backends, &counted);
        if current.serves(*vip, &built, policy) {
            plan.unchanged += 1;
            continue;
        }
        // Four billion tables do not fit into the maps.
        let Some(table) = tables.next() else { break };
        let is_new = !current.vips.contains_key(vip);
        plan.write.push(Write { vip: *vip, table, built, policy, is_new });
    }
    plan
}

#[cfg(test)]
mod tests {
    use muster_packet::{TCP, UDP};
    use proptest::prelude::*;

    use super::*;

    /// Makes the changes, as the shell does in the kernel.
    fn apply(current: &mut Current, plan: &Plan) {
        for vip in &plan.remove {
            current.vips.remove(vip);
        }
        current.counted.extend(plan.count.iter().copied());
        for write in &plan.write {
            let slots = write.built.slots.iter().enumerate();
            current.tables.insert(
                write.table,
                slots.map(|(i, slot)| (u32::try_from(i).unwrap(), *slot)).collect(),
            );
            let entry =
                Vip::new(write.table, write.built.drawn, write.built.draining, write.policy);
            current.vips.insert(write.vip, entry);
        }
    }

    fn views() -> impl Strategy<Value = Desired> {
        let backends = proptest::collection::btree_map(
            (1u16..6).prop_map(|port| Endpoint::v4([10, 0, 0, 1], port, TCP)),
            0u32..3,
            0..5,
        )
        .prop_map(|backends| backends.into_iter().collect::<Vec<_>>());
        let vip = (1u16..6, any::<bool>())
            .prop_map(|(port, udp)| Endpoint::v4([11, 0, 0, 1], port, if udp { UDP } else { TCP }));
        proptest::collection::btree_map(vip, backends, 0..6)
    }

    proptest! {
        #[test]
        fn any_view_follows_any_view(views in proptest::collection::vec(views(), 1..6)) {
            let mut current = Current::default();
            for view in &views {
                let first = plan(&current, view, Policy::P2cEwma);
                // Nothing that is read is ever written over.
                for write in &first.write {
                    prop_assert!(!current.tables.contains_key(&write.table));
                    prop_assert!(current.vips.values().all(|vip| vip.table != write.table));
                }
                apply(&mut current, &first);
                prop_assert_eq!(current.vips.keys().collect::<Vec<_>>(), view.keys().collect::<Vec<_>>());
                for (vip, backends) in view {
                    prop_assert!(current.serves(*vip, &table::build(*vip, backends, &current.counted), Policy::P2cEwma));
                    prop_assert!(backends.iter().all(|(end, _)| current.counted.contains_key(end)));
                }
                let places: BTreeSet<_> = current.counted.values().collect();
                prop_assert_eq!(places.len(), current.counted.len(), "each has its own");
                // A second pass finds nothing to do.
                let second = plan(&current, view, Policy::P2cEwma);
                prop_assert_eq!(second, Plan { unchanged: view.len(), ..Plan::default() });
            }
        }
    }

    fn one_vip() -> (Endpoint, Desired) {
        let vip = Endpoint::v4([11, 0, 0, 1], 80, TCP);
        let backend = Endpoint::v4([10, 0, 0, 1], 80, TCP);
        (vip, Desired::from([(vip, vec![(backend, 1)])]))
    }

    #[test]
    fn table_with_a_slot_missing_or_too_many_is_written_anew() {
        let (vip, desired) = one_vip();
        let mut whole = Current::default();
        let first = plan(&whole, &desired, Policy::P2cEwma);
        apply(&mut whole, &first);
        let table = whole.vips[&vip].table;

        let mut missing = whole.clone();
        missing.tables.clear();
        assert_eq!(plan(&missing, &desired, Policy::P2cEwma).write.len(), 1);

        let mut extra = whole.clone();
        let slot = extra.tables[&table][&0];
        extra.tables.get_mut(&table).unwrap().insert(7, slot);
        assert_eq!(plan(&extra, &desired, Policy::P2cEwma).write.len(), 1);
    }

    #[test]
    fn another_policy_is_a_change() {
        let (vip, desired) = one_vip();
        let mut current = Current::default();
        let first = plan(&current, &desired, Policy::P2cEwma);
        apply(&mut current, &first);
        let second = plan(&current, &desired, Policy::Random);
        assert_eq!(second.write.len(), 1);
        apply(&mut current, &second);
        assert_eq!(current.vips[&vip].policy, Policy::Random.number());
        assert_eq!(plan(&current, &desired, Policy::Random).unchanged, 1);
    }

    #[test]
    fn table_numbers_go_on_from_the_highest_and_wrap() {
        let (vip, desired) = one_vip();
        let mut current = Current::default();
        current.vips.insert(vip, Vip::new(u32::MAX, 0, 0, Policy::P2cEwma));
        current.tables.insert(1, BTreeMap::new());
        assert_eq!(plan(&current, &desired, Policy::P2cEwma).write[0].table, 2);
        current.vips.insert(vip, Vip::new(41, 0, 0, Policy::P2cEwma));
        assert_eq!(plan(&current, &desired, Policy::P2cEwma).write[0].table, 42);
    }
}
