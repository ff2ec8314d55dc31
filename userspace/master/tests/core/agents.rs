//! Registration, loss and return of agents.

use muster_api::mesos::TaskState;
use muster_api::mesos::task_status::Reason;
use muster_api::muster::master_message::Message as ToAgent;
use muster_master::core::{Input, Liveness, Output};

use crate::world::*;

#[test]
fn a_new_agent_gets_an_id_and_the_view() {
    let mut world = World::new();
    let outputs = world.register(1, registration("one"));
    assert_eq!(registered(&outputs), "master0-S0");
    assert!(to_agent(&outputs, 1).iter().any(|m| matches!(m, ToAgent::Snapshot(_))));
    assert_eq!(world.agent(2, "two"), "master0-S1");
}

#[test]
fn an_agent_keeps_its_id_over_restarts_of_the_master() {
    let mut world = World::new();
    let id = world.agent(1, "one");
    world.restart();
    assert!(matches!(world.master.agents()[&id].liveness, Liveness::Recovered { .. }));
    let mut again = registration("one");
    again.info.as_mut().unwrap().id = Some(id.as_str().into());
    assert_eq!(registered(&world.register(5, again)), id);
    assert_eq!(world.master.agents().len(), 1);
}

#[test]
fn a_second_agent_of_the_same_name_is_refused_while_the_first_is_linked() {
    let mut world = World::new();
    let id = world.agent(1, "one");
    let outputs = world.register(2, registration("one"));
    let [ToAgent::Refused(refused)] = to_agent(&outputs, 2)[..] else { panic!("{outputs:?}") };
    assert!(refused.reason.contains(&id) && refused.reason.contains("--hostname"), "{refused:?}");
    assert!(outputs.contains(&Output::CloseLink(2)));
    // Once the first is gone, the newcomer has replaced it.
    world.step(Input::LinkClosed { link: 1 });
    assert_ne!(world.agent(3, "one"), id);
    assert_eq!(world.master.agents().len(), 1);
}

#[test]
fn nonsense_is_refused_by_its_field() {
    let mut world = World::new();
    let mut bad = registration("one");
    bad.address = "nowhere".into();
    let outputs = world.register(1, bad);
    assert!(
        matches!(&to_agent(&outputs, 1)[..], [ToAgent::Refused(r)] if r.reason.contains("nowhere"))
    );
    let outputs = world.register(2, registration(""));
    assert!(
        matches!(&to_agent(&outputs, 2)[..], [ToAgent::Refused(r)] if r.reason.contains("hostname"))
    );
    assert!(world.master.agents().is_empty());
}

#[test]
fn an_agent_that_dials_again_loses_its_old_link_and_nothing_else() {
    let (mut world, running) = World::running();
    let outputs = world.register(2, running.registration());
    assert!(outputs.contains(&Output::CloseLink(1)));
    // The late news of the old link's end changes nothing.
    world.step(Input::LinkClosed { link: 1 });
    assert!(world.master.agents()[&running.agent].is_connected());
    assert_eq!(world.master.tasks().len(), 1);
    assert_eq!(statuses(&outputs, 10), []);
}

#[test]
fn a_task_the_agent_does_not_know_is_lost() {
    let (mut world, running) = World::running();
    world.step(Input::LinkClosed { link: 1 });
    let mut empty = running.registration();
    empty.tasks.clear();
    let outputs = world.register(2, empty);
    let told = statuses(&outputs, 10);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].state(), told[0].reason()), (TaskState::TaskGone, Reason::Reconciliation));
    assert_eq!(told[0].uuid, None);
    assert!(world.master.tasks().is_empty());
    // Its resources are offered again, whole.
    let offered = offers(&outputs, 10);
    assert_eq!(offered.len(), 1);
    assert_eq!(offered[0].resources.len(), 3);
}

#[test]
fn an_agent_away_too_long_is_unreachable_and_welcome_back() {
    let (mut world, running) = World::running();
    world.step(Input::LinkClosed { link: 1 });
    assert_eq!(statuses(&world.advance(599), 10), []);
    let told = statuses(&world.advance(1), 10);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].state(), told[0].reason()),
        (TaskState::TaskUnreachable, Reason::AgentRemoved)
    );
    // That it was given up survives the master.
    world.restart();
    assert!(matches!(world.master.agents()[&running.agent].liveness, Liveness::Unreachable { .. }));
    let again = subscribe(framework("marathon"), Some(&running.framework));
    world.call(11, again);
    let outputs = world.register(2, running.registration());
    let told = statuses(&outputs, 11);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].state(), told[0].reason()),
        (TaskState::TaskRunning, Reason::AgentReregistered)
    );
}

#[test]
fn a_silent_agent_is_pinged_then_given_up() {
    let (mut world, running) = World::running();
    world.silent = true;
    let outputs = world.advance(15);
    assert!(matches!(&to_agent(&outputs, 1)[..], [ToAgent::Ping(_)]));
    world.step(Input::Pong { link: 1 });
    // Five pings stay unanswered; when the sixth is due the agent is given up.
    assert_eq!(statuses(&world.advance(89), 10), []);
    let outputs = world.advance(1);
    assert_eq!(statuses(&outputs, 10)[0].state(), TaskState::TaskUnreachable);
    assert!(outputs.contains(&Output::CloseLink(1)));
    assert!(matches!(world.master.agents()[&running.agent].liveness, Liveness::Unreachable { .. }));
}
