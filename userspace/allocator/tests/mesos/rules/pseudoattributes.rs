//! Agents chosen by where they are, and what a choice does.

use muster_allocator::{
    AgentOptions, ConstraintLimits, Domain, Error, FrameworkOptions, OfferConstraints,
};
use muster_api::mesos::scheduler::attribute_constraint::predicate::{
    Predicate as Says, TextEquals,
};
use muster_api::mesos::scheduler::attribute_constraint::selector::{
    PseudoattributeType, Selector as Choice,
};
use muster_api::mesos::scheduler::attribute_constraint::{Predicate, Selector};
use muster_api::mesos::scheduler::offer_constraints::RoleConstraints;
use muster_api::mesos::scheduler::offer_constraints::role_constraints::Group;
use muster_api::mesos::scheduler::{self, AttributeConstraint};

use crate::cluster::{Cluster, Offer};
use crate::{in_role, resources};

fn read(groups: Vec<Vec<AttributeConstraint>>) -> Result<OfferConstraints, Error> {
    let group = |attribute_constraints| Group { attribute_constraints };
    let groups = RoleConstraints { groups: groups.into_iter().map(group).collect() };
    let role_constraints = [("role".to_owned(), groups)].into();
    let message = scheduler::OfferConstraints { role_constraints };
    OfferConstraints::from_proto(&message, ConstraintLimits::default())
}

fn equals(kind: PseudoattributeType, value: &str) -> AttributeConstraint {
    let says = Says::TextEquals(TextEquals { value: value.to_owned() });
    AttributeConstraint {
        selector: Selector { selector: Some(Choice::PseudoattributeType(kind.into())) },
        predicate: Predicate { predicate: Some(says) },
    }
}

#[test]
fn agents_are_chosen_by_host_region_and_zone() {
    for (kind, value, chosen) in [
        (PseudoattributeType::Hostname, "agent2", "agent2"),
        (PseudoattributeType::Region, "r1", "agent1"),
        (PseudoattributeType::Zone, "z2", "agent2"),
    ] {
        let mut cluster = Cluster::new();
        let offer_constraints = read(vec![vec![equals(kind, value)]]).unwrap();
        let both = vec!["role".to_owned(), "free".to_owned()];
        cluster.framework_with(FrameworkOptions {
            roles: both,
            suppressed: ["free".to_owned()].into(),
            offer_constraints,
            ..in_role("role")
        });
        for number in 1..=2 {
            let (region, zone) = (format!("r{number}"), format!("z{number}"));
            cluster.agent_with(AgentOptions {
                total: resources("cpus:2;mem:1024"),
                domain: Some(Domain { region, zone }),
                ..AgentOptions::default()
            });
        }
        let agents = |offers: Vec<Offer>| -> Vec<(String, String)> {
            offers.into_iter().map(|offer| (offer.role, offer.agent)).collect()
        };
        let other = if chosen == "agent1" { "agent2" } else { "agent1" };
        assert_eq!(agents(cluster.settle()), [("role".to_owned(), chosen.to_owned())]);
        assert_eq!(cluster.allocator.excluded_agents("framework1", "role").unwrap(), [other]);
        // Another role of the same framework is offered all.
        assert!(cluster.allocator.excluded_agents("framework1", "free").unwrap().is_empty());
        cluster.allocator.revive("framework1", &["free".to_owned()]).unwrap();
        assert_eq!(agents(cluster.settle()), [("free".to_owned(), other.to_owned())]);
    }
}

#[test]
fn nothing_is_no_constraint() {
    let unknown = AttributeConstraint {
        selector: Selector { selector: Some(Choice::PseudoattributeType(99)) },
        ..equals(PseudoattributeType::Zone, "z")
    };
    let without = |change: fn(&mut AttributeConstraint)| {
        let mut constraint = equals(PseudoattributeType::Zone, "z");
        change(&mut constraint);
        vec![vec![constraint]]
    };
    for (groups, place) in [
        (Vec::new(), "groups"),
        (vec![Vec::new()], "groups[0].attribute_constraints"),
        (without(|constraint| constraint.selector.selector = None), "selector"),
        (without(|constraint| constraint.predicate.predicate = None), "predicate"),
        (vec![vec![unknown]], "selector"),
    ] {
        let refused = read(groups).unwrap_err().to_string();
        assert!(refused.contains(place), "{refused}");
    }
}
