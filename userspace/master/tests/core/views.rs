//! The cluster view that agents are sent.

use std::time::Duration;

use muster_api::mesos::scheduler::{Call, call};
use muster_api::mesos::{DiscoveryInfo, Label, Labels, Port, Ports, TaskInfo, TaskState};
use muster_api::muster::master_message::Message as ToAgent;
use muster_api::muster::{Register, ViewDelta, Vip};
use muster_master::core::{Input, Output};
use muster_store::Store as _;

use crate::world::*;

fn with_vip(mut task: TaskInfo) -> TaskInfo {
    let label = Label { key: "VIP_0".into(), value: Some("/web:80".into()) };
    let port = Port {
        number: 31000,
        protocol: Some("tcp".into()),
        labels: Some(Labels { labels: vec![label] }),
        ..Port::default()
    };
    task.discovery = Some(DiscoveryInfo {
        ports: Some(Ports { ports: vec![port] }),
        ..DiscoveryInfo::default()
    });
    task
}

fn deltas(outputs: &[Output], link: u64) -> Vec<ViewDelta> {
    to_agent(outputs, link)
        .into_iter()
        .filter_map(|message| match message {
            ToAgent::Delta(delta) => Some(delta.clone()),
            _ => None,
        })
        .collect()
}

fn snapshot(outputs: &[Output], link: u64) -> Vec<Vip> {
    to_agent(outputs, link)
        .into_iter()
        .find_map(|message| match message {
            ToAgent::Snapshot(snapshot) => Some(snapshot.vips.clone()),
            _ => None,
        })
        .expect("Snapshot")
}

#[test]
fn a_running_task_becomes_a_backend_everywhere_and_an_ended_one_leaves() {
    let mut world = World::new();
    let agent = world.agent(1, "one");
    world.agent(2, "two");
    let (framework, outputs) = world.framework(10, "marathon");
    let offer = offers(&outputs, 10).into_iter().find(|o| o.agent_id.value == agent).unwrap();
    let wanted = with_vip(task("t1", &agent, "cpus:1;ports:[31000-31000]"));
    world.call(10, launch(&offer.id, vec![wanted.clone()]));
    let outputs = world.update(1, &framework, status("t1", TaskState::TaskRunning, 1));
    for link in [1, 2] {
        let changed = &deltas(&outputs, link)[0].vips_changed[0];
        assert_eq!(changed.name, "web.marathon.l4lb.thisdcos.directory");
        assert!(changed.key.as_ref().unwrap().address.starts_with("11."));
        let backend = &changed.backends[0];
        assert_eq!(
            (backend.address.as_str(), backend.port, backend.weight),
            ("10.0.0.1", 31000, 1)
        );
    }
    let mut unhealthy = status("t1", TaskState::TaskRunning, 2);
    unhealthy.healthy = Some(false);
    let outputs = world.update(1, &framework, unhealthy);
    assert_eq!(deltas(&outputs, 2)[0].vips_changed[0].backends[0].weight, 0);
    let outputs = world.update(1, &framework, status("t1", TaskState::TaskFailed, 3));
    assert_eq!(deltas(&outputs, 2)[0].vips_changed[0].backends, []);
}

#[test]
fn a_task_that_is_to_be_killed_gets_no_new_connections() {
    let mut world = World::new();
    let agent = world.agent(1, "one");
    world.agent(2, "two");
    let (framework, outputs) = world.framework(10, "marathon");
    let offer = offers(&outputs, 10).into_iter().find(|o| o.agent_id.value == agent).unwrap();
    let wanted = with_vip(task("t1", &agent, "cpus:1;ports:[31000-31000]"));
    world.call(10, launch(&offer.id, vec![wanted]));
    world.update(1, &framework, status("t1", TaskState::TaskRunning, 1));
    let outputs = world.call(10, kill("t1"));
    for link in [1, 2] {
        assert_eq!(deltas(&outputs, link)[0].vips_changed[0].backends[0].weight, 0);
    }
    // Those that it has go on until it has ended, whatever it says meanwhile.
    let outputs = world.update(1, &framework, status("t1", TaskState::TaskRunning, 2));
    assert_eq!(deltas(&outputs, 2), []);
    let outputs = world.update(1, &framework, status("t1", TaskState::TaskKilled, 3));
    assert_eq!(deltas(&outputs, 2)[0].vips_changed[0].backends, []);
}

#[test]
fn the_view_is_whole_before_the_first_agent_is_back() {
    let mut world = World::new();
    let one = world.agent(1, "one");
    let (framework, outputs) = world.framework(10, "marathon");
    let offer = offers(&outputs, 10).remove(0);
    let wanted = with_vip(task("t1", &one, "cpus:1;ports:[31000-31000]"));
    world.call(10, launch(&offer.id, vec![wanted]));
    world.update(1, &framework, status("t1", TaskState::TaskRunning, 1));
    let two = world.agent(2, "two");
    let before = world.master.view().snapshot().vips;
    world.restart();
    let mut back = registration("two");
    back.info.as_mut().unwrap().id = Some(two.as_str().into());
    let outputs = world.register(3, back);
    // Agent one has not been heard of, and its backend is there at the same address.
    let mut view = snapshot(&outputs, 3);
    for delta in deltas(&outputs, 3) {
        view.extend(delta.vips_changed);
    }
    assert!(view.contains(&before[0]), "{view:?}");
}

