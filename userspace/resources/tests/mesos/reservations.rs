//! What is set aside for roles.

use muster_resources::{Reservation, Resources};

use crate::{dynamic, labelled, reserved, resources};

#[test]
fn reservations() {
    let unreserved = resources("cpus:1;mem:2;disk:4");
    let role1 = resources("cpus(role1):2;mem(role1):4;disk(role1):8");
    let role2 = resources("cpus(role2):4;mem(role2):8;disk(role2):6");
    let all = unreserved.clone() + &role1 + &role2;
    let by_role = all.reservations();
    assert_eq!(by_role.len(), 2);
    assert_eq!(by_role["role1"], role1);
    assert_eq!(by_role["role2"], role2);
    assert_eq!(all.reserved_to("role1"), role1);
    assert_eq!(all.reserved_to("role2"), role2);
    assert!(all.reserved_to("*").is_empty());
    assert_eq!(all.unreserved(), unreserved);
    assert_eq!(all.reserved(), role1 + role2);
}

#[test]
fn hierarchical_reservations() {
    let unreserved = resources("cpus:1;mem:2;disk:4");
    let grandfather = resources("cpus(a):2;mem(a):4;disk(a):8");
    let father = resources("cpus(a/bx):4;mem(a/bx):8;disk(a/bx):16");
    let uncle = resources("cpus(a/b):4;mem(a/b):8;disk(a/b):16");
    let child = resources("cpus(a/bx/c):8;mem(a/bx/c):16;disk(a/bx/c):32");
    let family = unreserved.clone() + &grandfather + &father + &uncle + &child;
    assert_eq!(family.allocatable_to("*"), unreserved);
    let mut expected = unreserved + &grandfather;
    assert_eq!(family.allocatable_to("a"), expected);
    expected += &father;
    assert_eq!(family.allocatable_to("a/bx"), expected);
    expected += &child;
    assert_eq!(family.allocatable_to("a/bx/c"), expected);
}

#[test]
fn to_unreserved() {
    let all = resources("cpus(role1):1;cpus(role2):2;mem(role1):5");
    assert_eq!(all.to_unreserved(), resources("cpus:3;mem:5"));
}

#[test]
fn find() {
    for (there, wanted, found) in [
        (
            "cpus(role1):2;mem(role1):10;cpus:4;mem:20",
            "cpus(role1):3;mem(role1):15",
            Some("cpus(role1):2;mem(role1):10;cpus:1;mem:5"),
        ),
        (
            "cpus(role1):1;mem(role1):5;cpus(role2):2;mem(role2):8;cpus:1;mem:7",
            "cpus(role1):3;mem(role1):15",
            Some("cpus(role1):1;mem(role1):5;cpus:1;mem:7;cpus(role2):1;mem(role2):3"),
        ),
        (
            "cpus(role1):5;mem(role1):5;cpus:5;mem:5",
            "cpus:6;mem:6",
            Some("cpus:5;mem:5;cpus(role1):1;mem(role1):1"),
        ),
        ("cpus(role1):1;mem(role1):1", "cpus(role1):2;mem(role1):2", None),
    ] {
        assert_eq!(resources(there).find(&resources(wanted)), found.map(resources), "{wanted}");
    }
}

#[test]
fn reservation_ancestor() {
    let base = resources("cpus:2;mem:10");
    let push = |resources: &Resources, role| {
        resources.push_reservation(&Reservation::dynamic(role)).unwrap()
    };
    let foo = push(&base, "foo");
    let bar = push(&foo, "foo/bar");
    let baz = push(&foo, "foo/baz");
    for (one, other, ancestor) in [
        (&base, &base, &base),
        (&foo, &foo, &foo),
        (&foo, &base, &base),
        (&base, &foo, &base),
        (&bar, &bar, &bar),
        (&bar, &base, &base),
        (&base, &bar, &base),
        (&bar, &foo, &foo),
        (&foo, &bar, &foo),
        (&bar, &baz, &foo),
    ] {
        assert_eq!(one.reservation_ancestor(other), *ancestor);
    }
}

