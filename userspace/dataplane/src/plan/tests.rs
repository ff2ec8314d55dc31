use std::convert::Infallible;

use muster_packet::{Backend, Slot, TCP, UDP};
use proptest::prelude::*;

use super::*;
use crate::{pages::Pages, table::Slots};

type Desired = BTreeMap<Endpoint, Wanted>;

/// A plan for all VIPs.
fn whole(current: &Current, desired: &Desired, rules: impl Into<Rules>) -> Plan {
    let all = all(current, desired.iter().map(|(vip, wanted)| (*vip, wanted)));
    plan(current, &all, rules)
}

/// Makes the changes, as the shell does in the kernel.
fn apply(current: &mut Current, plan: &Plan) {
    for vip in &plan.remove {
        current.remove_vip(vip);
    }
    for (pair, place) in &plan.count {
        assert_eq!(current.places().get(pair), None);
        current.count(*pair, *place);
        assert_eq!(current.places().get(pair), Some(*place));
    }
    for write in &plan.write {
        if write.needs_pages {
            current.change_pages(write.table, |pages| pages.add(write.table, write.slots));
        }
        if !write.has_table {
            current.add_table(write.table, write.built.slots.iter().copied().collect());
        }
        current.set_vip(write.vip, write.entry());
    }
    for table in current.unused_pages().clone() {
        current.change_pages(table, |pages| pages.remove(table));
    }
    for table in current.unused().clone() {
        current.remove_table(table);
    }
    let Ok(_) = current.count_no_more::<Infallible>(|_| Ok(true));
    assert_eq!(current.places().idle().count(), 0);
}

/// What a process that starts now would read.
fn read(current: &Current) -> Current {
    let vips: Vec<_> = current.vips().iter().map(|(vip, entry)| (*vip, *entry)).collect();
    let mut slots = Vec::<(Slot, Backend)>::new();
    let mut pages = Pages::default();
    for (vip, entry) in current.vips() {
        if let Some(table) = current.slots(entry.table) {
            let keys = table.indices().map(|index| Slot { table: entry.table, index });
            slots.extend(keys.zip(table.iter().copied()));
            for slot in table.iter() {
                assert_eq!(slot.vip, *vip);
                assert_eq!(slot.counter, current.places().or_uncounted(&slot.pair()));
            }
        }
        if entry.slots > 0 {
            pages.add(entry.table, entry.slots);
        }
    }
    Current::new(vips, slots, current.places().all(), pages)
}

