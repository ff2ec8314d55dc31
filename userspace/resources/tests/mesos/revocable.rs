//! What may be taken back.

use crate::{resources, revocable};

#[test]
fn revocable_equals() {
    assert_eq!(revocable("cpus:1"), revocable("cpus:1"));
    assert_ne!(revocable("cpus:1"), resources("cpus:1"));
}

#[test]
fn revocable_addition() {
    assert_eq!(revocable("cpus:1") + revocable("cpus:1"), revocable("cpus:2"));
    let sum = revocable("cpus:1") + resources("cpus:1");
    assert!(sum.contains(&revocable("cpus:1")) && sum.contains(&resources("cpus:1")));
    assert!(!sum.contains(&revocable("cpus:2")) && !sum.contains(&resources("cpus:2")));
    assert_eq!(sum, resources("cpus:1") + revocable("cpus:1"));
}

#[test]
fn revocable_subtraction() {
    assert!((revocable("cpus:1") - revocable("cpus:1")).is_empty());
    assert_eq!(revocable("cpus:1") - resources("cpus:1"), revocable("cpus:1"));
}

#[test]
fn revocable_contains() {
    let (one, two) = (revocable("cpus:1"), revocable("cpus:1") + revocable("cpus:1"));
    assert!(!one.contains(&two));
    assert!(two.contains(&one) && two.contains(&two));
    let mixed = one.clone() + resources("cpus:1");
    assert!(mixed.contains(&one) && mixed.contains(&resources("cpus:1")));
}

#[test]
fn revocable_filter() {
    let (one, other) = (revocable("cpus:1"), resources("cpus:1"));
    assert_eq!(one.revocable(), one);
    assert!(one.non_revocable().is_empty());
    assert_eq!(other.non_revocable(), other);
    assert!(other.revocable().is_empty());
    let both = one.clone() + &other;
    assert_eq!(both.revocable(), one);
    assert_eq!(both.non_revocable(), other);
}

#[test]
fn revocable_find() {
    let (one, other) = (revocable("cpus:1"), resources("cpus:1"));
    let both = one.clone() + &other;
    assert_eq!(both.find(&one), Some(one.clone()));
    assert_eq!(both.find(&other), Some(other.clone()));
    assert_eq!(one.find(&other), None);
    assert_eq!(other.find(&one), None);
}
