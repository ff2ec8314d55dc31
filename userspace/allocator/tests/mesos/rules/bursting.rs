//! More than is promised, as far as limits and others' guarantees let it.

use muster_allocator::{FrameworkCapabilities, FrameworkOptions, Quota};

use crate::cluster::{Cluster, NOTHING, Offer, offer};
use crate::{in_role, multi_role, quota, quota_and_limits, resources, revocable};

fn offered(quota: Quota, has: &str) -> String {
    let mut cluster = Cluster::new();
    cluster.allocator.update_quota("role", quota).unwrap();
    cluster.framework("role");
    cluster.agent(has);
    let offers = cluster.settle();
    let [offer] = &offers[..] else { panic!("{offers:?}") };
    offer.resources.to_string()
}

#[test]
fn a_role_may_have_more_up_to_its_limits() {
    let has = "cpus:8;mem:1024;disk:100;ports:[1-9]";
    for (guarantees, limits, expected) in [
        ("cpus:1", "cpus:3", "cpus:3;mem:1024;disk:100;ports:[1-9]"),
        ("cpus:1", "cpus:1;mem:512", "cpus:1;mem:512;disk:100;ports:[1-9]"),
        ("cpus:1", "disk:0", "cpus:8;mem:1024;ports:[1-9]"),
        ("cpus:1", "", has),
        ("", "cpus:3;disk:50", "cpus:3;mem:1024;disk:50;ports:[1-9]"),
    ] {
        let quota = quota_and_limits(guarantees, limits);
        assert_eq!(offered(quota, has), resources(expected).to_string(), "{guarantees} {limits}");
    }
}

#[test]
fn what_is_promised_comes_whatever_else_is_promised() {
    let mut cluster = Cluster::new();
    // Twice of what there is.
    cluster.allocator.update_quota("role1", quota("cpus:4;mem:400")).unwrap();
    cluster.allocator.update_quota("role2", quota("cpus:4;mem:400")).unwrap();
    let framework = cluster.framework("role1");
    let agent = cluster.agent("cpus:4;mem:400;disk:10");
    // The disk is nobody's.
    let all = offer(&framework, "role1", &agent, "cpus:4;mem:400;disk:10");
    assert_eq!(cluster.settle(), [all]);
}

#[test]
fn more_than_is_promised_does_not_take_what_is_promised_to_others() {
    let mut cluster = Cluster::new();
    cluster.allocator.update_quota("role1", quota_and_limits("cpus:1", "")).unwrap();
    cluster.allocator.update_quota("role2", quota_and_limits("cpus:2;mem:100", "")).unwrap();
    let framework = cluster.framework("role1");
    let agent = cluster.agent("cpus:8;mem:400");
    let most = offer(&framework, "role1", &agent, "cpus:6;mem:300");
    assert_eq!(cluster.settle(), [most]);
    assert_eq!(cluster.batch(), NOTHING);
}

#[test]
fn what_may_be_taken_back_is_beyond_limits() {
    let mut cluster = Cluster::new();
    cluster.allocator.update_quota("role", quota_and_limits("", "cpus:0;mem:0")).unwrap();
    let framework = cluster.framework_with(FrameworkOptions {
        capabilities: FrameworkCapabilities { revocable_resources: true, ..multi_role() },
        ..in_role("role")
    });
    let agent = cluster.agent_of(&(resources("cpus:8;mem:400") + revocable("cpus:4")));
    assert_eq!(cluster.settle(), [Offer::new(&framework, "role", &agent, &revocable("cpus:4"))]);
    let consumed = cluster.allocator.role("role").unwrap().offered_or_consumed;
    assert!(consumed.is_empty(), "{consumed}");
}

#[test]
fn what_may_be_taken_back_is_not_kept_for_guarantees() {
    let mut cluster = Cluster::new();
    cluster.allocator.update_quota("quota-role", quota("cpus:2;mem:100")).unwrap();
    let framework = cluster.framework("role");
    let agent = cluster.agent_of(&(resources("cpus:3;mem:100") + revocable("cpus:4")));
    // Two of the three are kept, though there are seven.
    assert_eq!(cluster.settle(), [offer(&framework, "role", &agent, "cpus:1")]);
}
