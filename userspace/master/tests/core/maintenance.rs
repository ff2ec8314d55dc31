//! Machines that will be down. Named after Mesos' `MasterMaintenanceTest`.

use muster_api::mesos::allocator::inverse_offer_status::Status;
use muster_api::mesos::maintenance::{Schedule, Window};
use muster_api::mesos::scheduler::{Call, call, event};
use muster_api::mesos::{
    DurationInfo, Filters, InverseOffer, MachineId, OfferId, TaskState, TimeInfo, Unavailability,
};
use muster_api::muster::master_message::Message as ToAgent;
use muster_master::core::{Change, Input, Output, Refusal};

use crate::world::*;

fn machine(hostname: &str, ip: &str) -> MachineId {
    let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    MachineId { hostname: set(hostname), ip: set(ip) }
}

fn unavailable(start: i64, duration: i64) -> Unavailability {
    Unavailability {
        start: TimeInfo { nanoseconds: start },
        duration: Some(DurationInfo { nanoseconds: duration }),
    }
}

fn schedule(windows: Vec<(Vec<MachineId>, Unavailability)>) -> Change {
    let windows = windows
        .into_iter()
        .map(|(machine_ids, unavailability)| Window { machine_ids, unavailability })
        .collect();
    Change::Schedule(Schedule { windows })
}

/// The machine of the agent "one", for an hour.
fn plan() -> Change {
    schedule(vec![(vec![machine("one", "")], unavailable(5, 3600))])
}

