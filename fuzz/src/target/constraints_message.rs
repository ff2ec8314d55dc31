//! Offer constraints as messages.

use muster_allocator::{AgentOptions, ConstraintLimits, Domain, OfferConstraints};
use muster_api::mesos::{Attribute, scheduler, value};
use prost::Message as _;

pub(crate) fn run(input: &[u8]) {
    let Ok(message) = scheduler::OfferConstraints::decode(input) else { return };
    let read = |message: &scheduler::OfferConstraints| {
        OfferConstraints::from_proto(message, ConstraintLimits::default())
    };
    let Ok(constraints) = read(&message) else { return };
    assert_eq!(constraints.is_empty(), message.role_constraints.is_empty());
    for agent in agents() {
        assert!(!constraints.excludes("a role without constraints", &agent));
        for (role, own) in &message.role_constraints {
            // An agent is offered if one of the groups lets it be.
            let of_group = |group: &scheduler::offer_constraints::role_constraints::Group| {
                let own =
                    scheduler::offer_constraints::RoleConstraints { groups: vec![group.clone()] };
                let one = [(role.clone(), own)].into();
                read(&scheduler::OfferConstraints { role_constraints: one })
            };
            let is_excluded = own.groups.iter().all(|group| match of_group(group) {
                Ok(constraints) => constraints.excludes(role, &agent),
                Err(error) => unreachable!("by itself, a group is refused: {error}"),
            });
            assert_eq!(constraints.excludes(role, &agent), is_excluded);
        }
    }
}

/// With and without everything that constraints may be about.
fn agents() -> [AgentOptions; 2] {
    let attribute = |kind, attribute| {
        let mut attribute: Attribute = attribute;
        "a".clone_into(&mut attribute.name);
        attribute.set_type(kind);
        attribute
    };
    let text = Some(value::Text { value: "text".to_owned() });
    let scalar = Some(value::Scalar { value: 1.0 });
    let attributes = vec![
        attribute(value::Type::Text, Attribute { text, ..Attribute::default() }),
        Attribute {
            name: "b".to_owned(),
            ..attribute(value::Type::Scalar, Attribute { scalar, ..Attribute::default() })
        },
    ];
    let domain = Some(Domain { region: "r".to_owned(), zone: "z".to_owned() });
    let hostname = "host".to_owned();
    [
        AgentOptions { hostname, attributes, domain, ..AgentOptions::default() },
        AgentOptions::default(),
    ]
}
