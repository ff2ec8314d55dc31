//! What is promised comes first.

use std::time::Duration;

use muster_allocator::Quota;

use crate::cluster::{Cluster, INTERVAL, NOTHING, Offer, offer};
use crate::{quota, quota_and_limits, resources};

const AGENT: &str = "cpus:1;mem:512;disk:0";

/// A framework in a role with this quota, and one in a role without.
fn with_and_without(cluster: &mut Cluster, amounts: &str) -> [String; 2] {
    cluster.allocator.update_quota("quota-role", quota(amounts)).unwrap();
    ["quota-role", "no-quota-role"].map(|role| cluster.framework(role))
}

#[test]
fn quota_provides_guarantee() {
    let mut cluster = Cluster::new();
    let [framework1, _] = with_and_without(&mut cluster, "cpus:2;mem:1024");
    assert_eq!(cluster.settle(), NOTHING);
    let agent1 = cluster.agent(AGENT);
    assert_eq!(cluster.settle(), [offer(&framework1, "quota-role", &agent1, AGENT)]);
    let agent2 = cluster.agent(AGENT);
    let second = offer(&framework1, "quota-role", &agent2, AGENT);
    assert_eq!(cluster.settle(), [&second]);
    // Meanwhile the other framework may not have it.
    cluster.decline(&second, 2 * INTERVAL);
    assert_eq!(cluster.batch(), NOTHING);
    assert_eq!(cluster.batch(), [second]);
}

#[test]
fn quota_provides_limit() {
    let mut cluster = Cluster::new();
    let framework1 = cluster.framework("*");
    let update = |cluster: &mut Cluster, limits: &str| {
        cluster.allocator.update_quota("*", quota_and_limits("", limits)).unwrap();
    };
    update(&mut cluster, "cpus:0;mem:0;disk:0");
    let all = "cpus:2;mem:1024;disk:1024";
    let agent1 = cluster.agent(all);
    assert_eq!(cluster.settle(), NOTHING);
    let framework2 = cluster.framework("no-quota-role");
    assert_eq!(cluster.settle(), [offer(&framework2, "no-quota-role", &agent1, all)]);
    let half = "cpus:1;mem:512;disk:512";
    update(&mut cluster, half);
    let agent2 = cluster.agent(all);
    let halves = [
        offer(&framework1, "*", &agent2, half),
        offer(&framework2, "no-quota-role", &agent2, half),
    ];
    assert_eq!(cluster.settle(), halves);
}

#[test]
fn remove_quota() {
    let mut cluster = Cluster::new();
    let [framework1, framework2] = with_and_without(&mut cluster, "cpus:2;mem:1024");
    let agent1 = cluster.used_agent(AGENT, &framework1, "quota-role", AGENT);
    cluster.used_agent(AGENT, &framework1, "quota-role", AGENT);
    let metric = |cluster: &Cluster, name: &str| {
        cluster.metric(&format!("quota/roles/quota-role/resources/{name}/offered_or_allocated"))
    };
    assert_eq!(metric(&cluster, "cpus"), Some(2.0));
    assert_eq!(metric(&cluster, "mem"), Some(1024.0));
    cluster.allocator.update_quota("quota-role", Quota::default()).unwrap();
    assert_eq!(cluster.settle(), NOTHING);
    cluster.release(&offer(&framework1, "quota-role", &agent1, AGENT));
    assert_eq!(cluster.batch(), [offer(&framework2, "no-quota-role", &agent1, AGENT)]);
    assert_eq!([metric(&cluster, "cpus"), metric(&cluster, "mem")], [None; 2]);
}

#[test]
fn multiple_frameworks_in_role_with_quota() {
    let mut cluster = Cluster::new();
    let [framework1a, _] = with_and_without(&mut cluster, "cpus:4;mem:2048");
    let agent1 = cluster.agent(AGENT);
    assert_eq!(cluster.settle(), [offer(&framework1a, "quota-role", &agent1, AGENT)]);
    let framework1b = cluster.framework("quota-role");
    let agent2 = cluster.agent("cpus:2;mem:1024;disk:0");
    let whole = offer(&framework1b, "quota-role", &agent2, "cpus:2;mem:1024");
    assert_eq!(cluster.settle(), [whole]);
    let agent3 = cluster.agent(AGENT);
    let third = offer(&framework1a, "quota-role", &agent3, AGENT);
    assert_eq!(cluster.settle(), [&third]);
    cluster.decline(&third, Duration::from_secs(5));
    assert_eq!(cluster.batch(), [Offer { framework: framework1b, ..third }]);
}

