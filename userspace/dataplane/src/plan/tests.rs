use muster_packet::{TCP, UDP};
use proptest::prelude::*;

use super::*;
use crate::desired::Wanted;

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
        if write.needs_pages {
            current.pages.add(write.table, write.slots);
        }
        current.vips.insert(write.vip, write.entry());
    }
    let vips = &current.vips;
    current.pages.retain(|table| vips.values().any(|vip| vip.table == table && vip.slots > 0));
}

fn views() -> impl Strategy<Value = Desired> {
    let backends = proptest::collection::btree_map(
        (1u16..6).prop_map(|port| Endpoint::v4([10, 0, 0, 1], port, TCP)),
        0u32..3,
        0..5,
    )
    .prop_map(|backends| backends.into_iter().collect::<Vec<_>>());
    let policy = proptest::option::of((0usize..4).prop_map(|policy| Policy::ALL[policy]));
    let wanted = (policy, backends).prop_map(|(policy, backends)| Wanted { policy, backends });
    let vip = (1u16..6, any::<bool>())
        .prop_map(|(port, udp)| Endpoint::v4([11, 0, 0, 1], port, if udp { UDP } else { TCP }));
    proptest::collection::btree_map(vip, wanted, 0..6)
}

proptest! {
    #[test]
    fn any_view_follows_any_view(
        views in proptest::collection::vec((views(), any::<bool>()), 1..6),
    ) {
        let mut current = Current::default();
        for (view, forward) in &views {
            let rules = Rules { policy: Policy::P2cEwma, forward: *forward };
            let first = plan(&current, view, rules);
            // Nothing that is read is ever written over.
            for write in &first.write {
                if write.has_table {
                    prop_assert_eq!(current.vips[&write.vip].table, write.table);
                } else {
                    prop_assert!(!current.tables.contains_key(&write.table));
                    prop_assert!(current.vips.values().all(|vip| vip.table != write.table));
                }
                prop_assert!(!write.needs_pages || !current.pages.has(write.table, write.slots));
            }
            apply(&mut current, &first);
            prop_assert_eq!(current.vips.keys().collect::<Vec<_>>(), view.keys().collect::<Vec<_>>());
            for (vip, wanted) in view {
                let built = table::build(*vip, &wanted.backends, &current.counted);
                let entry = current.vips[vip];
                prop_assert_eq!(current.table(*vip, &built), Some(entry.table));
                let policy = wanted.policy.unwrap_or(Policy::P2cEwma);
                prop_assert_eq!(entry.policy, policy.number());
                let hashed = built.drawn > 1 && (*forward || policy == Policy::Maglev);
                prop_assert_eq!(entry.slots, if hashed { 16_381 } else { 0 });
                prop_assert!(current.pages.has(entry.table, entry.slots));
                prop_assert!(wanted.backends.iter().all(|(end, _)| current.counted.contains_key(end)));
            }
            let places: BTreeSet<_> = current.counted.values().collect();
            prop_assert_eq!(places.len(), current.counted.len(), "each has its own");
            // A second pass finds nothing to do.
            let second = plan(&current, view, rules);
            prop_assert_eq!(second, Plan { unchanged: view.len(), ..Plan::default() });
        }
    }
}

fn one_vip() -> (Endpoint, Desired) {
    let vip = Endpoint::v4([11, 0, 0, 1], 80, TCP);
    let backends = vec![(Endpoint::v4([10, 0, 0, 1], 80, TCP), 1)];
    (vip, Desired::from([(vip, Wanted { policy: None, backends })]))
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

#[test]
fn only_the_entry_is_written_when_the_policy_changes() {
    let (vip, desired) = one_vip();
    let mut current = Current::default();
    let first = plan(&current, &desired, Policy::P2cEwma);
    apply(&mut current, &first);
    let labelled = desired
        .into_iter()
        .map(|(vip, wanted)| (vip, Wanted { policy: Some(Policy::Maglev), ..wanted }));
    let second = plan(&current, &labelled.collect(), Policy::P2cEwma);
    let write = &second.write[0];
    assert_eq!((write.table, write.has_table), (current.vips[&vip].table, true));
    // One backend is everybody's.
    assert_eq!((write.policy, write.slots, write.needs_pages), (Policy::Maglev, 0, false));
}

#[test]
fn maglev_table_that_is_missing_is_written_for_the_table_that_is_there() {
    let (vip, mut desired) = one_vip();
    desired.get_mut(&vip).unwrap().backends.push((Endpoint::v4([10, 0, 0, 2], 80, TCP), 1));
    let mut current = Current::default();
    let first = plan(&current, &desired, Policy::Maglev);
    apply(&mut current, &first);
    let table = current.vips[&vip].table;
    current.pages.retain(|_| false);
    let second = plan(&current, &desired, Policy::Maglev);
    assert_eq!((second.write[0].table, second.write[0].has_table), (table, true));
    assert!(second.write[0].needs_pages);
    // Whatever is left of another is not used.
    current.pages.add(table + 7, 16_381);
    desired.get_mut(&vip).unwrap().backends.pop();
    assert_eq!(plan(&current, &desired, Policy::Maglev).write[0].table, table + 8);
}

#[test]
fn vip_with_more_backends_than_a_table_can_name_has_none() {
    let vip = Endpoint::v4([11, 0, 0, 1], 80, TCP);
    let all = (0..=u16::MAX).map(|port| Endpoint::v4([10, 0, 0, 1], port, TCP));
    let backends = all.chain([vip]).map(|backend| (backend, 1)).collect();
    let desired = Desired::from([(vip, Wanted { policy: None, backends })]);
    let plan = plan(&Current::default(), &desired, Policy::Maglev);
    assert_eq!(plan.crowded, [(vip, 65_537)]);
    assert_eq!(plan.write[0].slots, 0);
}