/// What is served, whatever the numbers of tables and the places of counters.
fn served(current: &Current) -> Vec<(Endpoint, Vip, Vec<Backend>)> {
    let vips = current.vips().iter().map(|(vip, entry)| {
        let slots = current.slots(entry.table).into_iter().flat_map(Slots::iter);
        let slots = slots.map(|slot| Backend { counter: 0, ..*slot }).collect();
        let mut entry = *entry;
        entry.table = 0;
        (*vip, entry, slots)
    });
    vips.collect()
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
            let first = whole(&current, view, rules);
            // Nothing that is read is ever written over.
            for write in &first.write {
                if write.has_table {
                    prop_assert_eq!(current.vips()[&write.vip].table, write.table);
                } else {
                    prop_assert!(current.slots(write.table).is_none());
                    prop_assert!(current.vips().values().all(|vip| vip.table != write.table));
                }
                prop_assert!(!write.needs_pages || !current.pages().has(write.table, write.slots));
            }
            apply(&mut current, &first);
            let vips = current.vips().keys().collect::<Vec<_>>();
            prop_assert_eq!(vips, view.keys().collect::<Vec<_>>());
            for (vip, wanted) in view {
                let places = current.places();
                let built = table::build(*vip, &wanted.backends, |end| {
                    places.or_uncounted(&Pair { vip: *vip, backend: *end })
                });
                let entry = current.vips()[vip];
                prop_assert_eq!(current.table(*vip, &built), Some(entry.table));
                let policy = wanted.policy.unwrap_or(Policy::P2cEwma);
                prop_assert_eq!(entry.policy, policy.number());
                let hashed = built.drawn > 1 && (*forward || policy == Policy::Maglev);
                prop_assert_eq!(entry.slots, if hashed { 16_381 } else { 0 });
                prop_assert!(current.pages().has(entry.table, entry.slots));
                for slot in built.slots {
                    let at = places.get(&slot.pair());
                    // In every VIP a backend has one home.
                    prop_assert_eq!(at.map(|at| at.home), places.home(&slot.backend));
                    prop_assert!(at.is_some());
                }
            }
            // A second pass finds nothing to do.
            let second = whole(&current, view, rules);
            prop_assert_eq!(second, Plan { unchanged: view.len(), ..Plan::default() });
            // What is kept of the maps is what they say.
            prop_assert_eq!(&read(&current), &current);
        }
    }

    #[test]
    fn planning_what_has_changed_ends_as_planning_all(
        views in proptest::collection::vec(views(), 1..8), forward: bool,
    ) {
        let rules = Rules { policy: Policy::P2cEwma, forward };
        let (mut current, mut held) = (Current::default(), Desired::new());
        for view in &views {
            let all: BTreeSet<_> = held.keys().chain(view.keys()).copied().collect();
            let touched = all.into_iter().filter(|vip| held.get(vip) != view.get(vip));
            let touched: Vec<_> = touched.map(|vip| (vip, view.get(&vip))).collect();
            let change = plan(&current, &touched, rules);
            let named: BTreeSet<_> = touched.iter().map(|(vip, _)| *vip).collect();
            prop_assert!(change.write.iter().all(|write| named.contains(&write.vip)));
            apply(&mut current, &change);
            // Nothing is left to be done, and it is what is served from nothing.
            let rest = whole(&current, view, rules);
            prop_assert_eq!(rest, Plan { unchanged: view.len(), ..Plan::default() });
            let mut anew = Current::default();
            let all = whole(&anew, view, rules);
            apply(&mut anew, &all);
            prop_assert_eq!(served(&current), served(&anew));
            prop_assert_eq!(&read(&current), &current);
            held = view.clone();
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
    let mut complete = Current::default();
    let first = whole(&complete, &desired, Policy::P2cEwma);
    apply(&mut complete, &first);
    let table = complete.vips()[&vip].table;

    let mut missing = complete.clone();
    missing.remove_table(table);
    assert_eq!(whole(&missing, &desired, Policy::P2cEwma).write.len(), 1);

    let mut extra = complete.clone();
    let mut slots = extra.slots(table).unwrap().clone();
    slots.insert(7, *slots.get(0).unwrap());
    extra.add_table(table, slots);
    assert_eq!(whole(&extra, &desired, Policy::P2cEwma).write.len(), 1);
}

#[test]
fn another_policy_is_a_change() {
    let (vip, desired) = one_vip();
    let mut current = Current::default();
    let first = whole(&current, &desired, Policy::P2cEwma);
    apply(&mut current, &first);
    let second = whole(&current, &desired, Policy::Random);
    assert_eq!(second.write.len(), 1);
    apply(&mut current, &second);
    assert_eq!(current.vips()[&vip].policy, Policy::Random.number());
    assert_eq!(whole(&current, &desired, Policy::Random).unchanged, 1);
}

#[test]
fn table_numbers_go_on_from_the_highest_and_wrap() {
    let (vip, desired) = one_vip();
    let mut current = Current::default();
    current.set_vip(vip, Vip::new(u32::MAX, 0, 0, Policy::P2cEwma));
    let one = table::build(vip, &desired[&vip].backends, |_| 0).slots;
    current.add_table(1, one.into_iter().collect());
    assert_eq!(whole(&current, &desired, Policy::P2cEwma).write[0].table, 2);
    current.set_vip(vip, Vip::new(41, 0, 0, Policy::P2cEwma));
    assert_eq!(whole(&current, &desired, Policy::P2cEwma).write[0].table, 42);
}

#[test]
fn only_the_entry_is_written_when_the_policy_changes() {
    let (vip, desired) = one_vip();
    let mut current = Current::default();
    let first = whole(&current, &desired, Policy::P2cEwma);
    apply(&mut current, &first);
    let labelled = desired
        .into_iter()
        .map(|(vip, wanted)| (vip, Wanted { policy: Some(Policy::Maglev), ..wanted }));
    let second = whole(&current, &labelled.collect(), Policy::P2cEwma);
    let write = &second.write[0];
    assert_eq!((write.table, write.has_table), (current.vips()[&vip].table, true));
    // One backend is everybody's.
    assert_eq!((write.policy, write.slots, write.needs_pages), (Policy::Maglev, 0, false));
}

#[test]
fn maglev_table_that_is_missing_is_written_for_the_table_that_is_there() {
    let (vip, mut desired) = one_vip();
    desired.get_mut(&vip).unwrap().backends.push((Endpoint::v4([10, 0, 0, 2], 80, TCP), 1));
    let mut current = Current::default();
    let first = whole(&current, &desired, Policy::Maglev);
    apply(&mut current, &first);
    let table = current.vips()[&vip].table;
    current.change_pages(table, |pages| pages.remove(table));
    let second = whole(&current, &desired, Policy::Maglev);
    assert_eq!((second.write[0].table, second.write[0].has_table), (table, true));
    assert!(second.write[0].needs_pages);
    // Whatever is left of another is not used.
    current.change_pages(table + 7, |pages| pages.add(table + 7, 16_381));
    desired.get_mut(&vip).unwrap().backends.pop();
    assert_eq!(whole(&current, &desired, Policy::Maglev).write[0].table, table + 8);
}

#[test]
fn vip_with_more_backends_than_a_table_can_name_has_none() {
    let vip = Endpoint::v4([11, 0, 0, 1], 80, TCP);
    let all = (0..=u16::MAX).map(|port| Endpoint::v4([10, 0, 0, 1], port, TCP));
    let backends = all.chain([vip]).map(|backend| (backend, 1)).collect();
    let desired = Desired::from([(vip, Wanted { policy: None, backends })]);
    let plan = whole(&Current::default(), &desired, Policy::Maglev);
    assert_eq!(plan.crowded, [(vip, 65_537)]);
    assert_eq!(plan.write[0].slots, 0);
}
