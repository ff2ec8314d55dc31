//! Tasks end.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::time::Duration;

use muster_allocator::{
    AgentOptions, Allocator, Error, FrameworkOptions, Options, Quota, RoleView,
};
use muster_resources::{Quantities, Resources};

const NOW: Duration = Duration::ZERO;

fn resources(text: &str) -> Resources {
    Resources::parse(text).unwrap()
}

fn allocator() -> Allocator {
    let mut allocator = Allocator::new(Options::default());
    let total = resources("cpus:4;mem:4096");
    let options = AgentOptions { total, ..AgentOptions::default() };
    allocator.add_agent("agent", options, BTreeMap::new()).unwrap();
    let options = FrameworkOptions {
        roles: vec!["role".to_owned()],
        active: true,
        ..FrameworkOptions::default()
    };
    allocator.add_framework("framework", options, BTreeMap::new()).unwrap();
    let quota = Quota { guarantees: Quantities::parse("cpus:1").unwrap(), ..Quota::default() };
    allocator.update_quota("role", quota).unwrap();
    allocator
}

fn role(allocator: &Allocator) -> RoleView {
    allocator.role("role").unwrap()
}

/// What is offered while a task runs is still offered when it has ended, and counts as used
/// only once it is.
#[test]
fn an_offer_outlasts_a_task() {
    let mut allocator = allocator();
    allocator.allocate(NOW);
    let (task, rest) = (resources("cpus:1;mem:1024"), resources("cpus:3;mem:3072"));
    allocator.launch("framework", "role", "agent", &task).unwrap();
    assert_eq!(role(&allocator).consumed, Quantities::of(&task));
    allocator.finish("framework", "role", "agent", &task).unwrap();
    assert_eq!(role(&allocator).consumed, Quantities::default());
    assert_eq!(allocator.allocation("framework", "role", "agent"), rest);
    assert_eq!(allocator.available("agent").unwrap(), task);
    allocator.launch("framework", "role", "agent", &rest).unwrap();
    assert_eq!(role(&allocator).consumed, Quantities::of(&rest));
    allocator.finish("framework", "role", "agent", &rest).unwrap();
    assert_eq!(role(&allocator).consumed, Quantities::default());
}

#[test]
fn only_what_is_used_can_end() {
    let mut allocator = allocator();
    allocator.allocate(NOW);
    allocator.launch("framework", "role", "agent", &resources("cpus:1")).unwrap();
    let error = allocator.finish("framework", "role", "agent", &resources("cpus:2")).unwrap_err();
    let Error::NotHeld { held, .. } = error else { panic!("{error}") };
    assert_eq!(held, "cpus:1");
    assert_eq!(role(&allocator).consumed, Quantities::parse("cpus:1").unwrap());
}
