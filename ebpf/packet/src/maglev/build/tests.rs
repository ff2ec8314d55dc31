extern crate std;
use std::{collections::BTreeMap, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::TCP;

/// Slots that go from one backend to another, both of which stay as they are, when a third comes, goes or
/// gets another weight: at most this share of all.
const MOVED: f64 = 0.05;

fn backend(n: u32) -> Endpoint {
    let [_, _, high, low] = n.to_be_bytes();
    Endpoint::v4([10, 0, high, low], 8080, TCP)
}

fn equal(count: u32) -> Vec<(Endpoint, u32)> {
    (0..count).map(|n| (backend(n), 1)).collect()
}

/// For each slot its backend.
fn named(backends: &[(Endpoint, u32)]) -> Vec<Endpoint> {
    build(backends).into_iter().map(|at| backends[usize::from(at)].0).collect()
}

fn shares(backends: &[(Endpoint, u32)]) -> Vec<u32> {
    let mut shares = vec![0; backends.len()];
    for at in build(backends) {
        shares[usize::from(at)] += 1;
    }
    shares
}

/// The share of slots that went from one backend to another, both of which there are before and after.
fn moved(before: &[(Endpoint, u32)], after: &[(Endpoint, u32)]) -> f64 {
    let weights = |set: &[(Endpoint, u32)]| set.iter().copied().collect::<BTreeMap<_, _>>();
    let (old, new) = (weights(before), weights(after));
    let stays = |end| old.get(end).is_some_and(|w| new.get(end) == Some(w));
    let (was, is) = (named(before), named(after));
    let moved = was.iter().zip(&is).filter(|(a, b)| a != b && stays(a) && stays(b)).count();
    let number = |count: usize| f64::from(u32::try_from(count).unwrap());
    number(moved) / number(was.len())
}

/// What becomes of a set of backends.
#[derive(Clone, Copy, Debug)]
enum Change {
    Add(u32, u32),
    Remove(usize),
    Weigh(usize, u32),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        (0u32..200, 1u32..4).prop_map(|(n, weight)| Change::Add(n, weight)),
        any::<usize>().prop_map(Change::Remove),
        (any::<usize>(), 0u32..4).prop_map(|(at, weight)| Change::Weigh(at, weight)),
    ];
    proptest::collection::vec(change, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 24 }))]

    #[test]
    fn shares_are_as_the_weights(weights in proptest::collection::vec(0u32..50, 1..150)) {
        let backends: Vec<_> = (0u32..).map(backend).zip(weights).collect();
        let total: u32 = backends.iter().map(|(_, weight)| weight).sum();
        prop_assume!(total > 0);
        let size = slots(backends.len()).unwrap();
        for (share, (_, weight)) in shares(&backends).into_iter().zip(&backends) {
            let exact = f64::from(size) * f64::from(*weight) / f64::from(total);
            prop_assert!((f64::from(share) - exact).abs() <= 2.0, "{share} for {exact}");
        }
    }

    #[test]
    fn order_does_not_matter(
        backends in proptest::collection::btree_map((0u32..500).prop_map(backend), 0u32..5, 1..60)
            .prop_flat_map(|set| {
                let set: Vec<_> = set.into_iter().collect();
                (Just(set.clone()), Just(set).prop_shuffle())
            }),
    ) {
        prop_assert_eq!(named(&backends.0), named(&backends.1));
    }

    /// Any sequence of changes: every slot has a backend that takes connections, and hardly
    /// any goes from one that stays as it is to another.
    #[test]
    #[cfg_attr(miri, ignore = "tables are smaller")]
    fn changes_leave_the_slots_of_others(first in 2u32..60, changes in changes()) {
        let mut set = equal(first);
        for change in changes {
            let before = set.clone();
            match change {
                Change::Add(n, weight) => {
                    if set.iter().all(|(end, _)| *end != backend(n)) {
                        set.push((backend(n), weight));
                    }
                }
                Change::Remove(at) => drop(set.remove(at % set.len())),
                Change::Weigh(at, weight) => {
                    let at = at % set.len();
                    set[at].1 = weight;
                }
            }
            if set.is_empty() {
                set.push((backend(0), 1));
            }
            let live = set.iter().filter(|(_, weight)| *weight > 0).count();
            let table = build(&set);
            prop_assert_eq!(table.len(), if live > 0 { 16_381 } else { 0 });
            prop_assert!(table.iter().all(|at| set[usize::from(*at)].1 > 0));
            if live > 0 && before.iter().any(|(_, weight)| *weight > 0) {
                let moved = moved(&before, &set);
                prop_assert!(moved <= MOVED, "{moved} by {change:?}");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "tables are smaller")]
fn few_slots_move_when_one_backend_goes() {
    for count in [2, 3, 10, 100, 160] {
        let all = equal(count);
        for gone in [0, count / 2, count - 1] {
            let mut rest = all.clone();
            rest.remove(gone as usize);
            let moved = moved(&all, &rest);
            assert!(moved <= 0.02, "{moved} of {count}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "tables are smaller")]
fn extreme_weights_get_what_fits() {
    let shares = shares(&[(backend(0), u32::MAX), (backend(1), 1), (backend(2), u32::MAX)]);
    assert_eq!(shares[1], 0, "less than half a slot");
    assert_eq!(shares[0].abs_diff(shares[2]), 1);
    assert_eq!(self::shares(&[(backend(1), u32::MAX)]), [16_381]);
}

#[test]
#[cfg_attr(miri, ignore = "tables are smaller")]
fn many_backends_get_a_larger_table() {
    let backends = equal(1_000);
    let shares = shares(&backends);
    assert_eq!(shares.iter().sum::<u32>(), 131_071);
    assert!(shares.iter().all(|share| share.abs_diff(131) <= 1), "{shares:?}");
}

#[test]
fn nobody_has_an_empty_table() {
    assert!(build(&[]).is_empty());
    assert!(build(&[(backend(0), 0)]).is_empty());
}

/// Tables are compared between machines of different builds: this one must stay as it is.
#[test]
#[cfg_attr(miri, ignore = "tables are smaller")]
fn table_is_the_same_in_every_build() {
    let table = build(&[(backend(1), 1), (backend(2), 2), (backend(3), 1)]);
    let bytes: Vec<u8> = table.iter().flat_map(|at| at.to_le_bytes()).collect();
    assert_eq!(layout::hash(layout::SEED, &bytes), 12_471_845_428_601_278_403);
}
