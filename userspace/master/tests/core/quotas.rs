//! Quota: what may be asked for, what is kept. Named after Mesos' `MasterQuotaTest` where there
//! is one of its kind.

use std::collections::BTreeMap;

use muster_api::mesos::master::call::UpdateQuota;
use muster_api::mesos::quota::{QuotaConfig, QuotaRequest};
use muster_api::mesos::resource::{DiskInfo, RevocableInfo, disk_info};
use muster_api::mesos::{Resource, ResourceProviderId, TaskState, value};
use muster_master::core::{Change, Input, Refusal};
use muster_resources::{Quantities, Resources};

use crate::world::*;

fn scalars(text: &str) -> BTreeMap<String, value::Scalar> {
    let amounts = text.split(';').filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once(':').unwrap();
        (name.to_owned(), value::Scalar { value: value.parse().unwrap() })
    });
    amounts.collect()
}

pub(crate) fn config(role: &str, guarantees: &str, limits: &str) -> QuotaConfig {
    let (guarantees, limits) = (scalars(guarantees), scalars(limits));
    QuotaConfig { role: role.into(), guarantees, limits }
}

pub(crate) fn update(configs: Vec<QuotaConfig>, force: bool) -> Change {
    Change::Quota(UpdateQuota { force: Some(force), quota_configs: configs })
}

fn request(role: &str, guarantee: Vec<Resource>, force: bool) -> Change {
    Change::NewQuota(QuotaRequest { force: Some(force), role: Some(role.into()), guarantee })
}

