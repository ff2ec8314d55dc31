//! Resources allocated to roles.

use crate::resources;

fn cpus(role: &str) -> muster_resources::Resources {
    resources("cpus:1").allocated_to(role)
}

#[test]
fn allocated_equality() {
    assert_eq!(cpus("role1"), cpus("role1"));
    assert_ne!(cpus("role1"), cpus("role2"));
}

#[test]
fn allocated_contains() {
    let both = cpus("role1") + cpus("role2");
    assert!(both.contains(&cpus("role1")) && both.contains(&cpus("role2")));
    assert!(!both.contains(&resources("cpus:1")));
}

#[test]
fn allocated_addition() {
    let both = cpus("role1") + cpus("role2");
    assert_eq!(both.len(), 2);
    assert_eq!(both.scalar("cpus").to_string(), "2");
    assert_eq!(both.unallocated(), resources("cpus:2"));
}

#[test]
fn allocated_subtraction() {
    assert!((cpus("role1") - cpus("role1")).is_empty());
    assert_eq!(cpus("role1") - cpus("role2"), cpus("role1"));
    assert_eq!(cpus("role2") - cpus("role1"), cpus("role2"));
}

#[test]
fn allocations() {
    let everybody = resources("cpus:1;mem:1024").allocated_to("*");
    let one = resources("cpus:2;mem:2048").allocated_to("role1");
    let two = resources("cpus(role2):3;mem(role2):3096").allocated_to("role2");
    let by_role = (everybody.clone() + &one + &two).allocations();
    assert_eq!(by_role.len(), 3);
    assert_eq!(by_role["*"], everybody);
    assert_eq!(by_role["role1"], one);
    assert_eq!(by_role["role2"], two);
    assert!(everybody.unallocated().iter().all(|resource| resource.allocation().is_none()));
}
