//! What frameworks and agents have to know.

use muster_allocator::{
    AgentCapabilities, AgentOptions, Domain, FrameworkCapabilities, FrameworkOptions, Options,
};
use muster_resources::{Reservation, Resources};

use crate::cluster::{Cluster, NOTHING, Offer, offer};
use crate::{in_role, multi_role, reserved, resources, revocable, shared_volume};

const GPU: &str = "cpus:2;mem:1024;gpus:1";

/// What a framework with these capabilities is offered of an agent.
fn offered(
    options: Options,
    role: &str,
    capabilities: FrameworkCapabilities,
    agent: AgentOptions,
) -> Resources {
    let mut cluster = Cluster::with(options);
    cluster.framework_with(FrameworkOptions { capabilities, ..in_role(role) });
    cluster.agent_with(agent);
    cluster.settle().into_iter().fold(Resources::default(), |sum, offer| sum + offer.resources)
}

fn with_total(total: Resources) -> AgentOptions {
    AgentOptions { total, ..AgentOptions::default() }
}

#[test]
fn agents_with_gpus_are_for_frameworks_that_know_them() {
    let agent = || with_total(resources(GPU));
    let knows = FrameworkCapabilities { gpu_resources: true, ..multi_role() };
    let everybody = || Options { filter_gpu_resources: false, ..Options::default() };
    assert!(offered(Options::default(), "role", multi_role(), agent()).is_empty());
    assert_eq!(offered(Options::default(), "role", knows, agent()), resources(GPU));
    assert_eq!(offered(everybody(), "role", multi_role(), agent()), resources(GPU));
}

#[test]
fn agents_of_other_regions_are_for_frameworks_that_know_them() {
    let options = || Options { region: Some("near".to_owned()), ..Options::default() };
    let knows = FrameworkCapabilities { region_aware: true, ..multi_role() };
    let total = resources("cpus:2;mem:1024");
    for (region, is_far) in [(None, false), (Some("near"), false), (Some("far"), true)] {
        let agent = || AgentOptions {
            domain: region.map(|region| Domain { region: region.to_owned(), zone: "z".to_owned() }),
            ..with_total(total.clone())
        };
        assert_eq!(offered(options(), "role", multi_role(), agent()).is_empty(), is_far);
        assert_eq!(offered(options(), "role", knows, agent()), total);
    }
}

#[test]
fn old_agents_are_for_old_frameworks_of_old_roles() {
    let total = resources("cpus:2;mem:1024");
    let old = FrameworkCapabilities::default();
    for (capabilities, role, framework, is_offered) in [
        (AgentCapabilities::NONE, "role", old, true),
        (AgentCapabilities::NONE, "role", multi_role(), false),
        (AgentCapabilities::NONE, "a/b", old, false),
        (
            AgentCapabilities { hierarchical_role: false, ..AgentCapabilities::default() },
            "role",
            multi_role(),
            true,
        ),
        (
            AgentCapabilities { hierarchical_role: false, ..AgentCapabilities::default() },
            "a/b",
            multi_role(),
            false,
        ),
    ] {
        let agent = AgentOptions { capabilities, ..with_total(total.clone()) };
        let offered = offered(Options::default(), role, framework, agent);
        assert_eq!(!offered.is_empty(), is_offered, "{capabilities:?} {role}");
    }
}

#[test]
fn what_a_framework_does_not_know_is_left_out() {
    let plain = resources("cpus:2;mem:1024");
    let shared: Resources = shared_volume(10, "id1", &Reservation::fixed("a")).into();
    let refined = reserved("mem:8", &Reservation::fixed("a"))
        .push_reservation(&Reservation::dynamic("a/b"))
        .unwrap();
    let all = plain.clone() + revocable("cpus:4") + &shared + &refined;
    let offered = |knows| offered(Options::default(), "a/b", knows, with_total(all.clone()));
    assert_eq!(offered(multi_role()), plain);
    let knows = FrameworkCapabilities { revocable_resources: true, ..multi_role() };
    assert_eq!(offered(knows), plain.clone() + revocable("cpus:4"));
    let knows = FrameworkCapabilities { shared_resources: true, ..multi_role() };
    assert_eq!(offered(knows), plain.clone() + &shared);
    let knows = FrameworkCapabilities { reservation_refinement: true, ..multi_role() };
    assert_eq!(offered(knows), plain + &refined);
    assert_eq!(offered(FrameworkCapabilities::ALL), all);
}

#[test]
fn what_is_shared_goes_to_one_framework_in_each_cycle() {
    let mut cluster = Cluster::new();
    let shared: Resources = shared_volume(50, "id1", &Reservation::fixed("role")).into();
    for _ in 0..2 {
        cluster.framework_with(FrameworkOptions {
            capabilities: FrameworkCapabilities { shared_resources: true, ..multi_role() },
            min_allocatable: [("role".to_owned(), Vec::new())].into(),
            ..in_role("role")
        });
    }
    let agent = cluster.agent_of(&shared);
    let to = |framework: &str| Offer::new(framework, "role", &agent, &shared);
    assert_eq!(cluster.settle(), [to("framework1")]);
    // It has the same share in the end, and has been offered something more often.
    assert_eq!(cluster.batch(), [to("framework2")]);
    assert_eq!(cluster.batch(), [to("framework1")]);
}

#[test]
fn agents_out_of_service_are_not_offered() {
    let mut cluster = Cluster::new();
    let framework = cluster.framework("role");
    let agent = cluster.agent("cpus:2;mem:1024");
    cluster.allocator.deactivate_agent(&agent).unwrap();
    assert_eq!(cluster.settle(), NOTHING);
    assert_eq!(cluster.batch(), NOTHING);
    cluster.allocator.activate_agent(&agent).unwrap();
    assert_eq!(cluster.batch(), [offer(&framework, "role", &agent, "cpus:2;mem:1024")]);
}
