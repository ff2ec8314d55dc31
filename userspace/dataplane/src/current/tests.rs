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
    for (port, place) in [(1, 0), (2, 1), (3, 2)] {
        current.count(backend(port), place);
    }
    let idle = |current: &Current| current.places().idle().collect::<Vec<_>>();
    assert_eq!(idle(&current), [(backend(3), 2)]);
    current.remove_table(1);
    assert_eq!(idle(&current), [(backend(1), 0), (backend(3), 2)]);
    current.remove_table(2);
    current.count_no_more(&backend(2));
    assert_eq!(idle(&current), [(backend(1), 0), (backend(3), 2)]);
    assert_eq!(current.places().unused().next(), Some(1));
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
