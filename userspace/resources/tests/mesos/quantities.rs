//! Amounts and limits by name.

use muster_resources::{Limits, Quantities};

use crate::{dynamic, of, reserved, resources, shared_disk};

fn quantities(text: &str) -> Quantities {
    Quantities::parse(text).unwrap()
}

fn limits(text: &str) -> Limits {
    Limits::parse(text).unwrap()
}

const INVALID: [&str; 10] = [
    "cpus",
    "cpus:a10",
    "cpus:3.14c",
    "ports:3,cpus:1",
    "cpus:nan",
    "cpus:inf",
    "cpus:infinity",
    "cpus:-1",
    "cpus:[1-3]",
    ":1",
];

#[test]
fn quantities_from_string_valid() {
    assert_eq!(quantities(" cpus : 3.14 ; disk : 10 ").to_string(), "cpus:3.14;disk:10");
    assert_eq!(quantities("cpus:3.14;disk:0").to_string(), "cpus:3.14");
    assert_eq!(quantities("disk:10;cpus:1;disk:5").to_string(), "cpus:1;disk:15");
    assert!(quantities("").is_empty());
}

#[test]
fn quantities_from_string_invalid() {
    for text in INVALID {
        assert!(Quantities::parse(text).is_err(), "{text}");
    }
    assert_eq!(Quantities::parse("cpus:1; mem:x").unwrap_err().place, "\"mem:x\"");
}

#[test]
fn quantities_from_scalar_resources() {
    let all = resources("cpus:1;cpus(role):0.5;mem:512;ports:[1-10]");
    assert_eq!(Quantities::of_scalars(&all), quantities("cpus:1.5;mem:512"));
}

#[test]
fn quantities_from_resources() {
    let all = resources("cpus:1;ports:[5000-6000];zones:{a,b}");
    assert_eq!(Quantities::of(&all), quantities("cpus:1;ports:1001;zones:2"));
}

#[test]
fn quantities_addition() {
    for (one, other, sum) in [
        ("", "", ""),
        ("cpus:1", "", "cpus:1"),
        ("cpus:1", "cpus:2", "cpus:3"),
        ("cpus:1;mem:10", "disk:2;cpus:0.5", "cpus:1.5;mem:10;disk:2"),
    ] {
        let mut all = quantities(one);
        all.add_all(&quantities(other));
        assert_eq!(all, quantities(sum), "{one} + {other}");
    }
}

#[test]
fn quantities_subtraction() {
    for (from, taken, left) in [
        ("", "cpus:1", ""),
        ("cpus:1", "", "cpus:1"),
        ("cpus:2;mem:10", "cpus:1", "cpus:1;mem:10"),
        ("cpus:2;mem:10", "cpus:2", "mem:10"),
        ("cpus:2;mem:10", "cpus:3;disk:1", "mem:10"),
    ] {
        let mut all = quantities(from);
        all.subtract_all(&quantities(taken));
        assert_eq!(all, quantities(left), "{from} - {taken}");
    }
}

#[test]
fn quantities_contains() {
    for (outer, inner, contains) in [
        ("", "", true),
        ("cpus:1", "", true),
        ("", "cpus:1", false),
        ("cpus:1", "cpus:1", true),
        ("cpus:1;mem:2", "mem:2", true),
        ("cpus:1;mem:2", "mem:3", false),
        ("cpus:1", "mem:1", false),
    ] {
        assert_eq!(quantities(outer).contains(&quantities(inner)), contains, "{outer} {inner}");
    }
}

#[test]
fn quantities_stringify() {
    assert_eq!(quantities("").to_string(), "");
    assert_eq!(quantities("mem:10;cpus:1.5").to_string(), "cpus:1.5;mem:10");
}

#[test]
fn contains_resource_quantities() {
    for (there, wanted, contains) in [
        ("", "", true),
        ("", "cpus:1", false),
        ("cpus:1", "", true),
        ("cpus:2", "cpus:1", true),
        ("cpus:1", "cpus:1", true),
        ("cpus:0.5", "cpus:1", false),
        ("ports:[1-3]", "ports:2", true),
        ("ports:[1-2]", "ports:2", true),
        ("ports:[1-1]", "ports:2", false),
        ("features:{a,b,c}", "features:2", true),
        ("features:{a,b}", "features:2", true),
        ("features:{a}", "features:2", false),
        ("cpus:3;ports:[1-3];features:{a,b,c};mem:10", "cpus:3;ports:3;features:3", true),
        ("cpus:3;ports:[1-3];features:{a,b,c}", "cpus:3;ports:3;features:3", true),
        ("cpus:1;ports:[1-3];features:{a,b,c}", "cpus:3;ports:3;features:3", false),
        ("cpus:3;ports:[1-3]", "cpus:3;ports:3;features:3", false),
        ("cpus(role1):2", "cpus:3", false),
        ("cpus(role1):2;cpus:1", "cpus:3", true),
    ] {
        let there = resources(there);
        assert_eq!(there.contains_quantities(&quantities(wanted)), contains, "{there} {wanted}");
    }
    let mut ports = reserved("ports:[1-10]", &dynamic("role", "principal"));
    assert!(!ports.contains_quantities(&quantities("ports:12")));
    ports += resources("ports:[20-25]");
    assert!(ports.contains_quantities(&quantities("ports:12")));
    let mut volume = of(shared_disk("64", "role1", "id1", "path1"));
    assert!(!volume.contains_quantities(&quantities("disk:128")));
    volume += resources("disk:64");
    assert!(volume.contains_quantities(&quantities("disk:128")));
}

#[test]
fn limits_from_string_valid() {
    assert_eq!(limits(" cpus : 3.14 ; disk : 10 ").to_string(), "cpus:3.14;disk:10");
    assert_eq!(limits("disk:0;cpus:1").to_string(), "cpus:1;disk:0");
    assert!(limits("").is_empty());
}

#[test]
fn limits_from_string_invalid() {
    for text in INVALID.into_iter().chain(["cpus:1;cpus:2"]) {
        assert!(Limits::parse(text).is_err(), "{text}");
    }
}

#[test]
fn limits_contains_quantities() {
    for (limit, amount, contains) in [
        ("", "", true),
        ("", "cpus:1", true),
        ("cpus:1", "", true),
        ("cpus:1", "cpus:1;mem:100", true),
        ("cpus:1", "cpus:1.001", false),
        ("cpus:0", "cpus:1", false),
    ] {
        assert_eq!(limits(limit).contains(&quantities(amount)), contains, "{limit} {amount}");
    }
}

#[test]
fn limits_subtract_quantities() {
    for (from, taken, left) in [
        ("", "cpus:1", ""),
        ("cpus:1", "", "cpus:1"),
        ("cpus:2;mem:10", "cpus:1", "cpus:1;mem:10"),
        ("cpus:2", "cpus:3", "cpus:0"),
    ] {
        assert_eq!(limits(from).minus(&quantities(taken)), limits(left), "{from} - {taken}");
    }
}
