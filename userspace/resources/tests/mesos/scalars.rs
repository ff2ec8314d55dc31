//! Amounts.

use crate::resources;

#[test]
fn scalar_equals() {
    assert_eq!(resources("cpus:3;mem:3072"), resources("mem:3072;cpus:3"));
    assert_ne!(resources("cpus(role1):3"), resources("cpus(role2):3"));
}

#[test]
fn scalar_subset() {
    let (less, more) = (resources("cpus:1;mem:3072"), resources("cpus:1;mem:4096"));
    assert!(more.contains(&less));
    assert!(!less.contains(&more));
}

#[test]
fn scalar_subset2() {
    let (one, other) = (resources("cpus(role1):1"), resources("cpus(role2):1"));
    assert!(!other.contains(&one));
    assert!(!one.contains(&other));
    let three = resources("cpus(role1):3");
    assert!(!one.contains(&three));
    assert!(!other.contains(&three));
    assert!(!three.contains(&other));
    assert!(three.contains(&one));
}

#[test]
fn scalar_addition() {
    let sum = resources("cpus:1;mem:5") + resources("cpus:2;mem:10");
    assert_eq!(sum.len(), 2);
    assert_eq!(sum, resources("cpus:3;mem:15"));
}

#[test]
fn scalar_addition2() {
    let sum = resources("cpus(role1):1;cpus(role2):3") + resources("cpus(role1):5");
    assert_eq!(sum.len(), 2);
    assert_eq!(sum.scalar("cpus").to_string(), "9");
    assert_eq!(sum, resources("cpus(role1):6;cpus(role2):3"));
}

#[test]
fn scalar_subtraction() {
    let all = resources("cpus:50;mem:4096");
    assert_eq!(all.clone() - resources("cpus:0.5;mem:1024"), resources("cpus:49.5;mem:3072"));
    assert!((all.clone() - &all).is_empty());
}

#[test]
fn scalar_subtraction2() {
    let left = resources("cpus(role1):5;cpus(role2):3") - resources("cpus(role1):1");
    assert_eq!(left.len(), 2);
    assert_eq!(left.scalar("cpus").to_string(), "7");
    assert_eq!(left, resources("cpus(role1):4;cpus(role2):3"));
}
