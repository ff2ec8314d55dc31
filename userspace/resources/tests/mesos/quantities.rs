//! Amounts by name.

use muster_resources::Quantities;

use crate::{dynamic, of, reserved, resources, shared_disk};

pub(crate) fn quantities(text: &str) -> Quantities {
    Quantities::parse(text).unwrap()
}

/// What is no text of amounts by name.
pub(crate) const INVALID: [&str; 14] = [
    "cpus",
    "cpus:a10",
    "cpus:3.14c",
    "ports:3,cpus:1",
    "ports:3,cpus:-1",
    "cpus:nan",
    "cpus:-nan",
    "cpus:inf",
    "cpus:-inf",
    "cpus:infinity",
    "cpus:-infinity",
    "cpus:-1",
    "cpus:[1-3]",
    ":1",
];

#[test]
fn quantities_from_string_valid() {
    for (text, printed) in [
        ("cpus:10", "cpus:10"),
        ("cpus:3.14", "cpus:3.14"),
        (" cpus : 3.14 ; disk : 10 ", "cpus:3.14;disk:10"),
        ("cpus:0", ""),
        ("cpus:10.5;ports:1", "cpus:10.5;ports:1"),
        ("ports:3;cpus:10.5", "cpus:10.5;ports:3"),
        ("ports:3;cpus:1;cpus:10.5", "cpus:11.5;ports:3"),
        ("", ""),
    ] {
        assert_eq!(quantities(text).to_string(), printed);
    }
}

#[test]
fn quantities_from_string_invalid() {
    for text in INVALID {
        assert!(Quantities::parse(text).is_err(), "{text}");
    }
    assert_eq!(Quantities::parse("cpus:1; mem:x").unwrap_err().place, "\"mem:x\"");
}

/// In the order of names: of letters, but what every machine has comes first here.
fn names_and_amounts(quantities: &Quantities) -> Vec<String> {
    quantities.iter().map(|(name, amount)| format!("{name} {amount}")).collect()
}

#[test]
fn quantities_from_scalar_resources() {
    assert!(Quantities::of_scalars(&resources("")).is_empty());
    let sorted = Quantities::of_scalars(&resources("cpus:1;mem:512;disk:800"));
    assert_eq!(names_and_amounts(&sorted), ["cpus 1", "mem 512", "disk 800"]);
    let all = resources("cpus:1;cpus(role):0.5;mem:512;ports:[1-10]");
    assert_eq!(Quantities::of_scalars(&all), quantities("cpus:1.5;mem:512"));
}

#[test]
fn quantities_from_resources() {
    assert!(Quantities::of(&resources("")).is_empty());
    let all = resources("cpus:1;mem:512;ports:[5000-6000];zones:{a,b};disk:800");
    let expected = ["cpus 1", "mem 512", "disk 800", "ports 1001", "zones 2"];
    assert_eq!(names_and_amounts(&Quantities::of(&all)), expected);
}

#[test]
fn quantities_addition() {
    for (one, other, sum) in [
        ("cpus:10", "", "cpus:10"),
        ("cpus:10", "cpus:0.1", "cpus:10.1"),
        ("cpus:10.1", "alphas:1", "alphas:1;cpus:10.1"),
        ("cpus:10.1", "mem:1", "cpus:10.1;mem:1"),
        ("alphas:1;cpus:10.1", "cpus:1;mem:100", "alphas:1;cpus:11.1;mem:100"),
        ("", "", ""),
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
        ("cpus:1", "cpus:0.4", "cpus:0.6"),
        ("cpus:1", "cpus:1", ""),
        ("cpus:1", "cpus:1.4", ""),
        ("cpus:1", "mem:100", "cpus:1"),
        ("cpus:1", "alphas:1", "cpus:1"),
        ("cpus:1;mem:100", "alphas:1;cpus:0.5", "cpus:0.5;mem:100"),
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
        ("cpus:1;mem:1", "cpus:1;mem:1", true),
        ("cpus:1;mem:1;disk:1", "cpus:1;mem:1", true),
        ("cpus:1;mem:1", "cpus:1;mem:1;disk:1", false),
        ("cpus:1;mem:1", "cpus:1;disk:1", false),
        ("cpus:1;disk:1", "cpus:1;mem:1", false),
        ("cpus:1;mem:1", "gpu:1;disk:1", false),
        ("gpu:1;disk:1", "cpus:1;mem:1", false),
        ("cpus:2;mem:2", "cpus:2;mem:1", true),
        ("cpus:2;mem:1", "cpus:2;mem:2", false),
    ] {
        assert_eq!(quantities(outer).contains(&quantities(inner)), contains, "{outer} {inner}");
    }
}

#[test]
fn quantities_stringify() {
    assert_eq!(quantities("").to_string(), "");
    assert_eq!(quantities("mem:1024;cpus:1").to_string(), "cpus:1;mem:1024");
}

#[test]
fn quantities_sum() {
    let mut all = Vec::new();
    assert!(all.iter().sum::<Quantities>().is_empty());
    for (added, sum) in [
        ("", ""),
        ("cpus:1", "cpus:1"),
        ("cpus:2", "cpus:3"),
        ("memory:1", "cpus:3;memory:1"),
        ("cpus:1;memory:1", "cpus:4;memory:2"),
    ] {
        all.push(quantities(added));
        assert_eq!(all.iter().sum::<Quantities>(), quantities(sum));
    }
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
