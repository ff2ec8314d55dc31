//! Status updates, acknowledgements, kills and reconciliation.

use muster_api::mesos::TaskState;
use muster_api::mesos::task_status::{Reason, Source};
use muster_api::muster::master_message::Message as ToAgent;
use muster_master::core::Input;

use crate::world::*;

#[test]
fn an_update_is_passed_on_and_its_acknowledgement_passed_back() {
    let (mut world, running) = World::running();
    let failed = status("t1", TaskState::TaskFailed, 2);
    let outputs = world.update(1, &running.framework, failed);
    let told = statuses(&outputs, 10);
    assert_eq!(told[0].state(), TaskState::TaskFailed);
    assert_eq!(told[0].agent_id.as_ref().unwrap().value, running.agent);
    // The task stays known until its end is acknowledged, also to the next master.
    assert_eq!(world.master.tasks().len(), 1);
    let outputs = world.call(10, acknowledge(&running.agent, "t1", &[2; 16]));
    assert!(
        matches!(&to_agent(&outputs, 1)[..], [ToAgent::Acknowledge(a), ..] if a.uuid == [2; 16])
    );
    assert!(world.master.tasks().is_empty());
    world.restart();
    assert!(world.master.tasks().is_empty());
}

#[test]
fn acknowledging_an_earlier_status_does_not_end_the_task() {
    let (mut world, running) = World::running();
    world.update(1, &running.framework, status("t1", TaskState::TaskFailed, 2));
    world.call(10, acknowledge(&running.agent, "t1", &[1; 16]));
    assert_eq!(world.master.tasks().len(), 1);
}

#[test]
fn a_repeated_earlier_status_does_not_set_the_task_back() {
    let (mut world, running) = World::running();
    world.update(1, &running.framework, status("t1", TaskState::TaskFailed, 3));
    let outputs = world.update(1, &running.framework, status("t1", TaskState::TaskRunning, 2));
    assert_eq!(statuses(&outputs, 10)[0].state(), TaskState::TaskRunning);
    let task = world.master.tasks().values().next().unwrap();
    assert_eq!(task.status.state(), TaskState::TaskFailed);
}

#[test]
fn an_ended_task_gives_its_resources_back_once() {
    let (mut world, running) = World::running();
    let end = status("t1", TaskState::TaskFinished, 2);
    world.update(1, &running.framework, end.clone());
    world.update(1, &running.framework, end);
    world.call(10, acknowledge(&running.agent, "t1", &[2; 16]));
    world.step(Input::LinkClosed { link: 1 });
    let mut back = running.registration();
    back.tasks.clear();
    let outputs = world.register(2, back);
    let cpus = offers(&outputs, 10)[0].resources[0].scalar.as_ref().unwrap().value;
    assert!((cpus - 4.0).abs() < 1e-9, "{cpus}");
}

#[test]
fn updates_of_tasks_nobody_owns_are_acknowledged_by_the_master() {
    let (mut world, _) = World::running();
    let outputs = world.update(1, "no such framework", status("t9", TaskState::TaskFailed, 2));
    assert!(matches!(&to_agent(&outputs, 1)[..], [ToAgent::Acknowledge(a)] if a.uuid == [2; 16]));
}

#[test]
fn a_kill_is_passed_on_and_repeated_to_an_agent_that_was_away() {
    let (mut world, running) = World::running();
    assert!(matches!(&to_agent(&world.call(10, kill("t1")), 1)[..], [ToAgent::Kill(_)]));
    world.step(Input::LinkClosed { link: 1 });
    let outputs = world.register(2, running.registration());
    assert!(to_agent(&outputs, 2).iter().any(|m| matches!(m, ToAgent::Kill(_))));
}

#[test]
fn killing_an_unknown_task_tells_its_state() {
    let (mut world, _) = World::running();
    let told = statuses(&world.call(10, kill("t9")), 10);
    assert_eq!(
        (told[0].state(), told[0].reason()),
        (TaskState::TaskUnknown, Reason::Reconciliation)
    );
}

#[test]
fn reconciliation_tells_the_latest_state_of_known_tasks() {
    let (mut world, running) = World::running();
    for call in [reconcile(&[]), reconcile(&[("t1", Some(&running.agent))])] {
        let told = statuses(&world.call(10, call), 10);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].state(), TaskState::TaskRunning);
        assert_eq!((told[0].source(), told[0].reason()), (Source::Master, Reason::Reconciliation));
        assert_eq!(told[0].uuid, None);
    }
}

#[test]
fn reconciliation_of_unknown_tasks_by_what_is_known_of_the_agent() {
    let (mut world, running) = World::running();
    let state = |world: &mut World, connection, agent: Option<&str>| {
        let outputs = world.call(connection, reconcile(&[("t9", agent)]));
        statuses(&outputs, connection).first().map(muster_api::mesos::TaskStatus::state)
    };
    assert_eq!(state(&mut world, 10, Some(&running.agent)), Some(TaskState::TaskGone));
    assert_eq!(state(&mut world, 10, Some("elsewhere")), Some(TaskState::TaskUnknown));
    assert_eq!(state(&mut world, 10, None), Some(TaskState::TaskUnknown));
    // After a restart the agent may still bring it back.
    world.restart();
    world.call(11, subscribe(framework("marathon"), Some(&running.framework)));
    assert_eq!(state(&mut world, 11, Some(&running.agent)), None);
    assert_eq!(state(&mut world, 11, None), None);
    assert_eq!(state(&mut world, 11, Some("elsewhere")), Some(TaskState::TaskUnknown));
    world.advance(600);
    assert_eq!(state(&mut world, 11, Some(&running.agent)), Some(TaskState::TaskUnreachable));
}

#[test]
fn frameworks_that_do_not_know_partitions_hear_of_lost_tasks() {
    let mut world = World::new();
    let mut info = framework("old");
    info.capabilities.truncate(1);
    world.call(10, subscribe(info, None));
    let told = statuses(&world.call(10, reconcile(&[("t9", None)])), 10);
    assert_eq!(told[0].state(), TaskState::TaskLost);
}
