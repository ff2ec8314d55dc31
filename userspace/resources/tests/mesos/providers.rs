//! Resources of resource providers.

use muster_resources::Resource;

use crate::{of, resource, resources};

fn provided(text: &str) -> Resource {
    resource(text).map_details(|details| details.provider = Some("RESOURCE_PROVIDER_ID".into()))
}

#[test]
fn provider_addition() {
    let (cpus, own, other) = (provided("cpus:4"), resource("disk:1"), provided("disk:1"));
    let both = of(cpus.clone()) + of(other.clone());
    assert_eq!(both.len(), 2);
    assert!(both.contains(&of(cpus)));
    assert!(both.contains(&of(other.clone())));
    assert!(!both.contains(&of(own.clone())));
    let twice = of(other.clone()) + of(other.clone());
    assert_eq!(twice.len(), 1);
    assert_eq!(twice.scalar("disk").to_string(), "2");
    let mixed = of(own.clone()) + of(other.clone());
    assert_eq!(mixed.len(), 2);
    assert_eq!(mixed.scalar("disk").to_string(), "2");
    assert!(mixed.contains(&of(own)) && mixed.contains(&of(other)));
}

#[test]
fn provider_subtraction() {
    let (cpus, own, other) =
        (of(provided("cpus:4")), of(resource("disk:1")), of(provided("disk:1")));
    assert!((cpus.clone() - &cpus).is_empty());
    assert!(!cpus.contains(&own) && !cpus.contains(&other));
    let with_own = cpus.clone() + &own;
    assert_eq!(with_own.clone() - &own, cpus);
    assert_eq!(with_own - &cpus, own);
    let with_other = cpus.clone() + &other;
    assert_eq!(with_other.clone() - &other, cpus);
    assert_eq!(with_other - &cpus, other);
    assert_eq!(other.clone() + &other - &other, other);
}

#[test]
fn provider_equals() {
    let (cpus, own, other) =
        (of(provided("cpus:1")), of(resource("disk:1")), of(provided("disk:1")));
    let all = [cpus.clone(), own.clone(), other.clone(), cpus.clone() + own, cpus + other];
    for (index, one) in all.iter().enumerate() {
        for (other_index, other) in all.iter().enumerate() {
            assert_eq!(one == other, index == other_index);
        }
    }
}

#[test]
fn provider_contains() {
    let (own, other) = (of(resource("disk:1")), of(provided("disk:1")));
    let with_own = resources("cpus:1") + &own;
    let with_other = resources("cpus:1") + &other;
    for (outer, inner, contains) in [
        (&own, &other, false),
        (&other, &own, false),
        (&other, &other, true),
        (&with_own, &own, true),
        (&with_own, &other, false),
        (&with_other, &own, false),
        (&with_other, &other, true),
        (&with_own, &with_other, false),
        (&with_other, &with_other, true),
    ] {
        assert_eq!(outer.contains(inner), contains);
    }
}
