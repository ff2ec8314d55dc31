//! When and to whom the master offers.

use muster_api::mesos::scheduler::{
    AttributeConstraint, Call, OfferConstraints, attribute_constraint, call, offer_constraints,
};
use muster_api::mesos::{DomainInfo, domain_info};
use muster_master::core::Input;

use crate::world::*;

#[test]
fn what_comes_free_waits_for_the_interval_and_who_asks_does_not() {
    let mut world = World::new();
    world.agent(1, "one");
    let (_, outputs) = world.framework(10, "f");
    let first = offers(&outputs, 10).remove(0).id;
    let outputs = world.call(10, decline(&first, 0.0));
    assert_eq!(offers(&outputs, 10), []);
    let mut revive = Call::default();
    revive.set_type(call::Type::Revive);
    assert_eq!(offers(&world.call(10, revive), 10).len(), 1);
}

#[test]
fn events_do_not_put_off_the_interval() {
    let mut world = World::new();
    world.agent(1, "one");
    let (_, outputs) = world.framework(10, "f");
    let first = offers(&outputs, 10).remove(0).id;
    world.call(10, decline(&first, 0.0));
    world.now += std::time::Duration::from_millis(600);
    world.agent(2, "two");
    world.now += std::time::Duration::from_millis(600);
    assert_eq!(offers(&world.step(Input::Tick), 10).len(), 1);
}

#[test]
fn only_what_is_concerned_is_allocated() {
    let mut world = World::new();
    world.agent(1, "one");
    let (_, outputs) = world.framework(10, "f");
    let first = offers(&outputs, 10).remove(0).id;
    world.call(10, decline(&first, 0.0));
    let cycles = world.master.allocator().cycles();
    let mut register = registration("two");
    register.info.as_mut().unwrap().hostname = "two".into();
    let outputs = world.register(2, register);
    let made = offers(&outputs, 10);
    assert_eq!(made.iter().map(|offer| offer.hostname.as_str()).collect::<Vec<_>>(), ["two"]);
    assert_eq!(world.master.allocator().cycles(), cycles + 1);
    // Nothing asks for another one.
    world.step(Input::Pong { link: 1 });
    assert_eq!(world.master.allocator().cycles(), cycles + 1);
}

#[test]
fn whitelist() {
    let mut world = World::new();
    world.agent(1, "one");
    world.agent(2, "two");
    world.step(Input::Whitelist(Some(["two".to_owned()].into())));
    let (_, outputs) = world.framework(10, "f");
    let hosts = |outputs: &[_]| -> Vec<String> {
        offers(outputs, 10).into_iter().map(|offer| offer.hostname).collect()
    };
    assert_eq!(hosts(&outputs), ["two"]);
    world.step(Input::Whitelist(None));
    assert_eq!(hosts(&world.advance(1)), ["one"]);
}

/// Only machines with this name.
fn only_host(name: &str) -> OfferConstraints {
    let constraint = AttributeConstraint {
        selector: attribute_constraint::Selector {
            selector: Some(attribute_constraint::selector::Selector::PseudoattributeType(
                attribute_constraint::selector::PseudoattributeType::Hostname.into(),
            )),
        },
        predicate: attribute_constraint::Predicate {
            predicate: Some(attribute_constraint::predicate::Predicate::TextMatches(
                attribute_constraint::predicate::TextMatches { regex: name.to_owned() },
            )),
        },
    };
    let group =
        offer_constraints::role_constraints::Group { attribute_constraints: vec![constraint] };
    let constraints = offer_constraints::RoleConstraints { groups: vec![group] };
    OfferConstraints { role_constraints: [("*".to_owned(), constraints)].into() }
}

#[test]
fn offer_constraints_are_kept_to() {
    let mut world = World::new();
    let one = world.agent(1, "one");
    world.agent(2, "two");
    let mut call = subscribe(framework("f"), None);
    call.subscribe.as_mut().unwrap().offer_constraints = Some(only_host("tw."));
    let outputs = world.call(10, call);
    let made = offers(&outputs, 10);
    assert_eq!(made.iter().map(|offer| offer.hostname.as_str()).collect::<Vec<_>>(), ["two"]);
    let id = world.master.frameworks().keys().next().unwrap().clone();
    assert_eq!(world.master.allocator().excluded_agents(&id, "*"), Ok(vec![one]));

    // Without them, everything is offered again, but only in its time.
    let mut call = Call {
        update_framework: Some(call::UpdateFramework {
            framework_info: framework("f"),
            ..Default::default()
        }),
        ..Call::default()
    };
    call.set_type(call::Type::UpdateFramework);
    assert_eq!(offers(&world.call(10, call), 10), []);
    assert_eq!(offers(&world.advance(1), 10).len(), 1);
}

#[test]
fn offer_constraints_that_are_too_complex_are_refused() {
    let mut world = World::with(|options| options.constraint_limits.max_program_size = 10);
    let mut call = subscribe(framework("f"), None);
    call.subscribe.as_mut().unwrap().offer_constraints = Some(only_host("a{50}"));
    let outputs = world.call(10, call);
    let error = events(&outputs, 10).find_map(|event| event.error.as_ref()).expect("ERROR");
    assert!(
        error.message.contains("offer_constraints.role_constraints[\"*\"].groups[0]"),
        "{error:?}"
    );
}

fn domain(region: &str) -> DomainInfo {
    DomainInfo {
        fault_domain: Some(domain_info::FaultDomain {
            region: domain_info::fault_domain::RegionInfo { name: region.into() },
            zone: domain_info::fault_domain::ZoneInfo { name: "z".into() },
        }),
    }
}

#[test]
fn agents_of_other_regions_are_for_frameworks_that_know_regions() {
    let mut world = World::with(|options| options.domain = Some(domain("here")));
    for (link, hostname, region) in [(1, "one", "here"), (2, "two", "there")] {
        let mut register = registration(hostname);
        register.info.as_mut().unwrap().domain = Some(domain(region));
        world.register(link, register);
    }
    let (_, outputs) = world.framework(10, "f");
    assert_eq!(offers(&outputs, 10).len(), 1);
    let mut aware = framework("g");
    let mut capability = muster_api::mesos::framework_info::Capability::default();
    capability.set_type(muster_api::mesos::framework_info::capability::Type::RegionAware);
    aware.capabilities.push(capability);
    let (_, outputs) = world.described(11, aware);
    assert_eq!(offers(&outputs, 11).len(), 1);
    assert_eq!(world.master.info().domain, Some(domain("here")));
}

#[test]
fn an_agent_with_a_domain_needs_a_master_with_one() {
    let mut world = World::new();
    let mut register = registration("one");
    register.info.as_mut().unwrap().domain = Some(domain("here"));
    world.register(1, register);
    assert!(world.master.agents().is_empty());
}

#[test]
fn allocations_are_timed_by_the_caller() {
    let mut world = World::new();
    assert!(!world.master.wants_allocation());
    world.agent(1, "one");
    let names = |world: &World| -> usize {
        let metrics = world.master.allocator().metrics();
        metrics.keys().filter(|name| name.contains("allocation_run_")).count()
    };
    assert_eq!(names(&world), 0);
    for _ in 0..2 {
        let millis = std::time::Duration::from_millis;
        world.master.note_allocation(world.now, millis(5), millis(10));
    }
    let metrics = world.master.allocator().metrics();
    assert_eq!(metrics.get("allocator/mesos/allocation_run_ms"), Some(&10.0));
    assert_eq!(metrics.get("allocator/mesos/allocation_run_latency_ms/max"), Some(&5.0));
}
