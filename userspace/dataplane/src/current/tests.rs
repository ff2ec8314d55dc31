use std::convert::Infallible;

use muster_packet::{Policy, TCP};

use super::*;
use crate::table;

fn vip(port: u16) -> Endpoint {
    Endpoint::v4([11, 0, 0, 1], port, TCP)
}

fn slots(vip: Endpoint, backends: &[u16]) -> Slots {
    let backends: Vec<_> =
        backends.iter().map(|port| (Endpoint::v4([10, 0, 0, 1], *port, TCP), 1)).collect();
    table::build(vip, &backends, |_| 0).slots.into_iter().collect()
}

fn entry(table: u32, slots: u32) -> Vip {
    Vip::new(table, 1, 0, Policy::P2cEwma).with_slots(slots)
}

fn unused(current: &Current) -> (Vec<u32>, Vec<u32>) {
    let of = |tables: &BTreeSet<u32>| tables.iter().copied().collect();
    (of(current.unused()), of(current.unused_pages()))
}

#[test]
fn table_is_unused_when_the_last_vip_points_elsewhere() {
    let mut current = Current::default();
    for table in [3, 4] {
        current.add_table(table, slots(vip(1), &[1]));
        current.change_pages(table, |pages| pages.add(table, 16_381));
    }
    assert_eq!(unused(&current), (vec![3, 4], vec![3, 4]));
    // Others may have written that two have one table.
    current.set_vip(vip(1), entry(3, 16_381));
    current.set_vip(vip(2), entry(3, 0));
    assert_eq!(unused(&current), (vec![4], vec![4]));
    current.set_vip(vip(1), entry(3, 0));
    assert_eq!(unused(&current), (vec![4], vec![3, 4]));
    current.set_vip(vip(1), entry(4, 16_381));
    assert_eq!(unused(&current), (vec![], vec![3]));
    current.remove_vip(&vip(2));
    assert_eq!(unused(&current), (vec![3], vec![3]));
    current.remove_table(3);
    current.change_pages(3, |pages| pages.remove(3));
    current.set_vip(vip(1), entry(4, 16_381));
    assert_eq!(unused(&current), (vec![], vec![]));
    assert_eq!(current.backends(), 1);
}

#[test]
fn backend_is_idle_when_it_is_in_no_table() {
    let mut current = Current::default();
    let backend = |port| Endpoint::v4([10, 0, 0, 1], port, TCP);
    current.add_table(1, slots(vip(1), &[1, 2]));
    current.add_table(2, slots(vip(2), &[2]));
    let pair = |number, port| Pair { vip: vip(number), backend: backend(port) };
    for (number, port, counter, home) in [(1, 1, 0, 0), (1, 2, 1, 1), (2, 2, 2, 1), (1, 3, 3, 3)] {
        current.count(pair(number, port), Counted { counter, home });
    }
    let idle = |current: &Current| current.places().idle().collect::<Vec<_>>();
    assert_eq!(idle(&current), [(pair(1, 3), 3)]);
    // What is known of a backend stays where it is as long as any VIP has it.
    current.remove_table(1);
    assert_eq!(idle(&current), [(pair(1, 1), 0), (pair(1, 3), 3)]);
    current.remove_table(2);
    assert_eq!(idle(&current), [(pair(1, 1), 0), (pair(1, 3), 3), (pair(2, 2), 2)]);
    let mut over = |under_way: &[u32]| {
        current.count_no_more::<Infallible>(|place| Ok(!under_way.contains(&place))).unwrap()
    };
    assert_eq!(over(&[0, 2]), [pair(1, 3)]);
    assert_eq!(over(&[0]), [pair(2, 2), pair(1, 2)]);
    assert_eq!(current.places().all(), [(pair(1, 1), Counted { counter: 0, home: 0 })]);
    assert_eq!(current.places().unused().next(), Some(1));
}

#[test]
fn counters_whose_home_is_nobodys_or_anothers_are_none() {
    let pair =
        |number, port| Pair { vip: vip(number), backend: Endpoint::v4([10, 0, 0, 1], port, TCP) };
    let counted = [
        (pair(1, 1), Counted { counter: 1, home: 0 }),
        (pair(2, 1), Counted { counter: 0, home: 0 }),
        (pair(3, 1), Counted { counter: 2, home: 2 }),
        (pair(4, 1), Counted { counter: 4, home: 3 }),
        (pair(1, 2), Counted { counter: 5, home: 0 }),
        (pair(2, 2), Counted { counter: u32::MAX, home: u32::MAX }),
    ];
    let current = Current::new(vec![], vec![], counted.to_vec(), Pages::default());
    assert_eq!(current.places().all(), counted[..2]);
}

#[test]
fn numbers_in_use_are_skipped_after_the_highest() {
    let mut current = Current::default();
    let next = |current: &Current| current.unused_numbers().take(2).collect::<Vec<_>>();
    assert_eq!(next(&current), [1, 2]);
    current.add_table(1, slots(vip(1), &[1]));
    current.add_table(7, Slots::default());
    current.set_vip(vip(1), entry(41, 0));
    assert_eq!(next(&current), [42, 43]);
    current.change_pages(2, |pages| pages.add(2, 16_381));
    current.set_vip(vip(1), entry(u32::MAX, 0));
    assert_eq!(next(&current), [3, 4]);
}
