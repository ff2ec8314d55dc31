//! Offer constraints, in the JSON form of Mesos' message.

use std::collections::BTreeMap;

use muster_api::mesos::scheduler;
use muster_api::mesos::scheduler::attribute_constraint::{self, predicate, selector};
use muster_api::mesos::scheduler::offer_constraints::{self, role_constraints};
use serde::Deserialize;

use crate::labels::Role;

/// `OfferConstraints`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constraints {
    #[serde(default)]
    pub(crate) role_constraints: BTreeMap<Role, RoleConstraints>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleConstraints {
    #[serde(default)]
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(default)]
    attribute_constraints: Vec<Constraint>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Constraint {
    selector: Selector,
    predicate: Predicate,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Selector {
    AttributeName(String),
    PseudoattributeType(Pseudoattribute),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Pseudoattribute {
    Hostname,
    Region,
    Zone,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Predicate {
    Exists(Nothing),
    NotExists(Nothing),
    TextEquals(Text),
    TextNotEquals(Text),
    TextMatches(Expression),
    TextNotMatches(Expression),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expression {
    regex: String,
}

impl From<Constraints> for scheduler::OfferConstraints {
    fn from(json: Constraints) -> Self {
        let role = |(role, constraints): (Role, RoleConstraints)| (role.0, constraints.into());
        Self { role_constraints: json.role_constraints.into_iter().map(role).collect() }
    }
}

impl From<RoleConstraints> for offer_constraints::RoleConstraints {
    fn from(json: RoleConstraints) -> Self {
        let group = |group: Group| role_constraints::Group {
            attribute_constraints: group
                .attribute_constraints
                .into_iter()
                .map(Into::into)
                .collect(),
        };
        Self { groups: json.groups.into_iter().map(group).collect() }
    }
}

impl From<Constraint> for scheduler::AttributeConstraint {
    fn from(json: Constraint) -> Self {
        Self { selector: json.selector.into(), predicate: json.predicate.into() }
    }
}

impl From<Selector> for attribute_constraint::Selector {
    fn from(json: Selector) -> Self {
        use attribute_constraint::selector::PseudoattributeType;
        let selector = match json {
            Selector::AttributeName(name) => selector::Selector::AttributeName(name),
            Selector::PseudoattributeType(kind) => {
                let kind = match kind {
                    Pseudoattribute::Hostname => PseudoattributeType::Hostname,
                    Pseudoattribute::Region => PseudoattributeType::Region,
                    Pseudoattribute::Zone => PseudoattributeType::Zone,
                };
                selector::Selector::PseudoattributeType(kind.into())
            }
        };
        Self { selector: Some(selector) }
    }
}

impl From<Predicate> for attribute_constraint::Predicate {
    fn from(json: Predicate) -> Self {
        use attribute_constraint::predicate as message;
        use predicate::Predicate as Choice;
        Self {
            predicate: Some(match json {
                Predicate::Exists(Nothing {}) => Choice::Exists(message::Exists {}),
                Predicate::NotExists(Nothing {}) => Choice::NotExists(message::NotExists {}),
                Predicate::TextEquals(Text { value }) => {
                    Choice::TextEquals(message::TextEquals { value })
                }
                Predicate::TextNotEquals(Text { value }) => {
                    Choice::TextNotEquals(message::TextNotEquals { value })
                }
                Predicate::TextMatches(Expression { regex }) => {
                    Choice::TextMatches(message::TextMatches { regex })
                }
                Predicate::TextNotMatches(Expression { regex }) => {
                    Choice::TextNotMatches(message::TextNotMatches { regex })
                }
            }),
        }
    }
}
