//! Sets of words.

use crate::resources;

#[test]
fn set_equals() {
    assert_eq!(resources("disks:{sda1}"), resources("disks:{ sda1 }"));
}

#[test]
fn set_subset() {
    let (some, all) = (resources("disks:{sda1,sda2}"), resources("disks:{sda1,sda3,sda4,sda2}"));
    assert!(all.contains(&some));
    assert!(!some.contains(&all));
}

#[test]
fn set_addition() {
    let sum = resources("disks:{sda1,sda2,sda3}") + resources("disks:{sda1,sda2,sda3,sda4}");
    assert_eq!(sum.items("disks").len(), 4);
}

#[test]
fn set_subtraction() {
    let left = resources("disks:{sda1,sda2,sda3,sda4}") - resources("disks:{sda2,sda3,sda4}");
    assert_eq!(left, resources("disks:{sda1}"));
}
