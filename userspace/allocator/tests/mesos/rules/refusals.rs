//! What refusals are about, and what ends them.

use std::time::Duration;

use muster_allocator::{AgentCapabilities, AgentOptions, FrameworkOptions};
use muster_api::mesos::Attribute;

use crate::cluster::{Cluster, INTERVAL, NOTHING, Offer, offer};
use crate::{in_role, resources};

const WHOLE: &str = "cpus:2;mem:1024";
const DAY: Duration = Duration::from_hours(24);

/// A framework that has declined its agent for so long.
fn declined(refuse: Duration) -> (Cluster, Offer) {
    let mut cluster = Cluster::new();
    let framework = cluster.framework("role");
    let agent = cluster.agent(WHOLE);
    let all = offer(&framework, "role", &agent, WHOLE);
    assert_eq!(cluster.settle(), [&all]);
    cluster.decline(&all, refuse);
    (cluster, all)
}

#[test]
fn what_is_in_the_refused_is_refused() {
    let (mut cluster, all) = declined(DAY);
    // Less than it refused.
    let half = resources("cpus:1;mem:512");
    cluster.set_total(&all.agent, &half);
    assert_eq!(cluster.batch(), NOTHING);
    // More of one thing, and less of another.
    cluster.set_total(&all.agent, &resources("cpus:3;mem:512"));
    let more = offer(&all.framework, "role", &all.agent, "cpus:3;mem:512");
    assert_eq!(cluster.batch(), [more]);
}

#[test]
fn a_refusal_of_no_time_is_none() {
    let (mut cluster, all) = declined(Duration::ZERO);
    assert_eq!(cluster.metric("offer_filters/roles/role/active"), Some(0.0));
    assert_eq!(cluster.batch(), [all]);
}

#[test]
fn a_refusal_lasts_for_a_year_at_most() {
    let (mut cluster, all) = declined(10_000 * DAY);
    cluster.now = 364 * DAY + Duration::from_secs(24 * 60 * 60 - 2);
    assert_eq!(cluster.batch(), NOTHING);
    assert_eq!(cluster.batch(), [all]);
}

#[test]
fn a_short_refusal_outlasts_the_next_cycle_over_all_agents() {
    let (mut cluster, all) = declined(INTERVAL);
    // Cycles over some agents are no reason to end it.
    for _ in 0..3 {
        cluster.agent("mem:1");
        assert_eq!(cluster.settle(), NOTHING);
    }
    assert_eq!(cluster.batch(), NOTHING);
    assert_eq!(cluster.batch(), [all]);
}

#[test]
fn a_refusal_ends_when_what_it_is_about_changes() {
    let changes: [fn(&mut Cluster, &Offer); 5] = [
        |cluster, all| {
            cluster.allocator.revive(&all.framework, std::slice::from_ref(&all.role)).unwrap();
        },
        |cluster, all| {
            cluster.allocator.deactivate_framework(&all.framework).unwrap();
            cluster.allocator.activate_framework(&all.framework).unwrap();
        },
        |cluster, all| {
            let total = resources(WHOLE);
            let options = AgentOptions { total, ..AgentOptions::default() };
            cluster.allocator.remove_agent(&all.agent).unwrap();
            cluster.allocator.add_agent(&all.agent, options, [].into()).unwrap();
        },
        |cluster, all| {
            let attribute = Attribute { name: "rack".to_owned(), ..Attribute::default() };
            let options = AgentOptions {
                total: resources(WHOLE),
                attributes: vec![attribute],
                ..AgentOptions::default()
            };
            cluster.allocator.update_agent(&all.agent, options).unwrap();
        },
        |cluster, all| {
            cluster.allocator.update_framework(&all.framework, in_role("other")).unwrap();
            cluster.allocator.update_framework(&all.framework, in_role("role")).unwrap();
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let (mut cluster, all) = declined(DAY);
        assert_eq!(cluster.batch(), NOTHING);
        change(&mut cluster, &all);
        assert_eq!(cluster.batch(), [all], "change {index}");
    }
}

#[test]
fn a_refusal_outlasts_other_changes() {
    let (mut cluster, all) = declined(DAY);
    let both = vec!["role".to_owned(), "other".to_owned()];
    let in_both = FrameworkOptions { roles: both, ..in_role("role") };
    cluster.allocator.update_framework(&all.framework, in_both).unwrap();
    cluster.allocator.suppress(&all.framework, &["other".to_owned()]).unwrap();
    cluster.allocator.update_weight("role", 3.0).unwrap();
    let options = AgentOptions {
        hostname: "renamed".to_owned(),
        total: resources(WHOLE),
        capabilities: AgentCapabilities {
            reservation_refinement: false,
            ..AgentCapabilities::default()
        },
        ..AgentOptions::default()
    };
    cluster.allocator.update_agent(&all.agent, options).unwrap();
    cluster.allocator.deactivate_agent(&all.agent).unwrap();
    cluster.allocator.activate_agent(&all.agent).unwrap();
    assert_eq!(cluster.batch(), NOTHING);
    // It is of this role and this agent only.
    cluster.allocator.revive(&all.framework, &["other".to_owned()]).unwrap();
    let in_other = Offer { role: "other".to_owned(), ..all.clone() };
    assert_eq!(cluster.settle(), [in_other]);
    let agent2 = cluster.agent(WHOLE);
    assert_eq!(cluster.settle(), [Offer { agent: agent2, ..all }]);
}