#[test]
fn name_has_an_address_of_each_family_that_it_has_backends_in_and_keeps_both() {
    let mut world = World::new();
    let one = world.agent(1, "one");
    let outputs = world.register(2, Register { address: "fd00::2".into(), ..registration("two") });
    let two = registered(&outputs);
    let (framework, mut outputs) = world.framework(10, "marathon");
    for (link, id, agent) in [(1, "t1", &one), (2, "t2", &two)] {
        let offers = offers(&outputs, 10);
        let offer = offers.iter().find(|offer| offer.agent_id.value == *agent).unwrap();
        let wanted = with_vip(task(id, agent, "cpus:1;ports:[31000-31000]"));
        world.call(10, launch(&offer.id, vec![wanted]));
        let running = status(id, TaskState::TaskRunning, 1);
        outputs.extend(world.update(link, &framework, running));
    }
    let vips = world.master.view().snapshot().vips;
    let shown: Vec<_> = vips
        .iter()
        .map(|vip| (vip.key.as_ref().unwrap().address.as_str(), vip.backends[0].address.as_str()))
        .collect();
    let [(four, "10.0.0.1"), (six, "fd00::2")] = shown[..] else { panic!("{shown:?}") };
    assert!(four.starts_with("11.") && six.starts_with("fd01:c::"), "{shown:?}");
    assert!(vips.iter().all(|vip| vip.name == "web.marathon.l4lb.thisdcos.directory"));
    assert!(vips.iter().all(|vip| vip.backends.len() == 1));
    world.restart();
    world.agent(3, "three");
    assert_eq!(world.master.view().snapshot().vips, vips);
}

/// A task behind the VIP on each of two agents, which have the links 1 and 2.
fn two_backends(world: &mut World) -> [String; 2] {
    let agents = [world.agent(1, "one"), world.agent(2, "two")];
    let (framework, outputs) = world.framework(10, "marathon");
    for (link, agent) in (1..).zip(&agents) {
        let offers = offers(&outputs, 10);
        let offer = offers.iter().find(|offer| offer.agent_id.value == *agent).unwrap();
        let id = format!("t{link}");
        let wanted = with_vip(task(&id, agent, "cpus:1;ports:[31000-31000]"));
        world.call(10, launch(&offer.id, vec![wanted]));
        world.update(link, &framework, status(&id, TaskState::TaskRunning, 1));
    }
    agents
}

/// The agents of the VIP's backends, as an agent that registers now is told.
fn served_by(world: &World) -> Vec<String> {
    let vips = world.master.view().snapshot().vips;
    vips[0].backends.iter().map(|backend| backend.agent_id.clone()).collect()
}

#[test]
fn backends_of_an_agent_that_is_only_away_stay() {
    let mut world = World::new();
    let [one, two] = two_backends(&mut world);
    assert_eq!(deltas(&world.step(Input::LinkClosed { link: 1 }), 2), []);
    let gone = deltas(&world.advance(600), 2);
    let left = |delta: &ViewDelta| delta.vips_changed.iter().any(|vip| vip.backends.len() == 1);
    assert!(gone.iter().any(left), "{gone:?}");
    assert!(gone.iter().any(|delta| delta.agents_removed == [one.clone()]));
    assert_eq!(served_by(&world), [two]);
}

#[test]
fn vip_that_nobody_else_serves_keeps_its_backends_out_of_reach() {
    let mut world = World::new();
    let [one, two] = two_backends(&mut world);
    world.agent(3, "three");
    world.step(Input::LinkClosed { link: 1 });
    world.step(Input::LinkClosed { link: 2 });
    world.advance(600);
    let mut kept = served_by(&world);
    kept.sort();
    assert_eq!(kept, [one.clone(), two.clone()]);
    // What is known of one again, counts: it does not run its task any more.
    let again = |id: &str, name: &str| {
        let mut back = registration(name);
        back.info.as_mut().unwrap().id = Some(id.into());
        back
    };
    world.register(4, again(&one, "one"));
    assert_eq!(served_by(&world), std::slice::from_ref(&two));
    // The framework wants the other to end.
    world.call(10, kill("t2"));
    assert_eq!(served_by(&world), [""; 0]);
}

#[test]
fn framework_that_is_no_more_serves_nothing_out_of_reach() {
    let mut world = World::new();
    two_backends(&mut world);
    world.step(Input::LinkClosed { link: 1 });
    world.step(Input::LinkClosed { link: 2 });
    world.advance(600);
    assert_eq!(served_by(&world).len(), 2);
    let mut teardown = Call::default();
    teardown.set_type(call::Type::Teardown);
    world.call(10, teardown);
    assert_eq!(served_by(&world), [""; 0]);
}

#[test]
fn name_that_nobody_claims_gives_its_address_back_after_a_week() {
    let week = Duration::from_hours(24 * 7);
    let nearly = Duration::from_secs(7 * 24 * 3600 - 1);
    let mut world = World::new();
    two_backends(&mut world);
    let rows = |world: &World| world.store.scan("registry.vips").unwrap();
    let [(name, address)] = &rows(&world)[..] else { panic!("{:?}", rows(&world)) };
    assert_eq!(name, "web.marathon");
    let address = address.clone();
    let kept = |world: &mut World, later| {
        world.now += later;
        world.step(Input::Tick);
        rows(world) == [("web.marathon".to_owned(), address.clone())]
    };
    // As long as anything may serve it.
    assert!(kept(&mut world, week * 3));
    let framework = world.master.frameworks().keys().next().unwrap().clone();
    for link in [1, 2] {
        let ended = status(&format!("t{link}"), TaskState::TaskFinished, 2);
        world.update(link, &framework, ended);
    }
    assert!(kept(&mut world, Duration::ZERO));
    assert!(kept(&mut world, Duration::from_mins(5)));
    assert!(kept(&mut world, nearly));
    // A master that is started anew does not know since when.
    world.restart();
    assert!(kept(&mut world, Duration::from_hours(1)));
    assert!(kept(&mut world, nearly));
    assert!(!kept(&mut world, Duration::from_secs(1)));
    assert_eq!(rows(&world), []);
}
