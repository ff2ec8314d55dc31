//! Shared volumes, and how many use them.

use crate::{disk, of, resource, resources, shared_disk};

#[test]
fn count() {
    let shared = shared_disk("100", "role1", "1", "path1");
    assert_eq!(of(shared.clone()).count(&shared), 1);
    assert_eq!((of(shared.clone()) + of(shared.clone())).count(&shared), 2);
    let own = disk("100", "role1", Some("1"), Some("path1"), None);
    assert_eq!(of(own.clone()).count(&own), 1);
    assert_eq!((of(own.clone()) + of(own.clone())).count(&own), 1);
    let cpus = resource("cpus:1");
    assert_eq!(of(cpus.clone()).count(&cpus), 1);
    assert_eq!((of(cpus.clone()) + of(cpus.clone())).count(&cpus), 0);
}

#[test]
fn scalar_addition_shared() {
    let disk = shared_disk("50", "role1", "1", "path");
    let one = resources("cpus:1;mem:5") + of(disk.clone());
    let other = resources("cpus:2;mem:10") + of(disk.clone());
    assert_eq!((one.count(&disk), other.count(&disk)), (1, 1));
    let sum = one.clone() + &other;
    assert_eq!(sum.len(), 3);
    assert_eq!(sum.scalar("cpus").to_string(), "3");
    assert_eq!(sum.scalar("mem").to_string(), "15");
    assert_eq!(sum.scalar("disk").to_string(), "50");
    assert_eq!(sum.count(&disk), 2);
    assert_eq!(sum, other + one);
}

#[test]
fn scalar_subtraction_shared() {
    let disk = shared_disk("8192", "role1", "1", "path");
    let volume = of(disk.clone());
    let two = resources("cpus:40;mem:4096") + &volume + &volume;
    let one = resources("cpus:5;mem:512") + &volume;
    let left = two.clone() - &one;
    assert_eq!(left, resources("cpus:35;mem:3584") + &volume);
    assert_eq!(left.scalar("disk").to_string(), "8192");
    assert!(left.contains(&volume));
    assert_eq!((two.count(&disk), one.count(&disk)), (2, 1));
    let none = two.clone() - &one - &one;
    assert_eq!(none.count(&disk), 0);
    assert!(!none.contains(&volume));
    assert_eq!((one - two).count(&disk), 0);
}

#[test]
fn scalar_shared_compound_expressions() {
    let disk = shared_disk("50", "role1", "1", "path");
    let volume = of(disk.clone());
    let base = resources("cpus:2;mem:10");
    let four = base.clone() + &volume + &volume + &volume + &volume;
    let three = base + &volume + &volume + &volume;
    assert_eq!((four.count(&disk), three.count(&disk)), (4, 3));
    assert_eq!(four.clone() + &four - &four, four);
    assert_eq!(four.clone() + &three - &four, three);
    assert_eq!(three.clone() + &four - &three, four);
    assert_eq!(three.clone() + &four - &four, three);
    assert_eq!(three.clone() - &four + &four, four);
    assert_eq!(four.clone() - &three + &three, four);
    assert!((three.clone() - &four).is_empty());
    assert!(!(four - three).is_empty());
}

#[test]
fn scalar_non_equal_shared_operations() {
    let one = shared_disk("50", "role1", "1", "path1");
    let other = shared_disk("100", "role1", "2", "path2");
    let both = of(one.clone()) + of(other.clone());
    assert_eq!((both.count(&one), both.count(&other)), (1, 1));
    let left = both - of(one.clone());
    assert_eq!((left.count(&one), left.count(&other)), (0, 1));
    let kept = of(one.clone()) - of(other.clone());
    assert_eq!((kept.count(&one), kept.count(&other)), (1, 0));
}

#[test]
fn scalar_shared_and_non_shared_operations() {
    let shared = shared_disk("100", "role1", "1", "path");
    let own = disk("100", "role1", Some("1"), Some("path"), None);
    let with_shared = resources("cpus:1;mem:5") + of(shared.clone());
    let with_own = resources("cpus:1;mem:5") + of(own.clone());
    assert!(!with_own.contains(&with_shared) && !with_shared.contains(&with_own));
    let all = of(shared.clone()) + of(shared.clone()) + of(own.clone());
    assert_eq!(all.len(), 2);
    assert_eq!(all.scalar("disk").to_string(), "200");
    assert_eq!((all.count(&shared), all.count(&own)), (2, 1));
    assert_eq!(of(own.clone()) - of(shared), of(own));
}

#[test]
fn shared_filter() {
    let shared = of(shared_disk("10", "role1", "1", "path"));
    let own = of(disk("20", "role2", None, None, None));
    assert_eq!(shared.shared(), shared);
    assert!(shared.non_shared().is_empty());
    assert!(own.shared().is_empty());
    assert_eq!(own.non_shared(), own);
    let rest = resources("cpus:1;mem:512;disk:1000");
    let all = rest.clone() + &shared + &own;
    assert_eq!(all.shared(), shared);
    assert_eq!(all.non_shared(), rest + own);
}
