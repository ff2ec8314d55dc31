//! Who comes first.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::time::Duration;

use muster_allocator::{AgentOptions, Allocator, FrameworkOptions, Options};
use muster_resources::Resources;

fn agent(resources: &str) -> AgentOptions {
    AgentOptions { total: Resources::parse(resources).unwrap(), ..AgentOptions::default() }
}

fn framework(role: &str) -> FrameworkOptions {
    FrameworkOptions { roles: vec![role.to_owned()], active: true, ..FrameworkOptions::default() }
}

#[test]
fn unreserved_drf() {
    let mut allocator = Allocator::new(Options::default());
    let none = BTreeMap::new;
    let now = Duration::ZERO;
    let steps = [
        ("agent1", "cpus:2;mem:1024", Some(("framework1", "role1")), "framework1"),
        ("agent2", "cpus:1;mem:512", Some(("framework2", "role2")), "framework2"),
        ("agent3", "cpus:3;mem:2048", None, "framework2"),
        ("agent4", "cpus:4;mem:4096", Some(("framework3", "role1")), "framework3"),
        ("agent5", "cpus:1;mem:512", Some(("framework4", "role1")), "framework2"),
    ];
    for (id, resources, joins, wins) in steps {
        if let Some((id, role)) = joins {
            allocator.add_framework(id, framework(role), none()).unwrap();
        }
        allocator.add_agent(id, agent(resources), none()).unwrap();
        let grants = allocator.allocate(now);
        let [grant] = &grants[..] else { panic!("{grants:?}") };
        assert_eq!((grant.framework.as_str(), grant.agent.as_str()), (wins, id));
        assert_eq!(grant.resources.clone().unallocated().to_string(), resources);
    }
}
