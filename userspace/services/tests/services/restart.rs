//! A crash and a new start: nothing lost, nothing doubled.

use std::time::Duration;

use muster_api::mesos::TaskState;
use muster_api::mesos::scheduler::{Event, call, event};
use muster_api::mesos::task_status::Reason;
use muster_services::records::Records;
use muster_services::scheduler::{Input, Output, Scheduler};
use muster_store::Store as _;
use serde_json::json;

use super::world::{World, launched};

#[test]
fn instances_are_on_record_before_they_are_launched() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x"}));
    let offer = world.plenty("a1");
    let event = Event {
        r#type: Some(event::Type::Offers.into()),
        offers: Some(event::Offers { offers: vec![offer] }),
        ..Default::default()
    };
    let outputs = world.core.handle(world.now, Input::Event(Box::new(event)));
    let Output::Store(batch) = &outputs[0] else { panic!("{outputs:?}") };
    let accept = outputs.iter().find_map(|output| match output {
        Output::Call(call) if call.r#type() == call::Type::Accept => Some(launched(call)),
        _ => None,
    });
    let task = accept.unwrap().remove(0).task_id.value;
    // The crash comes between the two.
    world.store.commit(batch.clone()).unwrap();
    world.restart();
    let asked = world.taken(call::Type::Reconcile).remove(0).reconcile.unwrap().tasks;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].task_id.value, task);
    assert_eq!(asked[0].agent_id.as_ref().unwrap().value, "a1");
    assert!(world.launch(&["a1"]).is_empty(), "its fate is not known yet");
    world.update_with(&task, TaskState::TaskGone, |status| {
        status.uuid = None;
        status.set_reason(Reason::Reconciliation);
    });
    assert_eq!(world.launch(&["a1"]).len(), 1);
}

#[test]
fn everything_is_there_again() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x", "instances": 2}));
    world.launch(&["a1"]);
    world.create(json!({"id": "b", "cmd": "x"}));
    let before = (world.app("a"), world.app("b"), world.deployments());
    world.restart();
    assert_eq!((world.app("a"), world.app("b"), world.deployments()), before);
    // The framework's id too.
    let records = Records::load(&world.store).unwrap();
    assert_eq!(records.framework_id.as_deref(), Some("framework"));
    let mut core = Scheduler::new(world.config.clone(), records, [1; 32], world.now);
    let outputs = core.handle(world.now, Input::Connected);
    let Output::Call(call) = &outputs[0] else { panic!("{outputs:?}") };
    assert_eq!(call.framework_id.as_ref().unwrap().value, "framework");
    let info = &call.subscribe.as_ref().unwrap().framework_info;
    assert_eq!(info.id.as_ref().unwrap().value, "framework");
    assert_eq!(info.roles, ["*"]);
}

#[test]
fn instances_of_unknown_fate_are_asked_for_until_they_are_known() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x", "instances": 2}));
    let tasks = world.launch(&["a1"]);
    world.restart();
    world.taken(call::Type::Reconcile);
    world.update_with(&tasks[0], TaskState::TaskRunning, |status| status.uuid = None);
    for _ in 0..3 {
        world.pass(Duration::from_secs(60));
        let asked = world.taken(call::Type::Reconcile);
        assert!(!asked.is_empty());
        for call in asked {
            let tasks_asked = call.reconcile.unwrap().tasks;
            assert_eq!(tasks_asked.len(), 1);
            assert_eq!(tasks_asked[0].task_id.value, tasks[1]);
        }
    }
    world.update_with(&tasks[1], TaskState::TaskRunning, |status| status.uuid = None);
    world.pass(Duration::from_secs(120));
    assert!(world.taken(call::Type::Reconcile).is_empty());
    world.pass(Duration::from_secs(600));
    assert!(!world.taken(call::Type::Reconcile).is_empty(), "now and then all are asked for");
    assert!(world.queue().is_empty());
}

#[test]
fn kills_are_repeated_until_they_are_done() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x"}));
    let tasks = world.launch(&["a1"]);
    world.update_app("a", json!({"instances": 0}));
    assert_eq!(world.killed(), tasks);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.killed(), tasks);
    world.restart();
    assert_eq!(world.killed(), tasks);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.bury(), tasks);
    world.pass(Duration::from_secs(100));
    assert!(world.killed().is_empty());
    assert!(world.deployments().is_empty());
}

#[test]
fn deployments_go_on() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x", "instances": 3}));
    world.launch(&["a1"]);
    world.update_app("a", json!({"cmd": "y"}));
    let deployments = world.deployments();
    assert_eq!(deployments.len(), 1);
    for _ in 0..20 {
        world.restart();
        world.launch(&["a1"]);
        world.bury();
    }
    assert!(world.deployments().is_empty());
    let version = world.app("a")["version"].clone();
    let tasks = world.app("a")["tasks"].take();
    assert_eq!(tasks.as_array().unwrap().len(), 3);
    assert!(tasks.as_array().unwrap().iter().all(|task| task["version"] == version));
}

#[test]
fn a_framework_that_was_removed_begins_anew() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x"}));
    world.launch(&["a1"]);
    world.event(Event {
        r#type: Some(event::Type::Error.into()),
        error: Some(event::Error { message: "Framework has been removed".into() }),
        ..Default::default()
    });
    world.calls.clear();
    world.pass(Duration::from_secs(5));
    let subscribe = world.taken(call::Type::Subscribe).remove(0);
    assert!(subscribe.framework_id.is_none());
    assert!(subscribe.subscribe.unwrap().framework_info.id.is_none());
}
