//! Status updates: acknowledged once they are on record, harmless when late or repeated.

use std::time::Duration;

use muster_api::mesos::TaskState;
use muster_api::mesos::scheduler::{call, event};
use muster_api::mesos::task_status::Reason;
use muster_services::scheduler::{Input, Output};
use serde_json::json;

use super::world::World;

fn one(world: &mut World) -> String {
    world.create(json!({"id": "a", "cmd": "x"}));
    world.launch(&["a1"]).remove(0)
}

#[test]
fn updates_are_acknowledged_after_they_are_stored() {
    let mut world = World::new();
    let task = one(&mut world);
    let update = muster_api::mesos::scheduler::Event {
        r#type: Some(event::Type::Update.into()),
        update: Some(event::Update {
            status: muster_api::mesos::TaskStatus {
                task_id: task.as_str().into(),
                state: TaskState::TaskFailed.into(),
                agent_id: Some("a1".into()),
                uuid: Some(vec![9; 16]),
                ..Default::default()
            },
        }),
        ..Default::default()
    };
    let outputs = world.core.handle(world.now, Input::Event(Box::new(update)));
    assert!(matches!(outputs[0], Output::Store(_)));
    let Output::Call(acknowledge) = &outputs[1] else { panic!("{outputs:?}") };
    let acknowledge = acknowledge.acknowledge.clone().unwrap();
    assert_eq!(acknowledge.task_id.value, task);
    assert_eq!(acknowledge.agent_id.value, "a1");
    assert_eq!(acknowledge.uuid, [9; 16]);
}

#[test]
fn updates_without_uuid_are_not_acknowledged() {
    let mut world = World::new();
    let task = one(&mut world);
    world.taken(call::Type::Acknowledge);
    world.update_with(&task, TaskState::TaskRunning, |status| status.uuid = None);
    world.update_with(&task, TaskState::TaskRunning, |status| status.uuid = Some(vec![]));
    assert!(world.taken(call::Type::Acknowledge).is_empty());
}

#[test]
fn every_end_leads_to_a_replacement() {
    for state in [
        TaskState::TaskFinished,
        TaskState::TaskFailed,
        TaskState::TaskKilled,
        TaskState::TaskError,
        TaskState::TaskLost,
        TaskState::TaskDropped,
        TaskState::TaskGone,
        TaskState::TaskGoneByOperator,
        TaskState::TaskUnknown,
    ] {
        let mut world = World::new();
        let task = one(&mut world);
        world.update(&task, state);
        assert_eq!(world.queue()[0]["count"], 1, "{state:?}");
        world.pass(Duration::from_secs(2));
        let next = world.launch(&["a1"]);
        assert_eq!(next.len(), 1, "{state:?}");
        assert_ne!(next[0], task);
        assert_eq!(world.states("a").len(), 1);
    }
}

#[test]
fn repeated_and_late_updates_change_nothing() {
    let mut world = World::new();
    let task = one(&mut world);
    world.update_with(&task, TaskState::TaskStaging, |status| status.uuid = None);
    world.update_with(&task, TaskState::TaskStarting, |status| status.uuid = None);
    assert_eq!(world.states("a")[0].1, "TASK_RUNNING");
    world.update(&task, TaskState::TaskFailed);
    world.update(&task, TaskState::TaskFailed);
    world.update(&task, TaskState::TaskGone);
    assert_eq!(world.queue()[0]["count"], 1);
    assert_eq!(world.taken(call::Type::Acknowledge).len(), 4, "still, each is acknowledged");
}

#[test]
fn a_running_stranger_is_killed() {
    let mut world = World::new();
    let task = one(&mut world);
    world.update(&task, TaskState::TaskLost);
    world.killed();
    world.update(&task, TaskState::TaskRunning);
    assert_eq!(world.killed(), [task]);
    world.update("someone.elses", TaskState::TaskStarting);
    assert_eq!(world.killed(), ["someone.elses"]);
    world.update("someone.elses", TaskState::TaskKilled);
    world.update("someone.elses", TaskState::TaskUnreachable);
    assert!(world.killed().is_empty());
}

#[test]
fn the_last_failure_is_kept() {
    let mut world = World::new();
    let task = one(&mut world);
    let version = world.app("a")["version"].clone();
    world.update_with(&task, TaskState::TaskFailed, |status| {
        status.message = Some("Command exited with status 1".into());
    });
    world.restart();
    let failure = world.app("a")["lastTaskFailure"].take();
    assert_eq!(
        failure,
        json!({
            "appId": "/a",
            "host": "a1.example",
            "message": "Command exited with status 1",
            "state": "TASK_FAILED",
            "taskId": task,
            "timestamp": "2026-01-01T00:00:00.000Z",
            "version": version,
            "slaveId": "a1",
        })
    );
}

#[test]
fn an_offer_that_was_gone_is_not_the_applications_fault() {
    let mut world = World::new();
    let task = one(&mut world);
    world.update_with(&task, TaskState::TaskLost, |status| {
        status.set_reason(Reason::InvalidOffers);
        status.uuid = None;
    });
    assert_eq!(world.queue()[0]["delay"], json!({"timeLeftSeconds": 0, "overdue": true}));
}

#[test]
fn addresses_come_from_the_container_status() {
    let mut world = World::new();
    let task = one(&mut world);
    world.update_with(&task, TaskState::TaskRunning, |status| {
        let address = muster_api::mesos::network_info::IpAddress {
            ip_address: Some("10.1.2.3".into()),
            ..Default::default()
        };
        let network =
            muster_api::mesos::NetworkInfo { ip_addresses: vec![address], ..Default::default() };
        status.container_status = Some(muster_api::mesos::ContainerStatus {
            network_infos: vec![network],
            ..Default::default()
        });
    });
    assert_eq!(
        world.app("a")["tasks"][0]["ipAddresses"],
        json!([{"ipAddress": "10.1.2.3", "protocol": "IPv4"}])
    );
}
