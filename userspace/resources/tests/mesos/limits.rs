//! Limits by name.

use muster_resources::Limits;

use crate::quantities::{INVALID, quantities};

fn limits(text: &str) -> Limits {
    Limits::parse(text).unwrap()
}

#[test]
fn limits_from_string_valid() {
    for (text, printed) in [
        ("cpus:10", "cpus:10"),
        ("cpus:3.14", "cpus:3.14"),
        (" cpus : 3.14 ; disk : 10 ", "cpus:3.14;disk:10"),
        ("cpus:0", "cpus:0"),
        ("cpus:10.5;ports:1", "cpus:10.5;ports:1"),
        ("ports:3;cpus:10.5", "cpus:10.5;ports:3"),
        ("", ""),
    ] {
        assert_eq!(limits(text).to_string(), printed);
    }
}

#[test]
fn limits_from_string_invalid() {
    for text in INVALID.into_iter().chain(["cpus:1;cpus:2"]) {
        assert!(Limits::parse(text).is_err(), "{text}");
    }
}

#[test]
fn limits_contains() {
    for (outer, inner, contains) in [
        ("", "", true),
        ("", "cpus:1", true),
        ("cpus:1", "", false),
        ("cpus:1;mem:1", "cpus:1;mem:1", true),
        ("cpus:1;mem:1", "cpus:1;mem:1;disk:1", true),
        ("cpus:1;mem:1;disk:1", "cpus:1;mem:1", false),
        ("cpus:1;mem:1", "cpus:1;disk:1", false),
        ("cpus:1;disk:1", "cpus:1;mem:1", false),
        ("cpus:1;mem:1", "gpu:1;disk:1", false),
        ("gpu:1;disk:1", "cpus:1;mem:1", false),
        ("cpus:2;mem:2", "cpus:2;mem:1", true),
        ("cpus:2;mem:1", "cpus:2;mem:2", false),
    ] {
        assert_eq!(limits(outer).allows(&limits(inner)), contains, "{outer} {inner}");
    }
}

#[test]
fn limits_contains_quantities() {
    for (limit, amount, contains) in [
        ("", "", true),
        ("cpus:1", "", true),
        ("cpus:1;mem:1", "cpus:1;mem:1", true),
        ("cpus:1;mem:1;disk:1", "cpus:1;mem:1", true),
        ("cpus:1;mem:1", "cpus:1;mem:1;disk:1", true),
        ("cpus:1;mem:1", "cpus:1;disk:1", true),
        ("cpus:1;mem:1", "gpu:1;disk:1", true),
        ("cpus:2;mem:2", "cpus:2;mem:1", true),
        ("cpus:2;mem:1", "cpus:2;mem:2", false),
        ("cpus:1", "cpus:1.001", false),
        ("cpus:0", "cpus:1", false),
    ] {
        assert_eq!(limits(limit).contains(&quantities(amount)), contains, "{limit} {amount}");
    }
}

#[test]
fn limits_subtract_quantities() {
    for (from, taken, left) in [
        ("", "", ""),
        ("", "cpus:10", ""),
        ("cpus:1", "", "cpus:1"),
        ("cpus:1", "cpus:1", "cpus:0"),
        ("cpus:1", "cpus:2", "cpus:0"),
        ("cpus:1;mem:10", "cpus:1", "cpus:0;mem:10"),
        ("cpus:1;mem:10", "cpus:1;disk:10", "cpus:0;mem:10"),
        ("cpus:1;mem:10", "cpus:1;mem:5;disk:10", "cpus:0;mem:5"),
    ] {
        assert_eq!(limits(from).minus(&quantities(taken)), limits(left), "{from} - {taken}");
    }
}
