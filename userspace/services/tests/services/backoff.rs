//! Restart with backoff.

use std::time::Duration;

use muster_api::mesos::TaskState;
use muster_api::mesos::scheduler::call;
use muster_services::app::AppId;
use muster_services::request::Request;
use serde_json::json;

use super::world::World;

/// Launches and fails one instance; the seconds until the next launch.
fn fail_once(world: &mut World) -> u64 {
    let task = world.launch(&["a1"]).remove(0);
    world.update(&task, TaskState::TaskFailed);
    world.queue()[0]["delay"]["timeLeftSeconds"].as_u64().unwrap()
}

#[test]
fn delays_grow_and_are_kept() {
    let mut world = World::new();
    world.create(json!({
        "id": "a", "cmd": "x",
        "backoffSeconds": 10, "backoffFactor": 2, "maxLaunchDelaySeconds": 30,
    }));
    assert_eq!(fail_once(&mut world), 10);
    // Until then offers are neither wanted nor taken.
    assert_eq!(world.taken(call::Type::Suppress).len(), 1);
    assert!(world.launch(&["a1"]).is_empty());
    world.pass(Duration::from_millis(9_999));
    assert!(world.launch(&["a1"]).is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.taken(call::Type::Revive).len(), 1);
    assert_eq!(fail_once(&mut world), 20);
    world.pass(Duration::from_secs(20));
    assert_eq!(fail_once(&mut world), 30);
    world.pass(Duration::from_secs(30));
    assert_eq!(fail_once(&mut world), 30);
}

#[test]
fn a_stable_run_begins_anew() {
    let mut world = World::new();
    world.create(json!({
        "id": "a", "cmd": "x",
        "backoffSeconds": 10, "backoffFactor": 2, "maxLaunchDelaySeconds": 60,
    }));
    fail_once(&mut world);
    world.pass(Duration::from_secs(10));
    assert_eq!(fail_once(&mut world), 20);
    world.pass(Duration::from_secs(20));
    let task = world.launch(&["a1"]).remove(0);
    world.pass(Duration::from_secs(61));
    world.update(&task, TaskState::TaskFailed);
    assert_eq!(world.queue()[0]["delay"]["timeLeftSeconds"], 10);
}

#[test]
fn a_change_starts_without_delay() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x", "backoffSeconds": 100}));
    fail_once(&mut world);
    let reply = world.ask(Request::UpdateApp {
        id: AppId::resolve("a"),
        body: json!({"cmd": "y"}),
        force: true,
        partial: true,
        create: true,
    });
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(world.launch(&["a1"]).len(), 1);
}

#[test]
fn scaling_does_not_end_a_delay() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x", "backoffSeconds": 100}));
    fail_once(&mut world);
    world.update_app("a", json!({"instances": 2}));
    assert!(world.launch(&["a1"]).is_empty());
    assert_eq!(world.queue()[0]["count"], 2);
}

#[test]
fn a_user_can_end_a_delay() {
    let mut world = World::new();
    world.create(json!({"id": "a", "cmd": "x", "backoffSeconds": 100}));
    fail_once(&mut world);
    world.pass(Duration::from_secs(1));
    let id = AppId::resolve("a");
    assert_eq!(world.ask(Request::ResetDelay { id: id.clone() }).status, 204);
    assert_eq!(world.taken(call::Type::Revive).len(), 1);
    assert_eq!(world.launch(&["a1"]).len(), 1);
    let reply = world.ask(Request::ResetDelay { id });
    assert_eq!(reply.status, 404, "nothing waits any more");
}
