//! Subscription, failover and end of frameworks.

use muster_api::mesos::scheduler::{Call, Event, call, event};
use muster_api::muster::master_message::Message as ToAgent;
use muster_master::core::{Input, Output};

use crate::world::*;

#[test]
fn a_subscriber_hears_its_id_then_a_heartbeat_then_one_every_15_seconds() {
    let mut world = World::new();
    let (id, outputs) = world.framework(10, "marathon");
    assert_eq!(id, "master0-0000");
    let kinds: Vec<_> = events(&outputs, 10).map(Event::r#type).collect();
    assert_eq!(kinds, [event::Type::Subscribed, event::Type::Heartbeat]);
    assert_eq!(events(&world.advance(14), 10).count(), 0);
    assert_eq!(events(&world.advance(1), 10).next().unwrap().r#type(), event::Type::Heartbeat);
}

#[test]
fn the_first_call_must_subscribe() {
    let mut world = World::new();
    let outputs = world.call(10, kill("t"));
    assert_eq!(events(&outputs, 10).next().unwrap().r#type(), event::Type::Error);
    assert!(outputs.contains(&Output::CloseConnection(10)));
}

#[test]
fn impossible_descriptions_end_in_an_error_event() {
    let mut world = World::new();
    for (change, word) in [
        ((|f| f.name.clear()) as fn(&mut muster_api::mesos::FrameworkInfo), "name"),
        (|f| f.failover_timeout = Some(-1.0), "failover_timeout"),
        (|f| f.failover_timeout = Some(f64::NAN), "failover_timeout"),
        (|f| f.roles = vec!["a//b".into()], "roles"),
        (|f| f.roles = vec!["..".into()], "roles"),
        (|f| f.roles = vec!["-a".into()], "roles"),
        (|f| f.roles = vec!["a b".into()], "roles"),
        (|f| f.roles = vec!["a".into(), "a".into()], "twice"),
    ] {
        let mut info = framework("marathon");
        change(&mut info);
        let outputs = world.call(10, subscribe(info, None));
        let error = events(&outputs, 10).find_map(|event| event.error.as_ref()).expect("ERROR");
        assert!(error.message.contains(word), "{error:?}");
        assert!(outputs.contains(&Output::CloseConnection(10)));
    }
    assert!(world.master.frameworks().is_empty());
}

#[test]
fn a_framework_that_fails_over_takes_its_tasks_and_the_old_one_is_told() {
    let (mut world, running) = World::running();
    let outputs = world.call(11, subscribe(framework("marathon"), Some(&running.framework)));
    let error = events(&outputs, 10).find_map(|event| event.error.as_ref()).expect("ERROR");
    assert_eq!(error.message, "Framework failed over");
    assert!(outputs.contains(&Output::CloseConnection(10)));
    assert_eq!(world.master.tasks().len(), 1);
    // The end of the old connection does not end the new one.
    world.step(Input::ConnectionClosed { connection: 10 });
    assert_eq!(world.master.frameworks()[&running.framework].connection, Some(11));
}

#[test]
fn a_framework_that_stays_away_is_torn_down_for_good() {
    let (mut world, running) = World::running();
    world.step(Input::ConnectionClosed { connection: 10 });
    assert!(to_agent(&world.advance(3599), 1).iter().all(|m| !matches!(m, ToAgent::Kill(_))));
    let outputs = world.advance(1);
    assert!(to_agent(&outputs, 1).iter().any(|m| matches!(m, ToAgent::Kill(_))));
    world.restart();
    let outputs = world.call(11, subscribe(framework("marathon"), Some(&running.framework)));
    let error = events(&outputs, 11).find_map(|event| event.error.as_ref()).expect("ERROR");
    assert_eq!(error.message, "Framework has been removed");
}

#[test]
fn tasks_of_a_framework_torn_down_are_acknowledged_by_the_master() {
    let (mut world, running) = World::running();
    let mut teardown = Call::default();
    teardown.set_type(call::Type::Teardown);
    let outputs = world.call(10, teardown);
    assert!(outputs.contains(&Output::CloseConnection(10)));
    let killed = status("t1", muster_api::mesos::TaskState::TaskKilled, 2);
    let outputs = world.update(1, &running.framework, killed);
    assert!(
        matches!(&to_agent(&outputs, 1)[..], [ToAgent::Acknowledge(a), ..] if a.uuid == [2; 16])
    );
    assert!(world.master.tasks().is_empty());
}

#[test]
fn a_framework_unknown_after_the_registry_was_lost_is_taken_as_it_says() {
    let mut world = World::new();
    let outputs = world.call(10, subscribe(framework("marathon"), Some("other-0007")));
    let subscribed = events(&outputs, 10).find_map(|event| event.subscribed.as_ref()).unwrap();
    assert_eq!(subscribed.framework_id.value, "other-0007");
}