#[test]
fn drf_with_quota() {
    let mut cluster = Cluster::new();
    let [framework1, framework2] = with_and_without(&mut cluster, "cpus:0.25;mem:128");
    assert_eq!(cluster.settle(), NOTHING);
    let metric = |cluster: &Cluster, name: &str| {
        cluster.metric(&format!("quota/roles/quota-role/resources/{name}"))
    };
    assert_eq!(metric(&cluster, "cpus/guarantee"), Some(0.25));
    assert_eq!(metric(&cluster, "cpus/limit"), Some(0.25));
    assert_eq!(metric(&cluster, "mem/guarantee"), Some(128.0));
    assert_eq!(metric(&cluster, "mem/limit"), Some(128.0));
    let agent1 = cluster.used_agent(AGENT, &framework1, "quota-role", "cpus:0.25;mem:128");
    let rest = offer(&framework2, "no-quota-role", &agent1, "cpus:0.75;mem:384");
    assert_eq!(cluster.settle(), [rest]);
    assert_eq!(metric(&cluster, "cpus/offered_or_allocated"), Some(0.25));
    assert_eq!(metric(&cluster, "mem/offered_or_allocated"), Some(128.0));
    assert_eq!(metric(&cluster, "disk/offered_or_allocated"), None);
    let agent2 = cluster.agent(AGENT);
    assert_eq!(cluster.settle(), [offer(&framework2, "no-quota-role", &agent2, AGENT)]);
}

#[test]
fn quota_against_starvation() {
    let mut cluster = Cluster::new();
    let [framework1, framework2] =
        ["quota-role", "no-quota-role"].map(|role| cluster.framework(role));
    cluster.used_agent(AGENT, &framework1, "quota-role", AGENT);
    let agent2 = cluster.agent(AGENT);
    let round = offer(&framework2, "no-quota-role", &agent2, AGENT);
    assert_eq!(cluster.settle(), [&round]);
    // It has less, and comes first each time.
    cluster.decline(&round, Duration::ZERO);
    assert_eq!(cluster.batch(), [&round]);
    cluster.decline(&round, Duration::ZERO);
    cluster.allocator.update_quota("quota-role", quota("cpus:2;mem:1024")).unwrap();
    assert_eq!(cluster.settle(), NOTHING);
    assert_eq!(cluster.batch(), [offer(&framework1, "quota-role", &agent2, AGENT)]);
}

#[test]
fn multi_quota_absent_frameworks() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent("cpus:2;mem:2048;disk:0");
    cluster.allocator.update_quota("quota-role-1", quota("cpus:1;mem:1024")).unwrap();
    cluster.allocator.update_quota("quota-role-2", quota("cpus:2;mem:2048")).unwrap();
    // What is promised to a role without frameworks does not keep others from theirs.
    let framework = cluster.framework("quota-role-2");
    let all = offer(&framework, "quota-role-2", &agent, "cpus:2;mem:2048");
    assert_eq!(cluster.settle(), [all]);
}

#[test]
fn multi_quota_with_frameworks() {
    let mut cluster = Cluster::new();
    cluster.allocator.update_quota("quota-role-1", quota("cpus:1;mem:200")).unwrap();
    cluster.allocator.update_quota("quota-role-2", quota("cpus:2;mem:2000")).unwrap();
    let framework1 = cluster.framework("quota-role-1");
    let framework2 = cluster.framework("quota-role-2");
    let whole = "cpus:1;mem:1024;disk:0";
    cluster.used_agent(whole, &framework1, "quota-role-1", whole);
    cluster.used_agent(whole, &framework2, "quota-role-2", whole);
    assert_eq!(cluster.settle(), NOTHING);
    let agent3 = cluster.agent("cpus:2;mem:2048");
    let lacking = resources("cpus:2;mem:2000") - resources(whole);
    let expected = Offer::new(&framework2, "quota-role-2", &agent3, &lacking);
    assert_eq!(cluster.settle(), [expected]);
}