#[test]
fn reserved_validation() {
    for reservation in [
        Reservation::fixed("role"),
        dynamic("role", "principal2"),
        labelled("role", "principal2", "foo", "bar"),
    ] {
        let reserved = reserved("cpus:8", &reservation);
        assert_eq!(Resources::from_proto(&reserved.to_proto()), Ok(reserved));
    }
    let everybody = resources("cpus:8").push_reservation(&Reservation::fixed("*"));
    assert!(everybody.unwrap_err().to_string().contains("everybody"));
}

#[test]
fn reserved_equals() {
    let unique: Vec<Resources> = [
        Reservation::fixed("role1"),
        Reservation::fixed("role2"),
        dynamic("role1", "principal1"),
        dynamic("role1", "principal2"),
        dynamic("role2", "principal1"),
        dynamic("role2", "principal2"),
        labelled("role1", "principal2", "foo", "bar"),
        labelled("role1", "principal2", "foo", "baz"),
    ]
    .into_iter()
    .map(|reservation| reserved("cpus:8", &reservation))
    .chain([resources("cpus:8")])
    .collect();
    for (index, one) in unique.iter().enumerate() {
        for (other_index, other) in unique.iter().enumerate() {
            assert_eq!(one == other, index == other_index, "{one:#} {other:#}");
        }
    }
}

fn assert_adds(reservation: &Reservation) {
    let of = |text| reserved(text, reservation);
    assert_eq!(of("cpus:8") + of("cpus:4"), of("cpus:12"));
}

#[test]
fn addition_statically_reserved() {
    assert_adds(&Reservation::fixed("role"));
}

#[test]
fn addition_dynamically_reserved_without_labels() {
    assert_adds(&dynamic("role", "principal"));
}

#[test]
fn addition_dynamically_reserved_with_same_labels() {
    assert_adds(&labelled("role", "principal", "foo", "bar"));
}

#[test]
fn addition_dynamically_reserved_with_distinct_labels() {
    let one = reserved("cpus:6", &labelled("role", "principal", "foo", "bar"));
    let other = reserved("cpus:6", &labelled("role", "principal", "foo", "baz"));
    let sum = one.clone() + &other;
    assert_eq!(sum.len(), 2);
    assert_ne!(sum, one.clone() + &one);
    assert_ne!(sum, other.clone() + &other);
    assert_eq!(sum, other + one);
}

#[test]
fn reserved_subtraction() {
    let fixed = reserved("cpus:8", &Reservation::fixed("role"));
    let moving = reserved("cpus:8", &labelled("role", "principal", "foo", "bar"));
    assert!((fixed.clone() - &fixed).is_empty());
    assert!((moving.clone() - &moving).is_empty());
    assert_eq!(fixed.clone() - &moving, fixed);
    assert_eq!(moving.clone() - &fixed, moving);
    let left = fixed + moving
        - reserved("cpus:2", &Reservation::fixed("role"))
        - reserved("cpus:4", &labelled("role", "principal", "foo", "bar"));
    let expected = reserved("cpus:6", &Reservation::fixed("role"))
        + reserved("cpus:4", &labelled("role", "principal", "foo", "bar"));
    assert_eq!(left, expected);
    let one = reserved("cpus:8", &labelled("role", "principal", "foo", "bar"));
    let other = reserved("cpus:8", &labelled("role", "principal", "foo", "baz"));
    assert_eq!(one.clone() - other, one);
}

#[test]
fn reserved_contains() {
    let fixed = reserved("cpus:8", &Reservation::fixed("role"));
    let moving = reserved("cpus:12", &dynamic("role", "principal"));
    let both = fixed.clone() + &moving;
    for (outer, inner, contains) in [
        (&fixed, &fixed, true),
        (&moving, &moving, true),
        (&fixed, &moving, false),
        (&moving, &fixed, false),
        (&fixed, &both, false),
        (&moving, &both, false),
        (&both, &fixed, true),
        (&both, &moving, true),
        (&both, &both, true),
    ] {
        assert_eq!(outer.contains(inner), contains);
    }
}
