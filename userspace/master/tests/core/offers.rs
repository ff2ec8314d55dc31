//! Offers: made, used, declined, taken back.

use muster_api::mesos::scheduler::event;
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{OfferId, TaskState, framework_info, offer};
use muster_api::muster::master_message::Message as ToAgent;
use muster_master::core::Input;

use crate::world::*;

#[test]
fn all_of_an_agent_is_offered_once() {
    let mut world = World::new();
    let agent = world.agent(1, "one");
    let (framework, outputs) = world.framework(10, "marathon");
    let made = offers(&outputs, 10);
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].agent_id.value, agent);
    assert_eq!(made[0].framework_id.value, framework);
    assert_eq!(made[0].allocation_info.as_ref().unwrap().role(), "*");
    assert_eq!(held(&made[0]), "cpus:4; mem:4096; ports:[31000-31999]".replace("; ", ";"));
    assert_eq!(offers(&world.advance(5), 10), []);
}

#[test]
fn what_a_launch_leaves_is_offered_again() {
    let mut world = World::new();
    let agent = world.agent(1, "one");
    let (framework, outputs) = world.framework(10, "marathon");
    let first = offers(&outputs, 10).remove(0);
    let wanted = task("t1", &agent, "cpus:1;mem:512;ports:[31000-31000]");
    let outputs = world.call(10, launch(&first.id, vec![wanted]));
    let [ToAgent::Launch(launched)] = to_agent(&outputs, 1)[..] else { panic!("{outputs:?}") };
    assert_eq!(launched.framework_id.as_ref().unwrap().value, framework);
    let rest = offers(&world.advance(1), 10).remove(0);
    assert_eq!(held(&rest), "cpus:3;mem:3584;ports:[31001-31999]");
    // The task is in the registry before the agent hears of it.
    world.restart();
    assert_eq!(world.master.tasks().len(), 1);
}

#[test]
fn an_agent_is_told_whether_the_framework_knows_of_tasks_being_killed() {
    for knows in [false, true] {
        let mut info = framework("marathon");
        if knows {
            let mut capability = framework_info::Capability::default();
            capability.set_type(framework_info::capability::Type::TaskKillingState);
            info.capabilities.push(capability);
        }
        let mut world = World::new();
        let agent = world.agent(1, "one");
        let mut outputs = world.call(10, subscribe(info, None));
        outputs.extend(world.advance(1));
        let offer = offers(&outputs, 10).remove(0);
        let outputs = world.call(10, launch(&offer.id, vec![task("t", &agent, "cpus:1")]));
        let [ToAgent::Launch(launched)] = to_agent(&outputs, 1)[..] else { panic!("{outputs:?}") };
        assert_eq!(launched.tell_killing, knows);
    }
}

#[test]
fn a_declined_offer_comes_back_after_its_filter() {
    let mut world = World::new();
    world.agent(1, "one");
    let (_, outputs) = world.framework(10, "marathon");
    let first = offers(&outputs, 10).remove(0);
    world.call(10, decline(&first.id, 5.0));
    assert_eq!(offers(&world.advance(4), 10), []);
    assert_eq!(offers(&world.advance(3), 10).len(), 1);
}

#[test]
fn stale_offers_drop_the_tasks_and_give_the_valid_ones_back() {
    let mut world = World::new();
    let agent = world.agent(1, "one");
    let (_, outputs) = world.framework(10, "marathon");
    let valid = offers(&outputs, 10).remove(0).id;
    let mut operation = offer::Operation {
        launch: Some(offer::operation::Launch { task_infos: vec![task("t1", &agent, "cpus:1")] }),
        ..offer::Operation::default()
    };
    operation.set_type(offer::operation::Type::Launch);
    let stale = OfferId::from("master0-O99");
    let outputs = world.call(10, accept(vec![valid, stale], vec![operation], 0.0));
    let told = statuses(&outputs, 10);
    assert_eq!(
        (told[0].state(), told[0].reason()),
        (TaskState::TaskDropped, Reason::InvalidOffers)
    );
    assert!(told[0].message().contains("master0-O99"));
    assert_eq!(offers(&world.advance(1), 10).len(), 1);
}

#[test]
fn impossible_tasks_are_refused_with_the_reason() {
    let mut world = World::new();
    let agent = world.agent(1, "one");
    world.framework(10, "marathon");
    for (change, word) in [
        ((|t| t.task_id.value = "a/b".into()) as fn(&mut muster_api::mesos::TaskInfo), "slash"),
        (|t| t.task_id.value.clear(), "empty"),
        (|t| t.task_id.value = "x".repeat(256), "255"),
        (|t| t.agent_id.value = "elsewhere".into(), "elsewhere"),
        (|t| t.command = None, "command"),
        (|t| t.resources.clear(), "no resources"),
        (|t| t.resources = resources("cpus:5"), "more resources"),
        (|t| t.resources = resources("ports:[80-80]"), "more resources"),
    ] {
        let offer = world.master.offers().keys().next().unwrap().as_str().into();
        let mut wanted = task("t1", &agent, "cpus:1");
        change(&mut wanted);
        let outputs = world.call(10, launch(&offer, vec![wanted]));
        let told = statuses(&outputs, 10);
        assert_eq!(
            (told[0].state(), told[0].reason()),
            (TaskState::TaskError, Reason::TaskInvalid)
        );
        assert!(told[0].message().contains(word), "{word}: {}", told[0].message());
        assert!(world.master.tasks().is_empty());
        world.advance(1);
    }
}

#[test]
fn one_id_runs_once() {
    let (mut world, running) = World::running();
    world.advance(1);
    let offer = world.master.offers().keys().next().unwrap().as_str().into();
    let outputs = world.call(10, launch(&offer, vec![running.task.clone()]));
    assert!(statuses(&outputs, 10)[0].message().contains("duplicate"));
    assert!(to_agent(&outputs, 1).is_empty());
}

#[test]
fn offers_of_an_agent_that_leaves_are_rescinded() {
    let mut world = World::new();
    world.agent(1, "one");
    let (_, outputs) = world.framework(10, "marathon");
    let made = offers(&outputs, 10).remove(0);
    let outputs = world.step(Input::LinkClosed { link: 1 });
    let rescinded = events(&outputs, 10).find(|e| e.r#type() == event::Type::Rescind).unwrap();
    assert_eq!(rescinded.rescind.as_ref().unwrap().offer_id, made.id);
    assert_eq!(offers(&world.advance(5), 10), []);
}
