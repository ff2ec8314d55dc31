//! Who comes first.

use std::collections::BTreeMap;

use muster_allocator::{AgentOptions, FrameworkCapabilities, FrameworkOptions, Options};

use crate::cluster::{Cluster, Offer, offer, sums};
use crate::{in_role, multi_role, resources};

/// Agents come one after the other, and each is offered whole: what it has, who comes before
/// it, and who gets it in which role.
type Step<'a> = (&'a str, &'a [&'a str], &'a str, &'a str);

fn play(cluster: &mut Cluster, steps: &[Step<'_>]) {
    for (index, (has, joins, framework, role)) in steps.iter().enumerate() {
        for role in *joins {
            cluster.framework(role);
        }
        let agent = cluster.agent(has);
        let expected = offer(framework, role, &agent, has);
        assert_eq!(cluster.settle(), [expected], "step {index}");
    }
}

#[test]
fn unreserved_drf() {
    play(
        &mut Cluster::new(),
        &[
            ("cpus:2;mem:1024;disk:0", &["role1"], "framework1", "role1"),
            ("cpus:1;mem:512;disk:0", &["role2"], "framework2", "role2"),
            // role1 has 0.33 and role2 0.16.
            ("cpus:3;mem:2048;disk:0", &[], "framework2", "role2"),
            // role1 has 0.2 and role2 0.4; within role1, framework3 has nothing.
            ("cpus:4;mem:4096;disk:0", &["role1"], "framework3", "role1"),
            // role1 has 0.63 and role2 0.36, though framework4 of role1 has nothing.
            ("cpus:1;mem:512;disk:0", &["role1"], "framework2", "role2"),
        ],
    );
}

#[test]
fn reserved_drf() {
    play(
        &mut Cluster::new(),
        &[
            (
                "cpus:1;mem:512;disk:0;cpus(role1):100;mem(role1):1024;disk(role1):0",
                &["role1"],
                "framework1",
                "role1",
            ),
            ("cpus:2;mem:512;disk:0", &["role2"], "framework2", "role2"),
            // What is reserved counts: role1 has more.
            ("cpus:2;mem:512;disk:0", &[], "framework2", "role2"),
            // It is shared out fairly within the role.
            ("cpus(role1):2;mem(role1):1024;disk(role1):0", &["role1"], "framework3", "role1"),
        ],
    );
}

#[test]
fn drf_with_fairness_exclusion() {
    let mut cluster =
        Cluster::with(Options { excluded: ["gpus".into()].into(), ..Options::default() });
    cluster.framework_with(FrameworkOptions {
        capabilities: FrameworkCapabilities { gpu_resources: true, ..multi_role() },
        ..in_role("role1")
    });
    play(
        &mut cluster,
        &[
            ("cpus:2;mem:1024;disk:0;gpus:1", &[], "framework1", "role1"),
            ("cpus:1;mem:512;disk:0", &["role2"], "framework2", "role2"),
            ("cpus:3;mem:2048;disk:0", &[], "framework2", "role2"),
            // Though role1 has the only GPU.
            ("cpus:4;mem:4096;disk:0", &["role1"], "framework3", "role1"),
            ("cpus:1;mem:512;disk:0", &["role1"], "framework2", "role2"),
        ],
    );
}

#[test]
fn nested_role_drf() {
    play(
        &mut Cluster::new(),
        &[
            ("cpus:2;mem:1024;disk:0", &["a/b"], "framework1", "a/b"),
            // All of a has 0.67, all of d has nothing.
            ("cpus:1;mem:512;disk:0", &["a/c", "d/e"], "framework3", "d/e"),
            // All of a has 0.4, all of d 0.2: a/c has nothing, but does not come first.
            ("cpus:2;mem:1024;disk:0", &["d/f"], "framework4", "d/f"),
        ],
    );
}

#[test]
fn coarse_grained() {
    let mut cluster = Cluster::new();
    let half = "cpus:2;mem:1024;disk:0";
    let agents = [cluster.agent(half), cluster.agent(half)];
    cluster.settle();
    cluster.framework("role1");
    let both = agents.map(|agent| offer("framework1", "role1", &agent, half));
    assert_eq!(cluster.settle(), both);
    for offer in &both {
        cluster.release(offer);
    }
    cluster.framework("role2");
    let offers = cluster.settle();
    assert_eq!(offers.len(), 2);
    let by_framework = sums(&offers, |offer| &offer.framework);
    assert_eq!(by_framework["framework1"], resources(half));
    assert_eq!(by_framework["framework2"], resources(half));
}

#[test]
fn same_share_fairness() {
    let mut cluster = Cluster::new();
    cluster.framework("*");
    cluster.framework("*");
    cluster.agent("cpus:2;mem:1024;disk:0");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut offers = cluster.settle();
    for _ in 0..10 {
        let [offer] = &offers[..] else { panic!("{offers:?}") };
        assert_eq!(offer.resources, resources("cpus:2;mem:1024"));
        *counts.entry(offer.framework.clone()).or_default() += 1;
        cluster.release(offer);
        offers = cluster.batch();
    }
    assert_eq!(counts, [("framework1".to_owned(), 5), ("framework2".to_owned(), 5)].into());
}

#[test]
fn no_double_accounting() {
    let mut cluster = Cluster::new();
    let whole = resources("cpus:1;mem:0;disk:0");
    let of_agent = || AgentOptions { total: whole.clone(), ..AgentOptions::default() };
    let used = |id: &str, role: &str| [(id.to_owned(), whole.clone().allocated_to(role))].into();
    let allocator = &mut cluster.allocator;
    // The first framework comes before its agent, the second after it.
    allocator.add_framework("framework1", in_role("ROLE1"), used("agent1", "ROLE1")).unwrap();
    allocator.add_agent("agent1", of_agent(), used("framework1", "ROLE1")).unwrap();
    allocator.add_agent("agent2", of_agent(), used("framework2", "ROLE2")).unwrap();
    allocator.add_framework("framework2", in_role("ROLE2"), used("agent2", "ROLE2")).unwrap();
    cluster.settle();
    assert_eq!(cluster.metric("roles/ROLE1/shares/dominant"), Some(0.5));
    assert_eq!(cluster.metric("roles/ROLE2/shares/dominant"), Some(0.5));
}

#[test]
fn update_weight() {
    let mut cluster = Cluster::new();
    let single = "cpus:2;mem:1024";
    for _ in 0..6 {
        cluster.agent(single);
    }
    cluster.settle();
    cluster.framework("role1");
    let all = cluster.settle();
    assert_eq!(all.len(), 6);
    cluster.framework("role2");
    cluster.settle();
    for offer in &all {
        cluster.release(offer);
    }
    let check = |offers: &[Offer], expected: &[(&str, usize)]| {
        assert_eq!(offers.len(), 6);
        let by_role = sums(offers, |offer| &offer.role);
        assert_eq!(by_role.len(), expected.len());
        for (role, agents) in expected {
            let sum = std::iter::repeat_n(resources(single), *agents).reduce(|a, b| a + b);
            assert_eq!(Some(&by_role[*role]), sum.as_ref(), "{role}");
        }
    };
    let offers = cluster.batch();
    check(&offers, &[("role1", 3), ("role2", 3)]);
    for offer in &offers {
        cluster.release(offer);
    }
    cluster.allocator.update_weight("role2", 2.0).unwrap();
    let offers = cluster.batch();
    check(&offers, &[("role1", 2), ("role2", 4)]);
    for offer in &offers {
        cluster.release(offer);
    }
    cluster.allocator.update_weight("role3", 3.0).unwrap();
    assert!(!cluster.allocator.has_candidates(), "a weight is no reason to allocate");
    cluster.framework("role3");
    check(&cluster.settle(), &[("role1", 1), ("role2", 2), ("role3", 3)]);
}
