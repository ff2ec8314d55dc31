//! Health: what is reported, and what follows from it.

use muster_api::mesos::TaskState;
use muster_api::mesos::task_status::Reason;
use serde_json::json;

use super::world::World;

fn checked() -> serde_json::Value {
    json!({
        "id": "a", "cmd": "x",
        "healthChecks": [{"protocol": "MESOS_TCP", "maxConsecutiveFailures": 2}],
    })
}

fn report(world: &mut World, task: &str, healthy: bool) {
    world.update_with(task, TaskState::TaskRunning, |status| {
        status.healthy = Some(healthy);
        status.message = Some("connection refused".into());
        status.set_reason(Reason::TaskHealthCheckStatusUpdated);
    });
}

#[test]
fn health_is_counted_and_shown() {
    let mut world = World::new();
    world.create(checked());
    let task = world.launch(&["a1"]).remove(0);
    let app = world.app("a");
    let counts = |app: &serde_json::Value| {
        ["tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"]
            .map(|name| app[name].as_u64().unwrap())
    };
    assert_eq!(counts(&app), [0, 1, 0, 0]);
    assert!(app["tasks"][0].get("healthCheckResults").is_none());
    report(&mut world, &task, true);
    let app = world.app("a");
    assert_eq!(counts(&app), [0, 1, 1, 0]);
    let result = app["tasks"][0]["healthCheckResults"][0].clone();
    assert_eq!((&result["alive"], &result["consecutiveFailures"]), (&json!(true), &json!(0)));
    assert_eq!(result["instanceId"].as_str().unwrap(), task.strip_suffix("._app.1").unwrap());
    report(&mut world, &task, false);
    let app = world.app("a");
    assert_eq!(counts(&app), [0, 1, 0, 1]);
    let result = app["tasks"][0]["healthCheckResults"][0].clone();
    assert_eq!(result["lastFailureCause"], "connection refused");
}

#[test]
fn an_instance_that_fails_too_often_is_killed_and_replaced() {
    let mut world = World::new();
    world.create(checked());
    let task = world.launch(&["a1"]).remove(0);
    report(&mut world, &task, true);
    report(&mut world, &task, false);
    assert!(world.killed().is_empty());
    report(&mut world, &task, false);
    assert_eq!(world.bury(), std::slice::from_ref(&task));
    assert_eq!(world.queue()[0]["delay"]["timeLeftSeconds"], 1, "which counts as a failure");
    assert_eq!(world.app("a")["lastTaskFailure"]["taskId"], task);
}

#[test]
fn a_repeated_report_is_no_further_failure() {
    let mut world = World::new();
    world.create(checked());
    let task = world.launch(&["a1"]).remove(0);
    for _ in 0..3 {
        world.update_with(&task, TaskState::TaskRunning, |status| {
            status.healthy = Some(false);
            status.uuid = Some(vec![200; 16]);
        });
        world.restart();
        world.update_with(&task, TaskState::TaskRunning, |status| {
            status.healthy = Some(false);
            status.uuid = None;
        });
    }
    assert!(world.killed().is_empty());
}

#[test]
fn the_executor_may_do_the_killing() {
    let mut world = World::new();
    world.create(checked());
    let task = world.launch(&["a1"]).remove(0);
    world.update_with(&task, TaskState::TaskKilled, |status| status.healthy = Some(false));
    assert_eq!(world.queue()[0]["delay"]["timeLeftSeconds"], 1);
    assert_eq!(world.app("a")["lastTaskFailure"]["state"], "TASK_KILLED");
}
