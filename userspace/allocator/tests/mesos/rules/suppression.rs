//! Roles in which a framework wants no offers at present.

use muster_allocator::FrameworkOptions;

use crate::cluster::{Cluster, NOTHING, Offer, offer};
use crate::in_role;

const WHOLE: &str = "cpus:2;mem:1024";

/// A framework in two roles that has suppressed some of them.
fn in_both(suppressed: &[&str]) -> FrameworkOptions {
    FrameworkOptions {
        roles: vec!["role1".to_owned(), "role2".to_owned()],
        suppressed: suppressed.iter().map(ToString::to_string).collect(),
        ..in_role("role1")
    }
}

fn add(suppressed: &[&str]) -> (Cluster, [Offer; 2]) {
    let mut cluster = Cluster::new();
    let framework = cluster.framework_with(in_both(suppressed));
    let agent = cluster.agent(WHOLE);
    (cluster, ["role1", "role2"].map(|role| offer(&framework, role, &agent, WHOLE)))
}

#[test]
fn roles_may_be_suppressed_from_the_start() {
    let (mut cluster, [_, in_role2]) = add(&["role1"]);
    assert_eq!(cluster.settle(), [in_role2]);
    let (mut cluster, _) = add(&["role1", "role2"]);
    assert_eq!(cluster.settle(), NOTHING);
}

#[test]
fn suppressed_roles_stay_so_when_a_framework_comes_back() {
    let (mut cluster, [_, in_role2]) = add(&["role1"]);
    cluster.allocator.deactivate_framework("framework1").unwrap();
    assert_eq!(cluster.settle(), NOTHING);
    cluster.allocator.activate_framework("framework1").unwrap();
    assert_eq!(cluster.settle(), [in_role2]);
}

#[test]
fn an_update_suppresses_and_revives() {
    let (mut cluster, [in_role1, _]) = add(&["role1"]);
    cluster.allocator.update_framework("framework1", in_both(&["role1", "role2"])).unwrap();
    assert_eq!(cluster.settle(), NOTHING);
    cluster.allocator.update_framework("framework1", in_both(&["role2"])).unwrap();
    assert_eq!(cluster.batch(), [&in_role1]);
    // What it refused is forgotten in roles that are suppressed no more, and only there.
    cluster.decline(&in_role1, std::time::Duration::from_hours(1));
    cluster.allocator.update_framework("framework1", in_both(&["role2"])).unwrap();
    assert_eq!(cluster.batch(), NOTHING);
    cluster.allocator.update_framework("framework1", in_both(&["role1", "role2"])).unwrap();
    cluster.allocator.update_framework("framework1", in_both(&["role2"])).unwrap();
    assert_eq!(cluster.batch(), [in_role1]);
}

#[test]
fn suppressing_no_role_is_suppressing_all() {
    let (mut cluster, [in_role1, _]) = add(&[]);
    cluster.allocator.suppress("framework1", &[]).unwrap();
    assert_eq!(cluster.settle(), NOTHING);
    cluster.allocator.revive("framework1", &["role1".to_owned()]).unwrap();
    assert_eq!(cluster.settle(), [in_role1]);
}
