//! What roles use, and which there are. Named after Mesos' `RoleTest`.

use muster_api::mesos::WeightInfo;
use muster_api::mesos::scheduler::event;
use muster_master::core::Change;

use crate::quotas::{config, update};
use crate::world::*;

fn known(world: &World) -> Vec<String> {
    world.master.known_roles().into_iter().collect()
}

#[test]
fn bad_register() {
    let mut world = World::with(|options| options.roles = Some(["foo".to_owned()].into()));
    let outputs = world.call(10, subscribe(in_role("f", "bar"), None));
    let error = events(&outputs, 10).next().unwrap();
    assert_eq!(error.r#type(), event::Type::Error);
    let message = &error.error.as_ref().unwrap().message;
    assert!(message.contains("\"bar\" is not one of --roles"), "{message}");
    world.described(11, in_role("f", "foo"));
    world.described(12, in_role("g", "*"));
}

#[test]
fn endpoint_empty() {
    assert_eq!(known(&World::new()), Vec::<String>::new());
}

#[test]
fn endpoint_with_whitelist_no_frameworks() {
    let world = World::with(|options| options.roles = Some(["a/b".to_owned()].into()));
    assert_eq!(known(&world), ["*", "a", "a/b"]);
}

#[test]
fn endpoint_implicit_roles() {
    let mut world = World::new();
    let info = WeightInfo { weight: 1.0, role: Some("weighed/much".into()) };
    world.change(Change::Weights(vec![info])).0.unwrap();
    world.change(update(vec![config("promised", "cpus:1", "")], true)).0.unwrap();
    world.agent_with(1, "one", "cpus(reserved/well):1;mem(reserved/well):64");
    world.described(10, in_role("f", "subscribed/to"));
    let wanted = [
        "promised",
        "reserved",
        "reserved/well",
        "subscribed",
        "subscribed/to",
        "weighed",
        "weighed/much",
    ];
    assert_eq!(known(&world), wanted);
    world.change(update(vec![config("promised", "", "")], false)).0.unwrap();
    assert!(!known(&world).contains(&"promised".to_owned()));
}

#[test]
fn roles_endpoint_contains_consumed_quota() {
    let mut world = World::new();
    // A reservation that a task holds.
    let agent = world.agent_with(1, "one", "cpus(role):1;mem(role):10");
    let (_, outputs) = world.described(10, in_role("f", "role"));
    let offer = offers(&outputs, 10).remove(0);
    world.call(10, launch(&offer.id, vec![task("t1", &agent, "cpus(role):1;mem(role):10")]));
    // What a task holds without.
    let agent = world.agent_with(2, "two", "cpus:10;mem:100");
    let offer = world.master.offers().keys().next().unwrap().as_str().into();
    world.call(10, launch(&offer, vec![task("t2", &agent, "cpus:10;mem:100")]));
    // And both, offered.
    let three =
        "cpus(role):100;mem(role):1000;ports(role):[100-199];cpus:1000;mem:10000;ports:[1000-1999]";
    world.agent_with(3, "three", three);
    assert_eq!(world.master.tasks().len(), 2);
    let usage = world.master.role_uses().remove("role").unwrap();
    assert_eq!(usage.allocated.to_string(), "cpus:11;mem:110");
    assert_eq!(usage.offered.to_string(), "cpus:1100;mem:11000;ports:1100");
    assert_eq!(usage.reserved.to_string(), "cpus:101;mem:1010;ports:100");
    assert_eq!(usage.consumed().to_string(), "cpus:111;mem:1110;ports:100");
}

#[test]
fn what_subroles_use_counts_for_the_roles_above() {
    let mut world = World::new();
    let agent = world.agent(1, "one");
    let (_, outputs) = world.described(10, in_role("f", "a/b/c"));
    let offer = offers(&outputs, 10).remove(0).id;
    world.call(10, launch(&offer, vec![task("t1", &agent, "cpus:1;mem:64")]));
    let uses = world.master.role_uses();
    for role in ["a", "a/b", "a/b/c"] {
        assert_eq!(uses[role].consumed().to_string(), "cpus:1;mem:64", "{role}");
    }
    // And for its limit.
    let limit = update(vec![config("a", "", "cpus:0.5")], false);
    assert!(world.change(limit).0.is_err());
}
