//! Cutting down to amounts.

use std::collections::BTreeSet;

use muster_resources::{Limits, Quantities, Resources, SourceKind};

use crate::{disk, of, resources, source};

fn by_position(position: usize) -> u64 {
    position as u64
}

fn mounted(amount: &str) -> Resources {
    of(disk(amount, "role", None, None, Some(source(SourceKind::Mount, "mnt"))))
}

/// Both kinds of disk come first under some order.
fn assert_order_decides(shrink: impl Fn(&Resources, &dyn Fn(usize) -> u64) -> Resources) {
    let both = resources("disk:10") + mounted("10");
    let orders: [&dyn Fn(usize) -> u64; 2] = [&by_position, &|position| !by_position(position)];
    let results: BTreeSet<String> =
        orders.into_iter().map(|order| format!("{:#}", shrink(&both, order))).collect();
    let expected = [resources("disk:10"), mounted("10")].map(|one| format!("{one:#}"));
    assert_eq!(results, BTreeSet::from(expected));
}

#[test]
fn shrink_to_quantities() {
    let shrink = |resources: &Resources, target: &str| {
        resources.shrunk_to(&Quantities::parse(target).unwrap(), by_position)
    };
    for (from, target, to) in [
        ("", "", ""),
        ("", "cpus:1", ""),
        ("cpus:1", "", ""),
        ("cpus:2", "cpus:1", "cpus:1"),
        ("cpus:2;mem:20", "cpus:1;mem:10", "cpus:1;mem:10"),
        ("cpus:2;mem:20", "cpus:1;mem:10;disk:10", "cpus:1;mem:10"),
        ("cpus:2;mem:20", "cpus:1", "cpus:1"),
    ] {
        assert_eq!(shrink(&resources(from), target), resources(to), "{from} {target}");
    }
    assert!(shrink(&mounted("20"), "disk:10").is_empty());
    let target = Quantities::parse("disk:10").unwrap();
    assert_order_decides(|resources, order| resources.shrunk_to(&target, order));
}

#[test]
fn shrink_to_limits() {
    let shrink = |resources: &Resources, limits: &str| {
        resources.shrunk_to_limits(&Limits::parse(limits).unwrap(), by_position)
    };
    for (from, limits, to) in [
        ("", "", ""),
        ("", "cpus:1", ""),
        ("cpus:1", "", "cpus:1"),
        ("cpus:2", "cpus:1", "cpus:1"),
        ("cpus:2", "cpus:0", ""),
        ("cpus:2;mem:20", "cpus:1;mem:10", "cpus:1;mem:10"),
        ("cpus:2;mem:20", "cpus:1;mem:10;disk:10", "cpus:1;mem:10"),
        ("cpus:2;mem:20", "cpus:1", "cpus:1;mem:20"),
    ] {
        assert_eq!(shrink(&resources(from), limits), resources(to), "{from} {limits}");
    }
    assert!(shrink(&mounted("20"), "disk:10").is_empty());
    let limits = Limits::parse("disk:10").unwrap();
    assert_order_decides(|resources, order| resources.shrunk_to_limits(&limits, order));
}
