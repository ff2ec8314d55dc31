//! Refused offers.

use std::time::Duration;

use muster_allocator::{AgentOptions, FrameworkOptions, Options};
use muster_api::mesos::{Attribute, value};

use crate::cluster::{Cluster, INTERVAL, NOTHING, offer};
use crate::{in_role, resources};

const DAY: Duration = Duration::from_hours(24);

#[test]
fn offer_filter() {
    let mut cluster = Cluster::new();
    let framework = cluster.framework("role");
    let agent = cluster.agent("cpus:1;mem:512;disk:0");
    let all = offer(&framework, "role", &agent, "cpus:1;mem:512");
    assert_eq!(cluster.settle(), [&all]);
    cluster.decline(&all, 2 * INTERVAL);
    assert_eq!(cluster.metric("offer_filters/roles/role/active"), Some(1.0));
    assert_eq!(cluster.batch(), NOTHING);
    assert_eq!(cluster.batch(), [all]);
    assert_eq!(cluster.metric("offer_filters/roles/role/active"), Some(0.0));
}

#[test]
fn small_offer_filter_timeout() {
    let interval = Duration::from_mins(1);
    let mut cluster =
        Cluster::with(Options { allocation_interval: interval, ..Options::default() });
    let [framework1, framework2] = [cluster.framework("role"), cluster.framework("role")];
    let all = "cpus:1;mem:512;disk:0";
    cluster.used_agent(all, &framework1, "role", all);
    assert_eq!(cluster.settle(), NOTHING);
    let agent2 = cluster.agent(all);
    let to_framework2 = offer(&framework2, "role", &agent2, all);
    assert_eq!(cluster.settle(), [&to_framework2]);
    let refuse = Duration::from_secs(1);
    cluster.decline(&to_framework2, refuse);
    // The time is over, but there has been no cycle over all agents since.
    cluster.now += refuse;
    let to_framework1 = offer(&framework1, "role", &agent2, all);
    assert_eq!(cluster.batch(), [&to_framework1]);
    cluster.release(&to_framework1);
    assert_eq!(cluster.batch(), [to_framework2]);
}

#[test]
fn deactivate_and_reactivate_framework() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent("cpus:2;mem:1024;disk:0");
    let framework = cluster.framework("role1");
    let all = offer(&framework, "role1", &agent, "cpus:2;mem:1024");
    assert_eq!(cluster.settle(), [&all]);
    cluster.release(&all);
    cluster.allocator.suppress(&framework, &[]).unwrap();
    cluster.allocator.deactivate_framework(&framework).unwrap();
    assert_eq!(cluster.batch(), NOTHING);
    cluster.allocator.activate_framework(&framework).unwrap();
    cluster.allocator.revive(&framework, &[]).unwrap();
    assert_eq!(cluster.settle(), [all]);
}

#[test]
fn suppress_and_revive_offers() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent("cpus:2;mem:1024;disk:0");
    let framework = cluster.framework("role1");
    let all = offer(&framework, "role1", &agent, "cpus:2;mem:1024");
    assert_eq!(cluster.settle(), [&all]);
    // It has not suppressed anything yet.
    cluster.allocator.revive(&framework, &[]).unwrap();
    assert_eq!(cluster.settle(), NOTHING);
    cluster.release(&all);
    cluster.allocator.suppress(&framework, &[]).unwrap();
    assert_eq!(cluster.batch(), NOTHING);
    cluster.allocator.revive(&framework, &[]).unwrap();
    assert_eq!(cluster.settle(), [all]);
}

#[test]
fn revive_offers() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent("cpus:2;mem:1024;disk:0");
    let framework = cluster.framework("role1");
    let all = offer(&framework, "role1", &agent, "cpus:2;mem:1024");
    assert_eq!(cluster.settle(), [&all]);
    cluster.decline(&all, Duration::from_secs(1000));
    assert_eq!(cluster.batch(), NOTHING);
    cluster.allocator.revive(&framework, &[]).unwrap();
    assert_eq!(cluster.settle(), [all]);
}

#[test]
fn suppress_and_revive_offers_with_multi_role() {
    let mut cluster = Cluster::new();
    let roles = vec!["role1".to_owned(), "role2".to_owned()];
    let framework = cluster.framework_with(FrameworkOptions { roles, ..in_role("role1") });
    cluster.allocator.suppress(&framework, &["role1".to_owned()]).unwrap();
    let agent = cluster.agent("cpus:2;mem:1024;disk:0");
    let [role1, role2] =
        ["role1", "role2"].map(|role| offer(&framework, role, &agent, "cpus:2;mem:1024"));
    assert_eq!(cluster.settle(), [&role2]);
    cluster.decline(&role2, DAY);
    assert_eq!(cluster.batch(), NOTHING);
    // What it refused in role2 stays refused.
    cluster.allocator.revive(&framework, &["role1".to_owned()]).unwrap();
    assert_eq!(cluster.settle(), [&role1]);
    cluster.decline(&role1, DAY);
    assert_eq!(cluster.batch(), NOTHING);
}

#[test]
fn remove_filters() {
    let mut cluster = Cluster::new();
    let framework = cluster.framework("role");
    let agent = cluster.agent("cpus:1;mem:512;disk:0");
    let all = offer(&framework, "role", &agent, "cpus:1;mem:512");
    assert_eq!(cluster.settle(), [&all]);
    cluster.decline(&all, 2 * INTERVAL);
    assert_eq!(cluster.batch(), NOTHING);
    let attribute = |name: &str, text: &str| {
        let text = Some(value::Text { value: text.to_owned() });
        let mut attribute = Attribute { name: name.to_owned(), text, ..Attribute::default() };
        attribute.set_type(value::Type::Text);
        attribute
    };
    let options = AgentOptions {
        hostname: agent.clone(),
        total: resources("cpus:1;mem:512"),
        attributes: vec![attribute("foo", "bar"), attribute("baz", "quux")],
        ..AgentOptions::default()
    };
    cluster.allocator.update_agent(&agent, options).unwrap();
    assert_eq!(cluster.settle(), [all]);
}