fn refused(world: &mut World, change: Change) -> String {
    match world.change(change).0 {
        Err(Refusal::Invalid(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

fn inverse_offers(outputs: &[Output], connection: u64) -> Vec<InverseOffer> {
    events(outputs, connection)
        .filter_map(|event| event.inverse_offers.as_ref())
        .flat_map(|offers| offers.inverse_offers.clone())
        .collect()
}

fn withdrawn(outputs: &[Output], connection: u64) -> usize {
    events(outputs, connection)
        .filter(|event| event.r#type() == event::Type::RescindInverseOffer)
        .count()
}

fn accept(id: &OfferId, refuse: f64) -> Call {
    let mut call = Call {
        accept_inverse_offers: Some(call::AcceptInverseOffers {
            inverse_offer_ids: vec![id.clone()],
            filters: Some(Filters { refuse_seconds: Some(refuse) }),
        }),
        ..Call::default()
    };
    call.set_type(call::Type::AcceptInverseOffers);
    call
}

fn decline(id: &OfferId, refuse: f64) -> Call {
    let mut call = Call {
        decline_inverse_offers: Some(call::DeclineInverseOffers {
            inverse_offer_ids: vec![id.clone()],
            filters: Some(Filters { refuse_seconds: Some(refuse) }),
        }),
        ..Call::default()
    };
    call.set_type(call::Type::DeclineInverseOffers);
    call
}

#[test]
fn update_schedule() {
    let mut world = World::new();
    let (one, two) = (machine("Machine1", ""), machine("", "0.0.0.2"));
    world.change(schedule(vec![(vec![one.clone()], unavailable(5, 1))])).0.unwrap();
    for (windows, wanted) in [
        (vec![(vec![], unavailable(5, 1))], "windows[0].machine_ids is empty"),
        (vec![(vec![one.clone()], unavailable(5, -1))], "windows[0].unavailability.duration"),
        (
            vec![(vec![one.clone()], unavailable(5, 1)), (vec![one.clone()], unavailable(9, 1))],
            "windows[1].machine_ids[0] is in the schedule already",
        ),
        (
            vec![(vec![one.clone(), machine("MACHINE1", "")], unavailable(5, 1))],
            "windows[0].machine_ids[1] is in the schedule already",
        ),
        (vec![(vec![machine("", "")], unavailable(5, 1))], "machine_ids[0] has neither"),
        (vec![(vec![machine("a", "1.2.3")], unavailable(5, 1))], "machine_ids[0].ip: \"1.2.3\""),
    ] {
        let problem = refused(&mut world, schedule(windows));
        assert!(problem.contains(wanted), "{problem}");
    }
    assert_eq!(
        world.master.maintenance_schedule().windows[0].machine_ids[..],
        std::slice::from_ref(&one)[..]
    );
    // What starts before 1970 has started.
    world.change(schedule(vec![(vec![one, two], unavailable(-10, 1))])).0.unwrap();
    world.restart();
    assert_eq!(world.master.maintenance_schedule().windows[0].machine_ids.len(), 2);
    assert_eq!(world.master.maintenance_status().draining_machines.len(), 2);
    world.change(schedule(vec![])).0.unwrap();
    world.restart();
    assert!(world.master.maintenance_schedule().windows.is_empty());
    assert!(world.master.maintenance_status().draining_machines.is_empty());
}

#[test]
fn fail_to_unschedule_deactivated_machines() {
    let mut world = World::new();
    let both = vec![machine("one", ""), machine("two", "")];
    world.change(schedule(vec![(both, unavailable(5, 1))])).0.unwrap();
    world.change(Change::Down(vec![machine("one", "")])).0.unwrap();
    world.restart();
    let only_two = || schedule(vec![(vec![machine("two", "")], unavailable(5, 1))]);
    let problem = refused(&mut world, only_two());
    assert!(problem.contains("\"one\"") && problem.contains("is down"), "{problem}");
    assert_eq!(world.master.maintenance_status().down_machines, [machine("one", "")]);
    world.change(Change::Up(vec![machine("one", "")])).0.unwrap();
    world.change(only_two()).0.unwrap();
}

#[test]
fn pending_unavailability_test() {
    let (mut world, running) = World::running();
    let offered = offers(&world.advance(1), 10).remove(0);
    assert_eq!(offered.unavailability, None);
    let (result, outputs) = world.change(plan());
    result.unwrap();
    // Offers say when the agent will be down, and whoever runs something there is asked to go.
    assert_eq!(rescinded(&outputs, 10), [offered.id.value]);
    let asked = inverse_offers(&outputs, 10);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].agent_id.as_ref().unwrap().value, running.agent);
    assert_eq!(asked[0].framework_id.value, running.framework);
    assert_eq!((asked[0].unavailability, asked[0].resources.len()), (unavailable(5, 3600), 0));
    let plans: Vec<_> = offers(&outputs, 10).iter().map(|offer| offer.unavailability).collect();
    assert_eq!(plans, [Some(unavailable(5, 3600))]);
    // The same schedule again changes nothing.
    let (result, outputs) = world.change(plan());
    result.unwrap();
    assert_eq!(outputs, []);
    // Without a plan the question is withdrawn.
    let (result, outputs) = world.change(schedule(vec![]));
    result.unwrap();
    assert_eq!(withdrawn(&outputs, 10), 1);
    assert_eq!(offers(&outputs, 10)[0].unavailability, None);
}

#[test]
fn enter_maintenance_mode() {
    let (mut world, running) = World::running();
    world.change(plan()).0.unwrap();
    let (result, outputs) = world.change(Change::Down(vec![machine("one", "")]));
    result.unwrap();
    // Its tasks are to end, and its agent is gone.
    let told = to_agent(&outputs, 1);
    assert!(
        matches!(told[..], [ToAgent::Kill(kill)] if kill.task_id == Some("t1".into())),
        "{told:?}"
    );
    assert!(outputs.contains(&Output::CloseLink(1)));
    assert_eq!(statuses(&outputs, 10)[0].state(), TaskState::TaskGone);
    assert!(world.master.agents().is_empty());
    world.restart();
    let outputs = world.register(2, running.registration());
    let refusal = to_agent(&outputs, 2);
    assert!(
        matches!(refusal[..], [ToAgent::Refused(refused)] if refused.reason.contains("/machine/up")),
        "{refusal:?}"
    );
    world.change(Change::Up(vec![machine("one", "")])).0.unwrap();
    world.restart();
    assert!(world.master.maintenance_schedule().windows.is_empty());
    let outputs = world.register(3, running.registration());
    assert_eq!(registered(&outputs), running.agent);
}

#[test]
fn bring_down_and_up_machines() {
    let mut world = World::new();
    world.change(plan()).0.unwrap();
    let (one, two) = (machine("one", ""), machine("two", ""));
    for (change, wanted) in [
        (Change::Down(vec![]), "machines is empty"),
        (Change::Up(vec![]), "machines is empty"),
        (Change::Down(vec![two.clone()]), "machines[0] is not in the maintenance schedule"),
        (Change::Down(vec![one.clone(), two.clone()]), "machines[1] is not in the maintenance"),
        (Change::Down(vec![one.clone(), one.clone()]), "machines[1] is there twice"),
        (Change::Down(vec![machine("", "")]), "machines[0] has neither hostname nor ip"),
        (Change::Up(vec![one.clone()]), "machines[0] is not down"),
        (Change::Up(vec![two]), "machines[0] is not in the maintenance schedule"),
    ] {
        let problem = refused(&mut world, change);
        assert!(problem.starts_with(wanted), "{problem}");
    }
    world.change(Change::Down(vec![one.clone()])).0.unwrap();
    let problem = refused(&mut world, Change::Down(vec![one]));
    assert!(problem.starts_with("machines[0] is down already"), "{problem}");
}

#[test]
fn inverse_offers_are_answered() {
    let (mut world, running) = World::running();
    let (_, outputs) = world.change(plan());
    let asked = inverse_offers(&outputs, 10).remove(0).id;
    let statuses = |world: &World| -> Vec<(Status, String)> {
        let status = world.master.maintenance_status();
        let statuses = status.draining_machines.into_iter().flat_map(|machine| machine.statuses);
        statuses.map(|status| (status.status(), status.framework_id.value)).collect()
    };
    assert_eq!(statuses(&world), []);
    // It is asked once, until it answers.
    assert_eq!(inverse_offers(&world.advance(5), 10), []);
    world.call(10, accept(&asked, 0.0));
    assert_eq!(statuses(&world), [(Status::Accept, running.framework.clone())]);
    // And asked again.
    let asked = inverse_offers(&world.advance(1), 10).remove(0).id;
    world.call(10, decline(&asked, 0.0));
    assert_eq!(statuses(&world), [(Status::Decline, running.framework.clone())]);
    // Other plans are another question.
    let later = schedule(vec![(vec![machine("one", "10.0.0.1")], unavailable(9, 1))]);
    world.change(later).0.unwrap();
    assert_eq!(statuses(&world), []);
}

#[test]
fn inverse_offers_filters() {
    let (mut world, _) = World::running();
    let (_, outputs) = world.change(plan());
    let asked = inverse_offers(&outputs, 10).remove(0).id;
    world.call(10, decline(&asked, 5.0));
    assert_eq!(inverse_offers(&world.advance(4), 10), []);
    assert_eq!(inverse_offers(&world.advance(2), 10).len(), 1);
}

#[test]
fn accept_invalid_inverse_offer() {
    let (mut world, _) = World::running();
    let (_, outputs) = world.change(plan());
    let asked = inverse_offers(&outputs, 10).remove(0).id;
    world.framework(11, "other");
    world.call(11, accept(&asked, 0.0));
    world.call(10, accept(&OfferId::from("master0-O99"), 0.0));
    assert!(world.master.maintenance_status().draining_machines[0].statuses.is_empty());
    // The question still stands.
    world.call(10, accept(&asked, 0.0));
    assert_eq!(world.master.maintenance_status().draining_machines[0].statuses.len(), 1);
}

#[test]
fn who_goes_and_comes_back_is_asked_anew() {
    let (mut world, running) = World::running();
    world.change(plan()).0.unwrap();
    let outputs = world.step(Input::LinkClosed { link: 1 });
    assert_eq!(withdrawn(&outputs, 10), 1);
    let outputs = world.register(2, running.registration());
    assert_eq!(inverse_offers(&outputs, 10).len(), 1);
    let outputs = world.call(11, subscribe(framework("marathon"), Some(&running.framework)));
    assert_eq!(inverse_offers(&outputs, 11).len(), 1);
}

#[test]
fn inverse_offers_that_are_not_answered_in_time_are_rescinded() {
    let (mut world, _) = World::running();
    world.change(plan()).0.unwrap();
    assert_eq!(withdrawn(&world.advance(30), 10), 0);
    let mut world = World::with(|options| {
        options.offer_timeout = Some(std::time::Duration::from_secs(10));
    });
    let agent = world.agent(1, "one");
    let (_, outputs) = world.framework(10, "f");
    let offer = offers(&outputs, 10).remove(0).id;
    world.call(10, launch(&offer, vec![task("t1", &agent, "cpus:1")]));
    world.change(plan()).0.unwrap();
    let outputs = world.advance(11);
    assert_eq!((withdrawn(&outputs, 10), inverse_offers(&outputs, 10).len()), (1, 1));
}