fn invalid(result: Result<(), Refusal>) -> String {
    match result {
        Err(Refusal::Invalid(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn update_and_get_quota() {
    let mut world = World::new();
    let wanted = config("role1", "cpus:1;mem:1024", "cpus:2;mem:2048");
    world.change(update(vec![wanted], true)).0.unwrap();
    let quotas = world.master.quotas();
    assert_eq!(quotas["role1"].guarantees.to_string(), "cpus:1;mem:1024");
    world.restart();
    assert_eq!(world.master.quotas(), quotas);
    // The default is the same as none.
    world.change(update(vec![config("role1", "", "")], false)).0.unwrap();
    world.restart();
    assert!(world.master.quotas().is_empty());
}

#[test]
fn a_limit_of_nothing_is_a_limit_after_a_restart_too() {
    let mut world = World::new();
    world.change(update(vec![config("role1", "", "gpus:0")], false)).0.unwrap();
    world.restart();
    assert_eq!(world.master.quotas()["role1"].limits.to_string(), "gpus:0");
}

#[test]
fn update_quota_multiple_roles() {
    let mut world = World::new();
    let both = |second: &str| {
        vec![config("role1", "cpus:1", "cpus:2"), config(second, "cpus:1", "cpus:2")]
    };
    let problem = invalid(world.change(update(both("a/b"), true)).0);
    assert!(problem.starts_with("quota_configs[1].role: \"a/b\" is nested"), "{problem}");
    assert!(world.master.quotas().is_empty());
    world.change(update(both("*"), true)).0.unwrap();
    assert_eq!(world.master.quotas().into_keys().collect::<Vec<_>>(), ["*", "role1"]);
}

#[test]
fn update_quota_too_large() {
    let mut world = World::new();
    for (guarantees, limits, wanted) in [
        ("cpus:1000000000000", "cpus:1000000000001", "limits[\"cpus\"]: 1000000000001 is more"),
        ("mem:1099511627776", "mem:1099511627777", "limits[\"mem\"]: 1099511627777 is more"),
        ("disk:1099511627777", "", "guarantees[\"disk\"]: 1099511627777 is more"),
    ] {
        let problem = invalid(world.change(update(vec![config("r", guarantees, limits)], true)).0);
        assert!(problem.contains(wanted), "{problem}");
    }
    let most = config("r", "cpus:1000000000000;disk:1099511627776", "");
    world.change(update(vec![most], true)).0.unwrap();
}

#[test]
fn amounts_that_make_no_sense() {
    let mut world = World::new();
    for (guarantees, limits, wanted) in [
        ("cpus:-1", "", "guarantees[\"cpus\"]: -1 is negative"),
        ("", "mem:-0.5", "limits[\"mem\"]: -0.5 is negative"),
        ("cpus:nan", "", "guarantees[\"cpus\"]: the number NaN"),
        ("", "cpus:inf", "limits[\"cpus\"]: inf is more than a trillion"),
        ("cpus:3", "cpus:2", "guarantees[\"cpus\"]: 3 is more than the limit, 2"),
        (":1", "", "guarantees[\"\"]: a resource has a name"),
    ] {
        let problem = invalid(world.change(update(vec![config("r", guarantees, limits)], true)).0);
        assert!(problem.starts_with("quota_configs[0]."), "{problem}");
        assert!(problem.contains(wanted), "{problem}");
    }
    let problem = invalid(world.change(update(vec![config("a b", "", "")], true)).0);
    assert!(problem.starts_with("quota_configs[0].role: "), "{problem}");
    assert!(world.master.quotas().is_empty());
}

#[test]
fn set_for_non_existent_role() {
    let mut world = World::with(|options| options.roles = Some(["role1".to_owned()].into()));
    let unknown = [
        update(vec![config("role2", "cpus:1", "")], true),
        request("role2", resources("cpus:1"), true),
        Change::NoQuota("role2".into()),
    ];
    for change in unknown {
        let problem = invalid(world.change(change).0);
        assert!(problem.contains("\"role2\" is not one of --roles"), "{problem}");
    }
    world
        .change(update(vec![config("role1", "cpus:1", ""), config("*", "cpus:1", "")], true))
        .0
        .unwrap();
}

#[test]
fn set_request_with_invalid_data() {
    let mut world = World::new();
    let with = |change: fn(&mut Resource)| {
        let mut guarantee = resources("cpus:1;mem:512");
        change(&mut guarantee[1]);
        guarantee
    };
    for (guarantee, wanted) in [
        (resources("cpus:1;ports:[31000-31001]"), "guarantee[1]: \"ports\" has no amount"),
        (resources("cpus(role1):1"), "guarantee[0]: quota is not about reservations"),
        (with(|r| r.revocable = Some(RevocableInfo {})), "not about revocable resources"),
        (
            with(|r| {
                r.name = "disk".into();
                let r#type = disk_info::source::Type::Mount.into();
                let source = disk_info::Source { r#type, ..disk_info::Source::default() };
                r.disk = Some(DiskInfo { source: Some(source), ..DiskInfo::default() });
            }),
            "not about particular disks",
        ),
        (with(|r| r.name = "cpus".into()), "guarantee[1]: \"cpus\" is there twice"),
        (
            with(|r| {
                r.provider_id = Some(ResourceProviderId { value: "p".into() });
            }),
            "leave the other fields out",
        ),
        (with(|r| r.scalar = None), "guarantee[1]: "),
        (Vec::new(), "guarantee is empty"),
    ] {
        let problem = invalid(world.change(request("role1", guarantee, true)).0);
        assert!(problem.contains(wanted), "{problem}");
    }
    let nameless = QuotaRequest { role: None, guarantee: resources("cpus:1"), force: Some(true) };
    assert_eq!(invalid(world.change(Change::NewQuota(nameless)).0), "role is not set");
    let problem = invalid(world.change(request("a/b", resources("cpus:1"), true)).0);
    assert!(problem.contains("nested"), "{problem}");
    assert!(world.master.quotas().is_empty());
}

#[test]
fn set_existing_quota() {
    let mut world = World::new();
    world.change(request("role1", resources("cpus:1;mem:512"), true)).0.unwrap();
    let problem = invalid(world.change(request("role1", resources("cpus:2"), true)).0);
    assert!(problem.contains("has quota already"), "{problem}");
    assert_eq!(world.master.quotas()["role1"].limits.to_string(), "cpus:1;mem:512");
}

#[test]
fn remove_single_quota() {
    let mut world = World::new();
    let remove = || Change::NoQuota("role1".into());
    assert!(invalid(world.change(remove()).0).contains("has no quota"));
    world.change(request("role1", resources("cpus:1"), true)).0.unwrap();
    let key = "allocator/mesos/quota/roles/role1/resources/cpus/guarantee";
    assert_eq!(world.master.allocator().metrics().get(key), Some(&1.0));
    world.change(remove()).0.unwrap();
    assert_eq!(world.master.allocator().metrics().get(key), None);
    world.restart();
    assert!(world.master.quotas().is_empty());
}

#[test]
fn remove_quota_race() {
    let mut world = World::new();
    world.change(request("role1", resources("cpus:1"), true)).0.unwrap();
    for request in [1, 2] {
        let change = Box::new(Change::NoQuota("role1".into()));
        world.master.handle(world.now, Input::Change { request, change });
    }
    let answers: Vec<bool> = world
        .master
        .settle(world.now)
        .outputs
        .iter()
        .filter_map(|output| match output {
            muster_master::core::Output::Answer(_, result) => Some(result.is_ok()),
            _ => None,
        })
        .collect();
    assert_eq!(answers, [true, false]);
}

#[test]
fn insufficient_resources() {
    let mut world = World::new();
    world.agent_with(1, "one", "cpus:2;mem:2048");
    world.agent_with(2, "two", "cpus:2;mem:2048");
    world.change(update(vec![config("other", "cpus:3", "")], false)).0.unwrap();
    let problem = invalid(world.change(update(vec![config("role1", "cpus:2", "")], false)).0);
    assert!(
        problem.contains("cpus:5, are more than the cluster has, cpus:4;mem:4096"),
        "{problem}"
    );
    let set = |force| request("role1", resources("cpus:2"), force);
    assert!(matches!(world.change(set(false)).0, Err(Refusal::Conflict(_))));
    world.change(set(true)).0.unwrap();
    // In place of what the role had: that counts only once.
    world.change(update(vec![config("role1", "cpus:1", "")], false)).0.unwrap();
}

#[test]
fn available_resources() {
    let mut world = World::new();
    world.agent_with(1, "one", "cpus:2;mem:2048");
    world.agent_with(2, "two", "cpus(role2):1;mem(role2):1024");
    // Reservations, also of others, and agents that are away for a moment are part of it.
    world.step(Input::LinkClosed { link: 1 });
    world.change(update(vec![config("role1", "cpus:3;mem:3072", "")], false)).0.unwrap();
    world.restart();
    world.change(update(vec![config("role1", "cpus:2.5", "")], false)).0.unwrap();
    // One that has been given up is not.
    world.advance(601);
    assert!(world.change(update(vec![config("role1", "cpus:2.5", "")], false)).0.is_err());
}

#[test]
fn validate_limit_against_consumed() {
    let (mut world, running) = World::running();
    let limit = |cpus: &str, force| update(vec![config("*", "", cpus)], force);
    let consumed = world.master.role_uses()["*"].consumed();
    assert_eq!(consumed, Quantities::of(&Resources::from_proto(&running.task.resources).unwrap()));
    let problem = invalid(world.change(limit("cpus:0.5", false)).0);
    assert!(problem.contains("consuming already, cpus:1;mem:512;ports:1"), "{problem}");
    world.change(limit("cpus:1", false)).0.unwrap();
    world.change(limit("cpus:0.5", true)).0.unwrap();
    // When the task has ended there is nothing in the way.
    let ended = status("t1", TaskState::TaskFinished, 2);
    world.update(1, &running.framework, ended);
    world.change(limit("cpus:0.25", false)).0.unwrap();
}

#[test]
fn recover_quota_empty_cluster() {
    let mut world = World::new();
    world.change(update(vec![config("role1", "cpus:1", "")], true)).0.unwrap();
    world.restart();
    // No agent is waited for.
    world.agent(1, "one");
    let (_, outputs) = world.described(10, in_role("f", "role1"));
    assert_eq!(offers(&outputs, 10).len(), 1);
}

#[test]
fn nothing_is_offered_before_enough_agents_are_back() {
    let mut world = World::new();
    let ids: Vec<String> =
        (1..=5_u64).map(|link| world.agent(link, &format!("agent{link}"))).collect();
    world.change(update(vec![config("role1", "cpus:1", "")], false)).0.unwrap();
    world.restart();
    world.described(10, in_role("f", "role2"));
    let back = |world: &mut World, index: usize| {
        let mut register = registration(&format!("agent{}", index + 1));
        register.info.as_mut().unwrap().id = Some(ids[index].as_str().into());
        let link = 11 + u64::try_from(index).unwrap();
        let outputs = world.register(link, register);
        offers(&outputs, 10).len() + offers(&world.advance(1), 10).len()
    };
    assert_eq!((0..3).map(|index| back(&mut world, index)).sum::<usize>(), 0);
    // Four of five are enough.
    assert_eq!(back(&mut world, 3), 4);
}

#[test]
fn agents_are_not_waited_for_longer_than_the_timeout() {
    let mut world = World::with(|options| {
        options.allocator.recovery_timeout = std::time::Duration::from_secs(20);
    });
    let id = world.agent(1, "one");
    for link in 2..=5 {
        world.agent(link, &format!("agent{link}"));
    }
    world.change(update(vec![config("role1", "cpus:1", "")], false)).0.unwrap();
    world.restart();
    world.described(10, in_role("f", "role1"));
    let mut register = registration("one");
    register.info.as_mut().unwrap().id = Some(id.as_str().into());
    world.register(11, register);
    let outputs = world.advance(19);
    assert_eq!(offers(&outputs, 10), []);
    assert_eq!(offers(&world.advance(2), 10).len(), 1);
}
