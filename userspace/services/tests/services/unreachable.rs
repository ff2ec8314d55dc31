//! Agents out of reach.

use std::time::Duration;

use muster_api::mesos::TaskState;
use serde_json::json;

use super::world::World;

fn lose(world: &mut World, strategy: serde_json::Value) -> String {
    world.create(json!({"id": "a", "cmd": "x", "unreachableStrategy": strategy}));
    let task = world.launch(&["a1"]).remove(0);
    world.update_with(&task, TaskState::TaskUnreachable, |status| status.uuid = None);
    task
}

#[test]
fn by_default_it_is_replaced_at_once_and_killed_when_it_comes_back() {
    let mut world = World::new();
    let task = lose(&mut world, json!({}));
    assert_eq!(world.queue()[0]["count"], 1);
    assert_eq!(world.queue()[0]["delay"]["timeLeftSeconds"], 0);
    assert_eq!(world.launch(&["a2"]).len(), 1);
    world.killed();
    world.update(&task, TaskState::TaskRunning);
    assert_eq!(world.killed(), [task]);
    assert_eq!(world.app("a")["lastTaskFailure"]["state"], "TASK_UNREACHABLE");
}

#[test]
fn it_can_be_waited_for() {
    let mut world = World::new();
    let strategy = json!({"inactiveAfterSeconds": 60, "expungeAfterSeconds": 120});
    let task = lose(&mut world, strategy);
    assert_eq!(world.states("a"), [(task.clone(), "TASK_UNREACHABLE".into())]);
    world.pass(Duration::from_secs(59));
    assert!(world.queue().is_empty());
    // Also by one that was not there when it began.
    world.restart();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.queue()[0]["count"], 1);
    world.launch(&["a2"]);
    assert_eq!(world.states("a").len(), 2);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.states("a").len(), 1);
    world.killed();
    world.update(&task, TaskState::TaskRunning);
    assert_eq!(world.killed(), [task]);
}

#[test]
fn one_that_comes_back_in_time_stays() {
    let mut world = World::new();
    let strategy = json!({"inactiveAfterSeconds": 60, "expungeAfterSeconds": 120});
    let task = lose(&mut world, strategy);
    world.pass(Duration::from_secs(30));
    world.update(&task, TaskState::TaskRunning);
    world.pass(Duration::from_secs(300));
    assert_eq!(world.states("a"), [(task, "TASK_RUNNING".into())]);
    assert!(world.queue().is_empty());
}

#[test]
fn one_that_comes_back_beside_its_replacement_is_one_too_many() {
    let mut world = World::new();
    let strategy = json!({"inactiveAfterSeconds": 60, "expungeAfterSeconds": 120});
    let task = lose(&mut world, strategy);
    world.pass(Duration::from_secs(60));
    let replacement = world.launch(&["a2"]).remove(0);
    world.update(&task, TaskState::TaskRunning);
    assert_eq!(world.bury(), std::slice::from_ref(&replacement), "the youngest goes");
    assert_eq!(world.states("a"), [(task, "TASK_RUNNING".into())]);
}

#[test]
fn it_can_be_waited_for_without_end() {
    let mut world = World::new();
    let task = lose(&mut world, json!("disabled"));
    world.pass(Duration::from_secs(1_000_000));
    assert!(world.queue().is_empty());
    world.update(&task, TaskState::TaskRunning);
    assert_eq!(world.states("a"), [(task, "TASK_RUNNING".into())]);
}

#[test]
fn a_deployment_does_not_wait_for_what_is_out_of_reach() {
    let mut world = World::new();
    let task = lose(&mut world, json!("disabled"));
    world.update_app("a", json!({"instances": 0}));
    assert!(world.states("a").is_empty());
    assert!(world.deployments().is_empty());
    world.killed();
    world.update(&task, TaskState::TaskRunning);
    assert_eq!(world.killed(), [task]);
}
