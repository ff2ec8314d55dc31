//! Which agents a framework wants offers of.

mod predicate;
mod selector;

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_api::mesos::scheduler;

use self::predicate::Predicate;
use self::selector::Selector;
use crate::{AgentOptions, Error};

/// How much the regular expressions of constraints may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConstraintLimits {
    /// States of an expression's automaton.
    pub max_program_size: usize,
    /// Memory of an expression's automaton, in bytes.
    pub max_mem: usize,
}

impl Default for ConstraintLimits {
    /// Mesos' limits: 100 states, 4 KiB.
    fn default() -> Self {
        Self { max_program_size: 100, max_mem: 4096 }
    }
}

/// Constraints by role: an agent is offered if all constraints of one group hold. A role
/// without constraints is offered all agents. Clones share what is compiled.
#[derive(Clone, Debug, Default)]
pub struct OfferConstraints(Arc<BTreeMap<String, Vec<Group>>>);

/// Constraints that hold together.
type Group = Vec<Constraint>;

#[derive(Debug)]
struct Constraint {
    selector: Selector,
    predicate: Predicate,
}

impl OfferConstraints {
    /// Reads the message, and compiles its regular expressions.
    ///
    /// # Errors
    /// [`Error::Constraint`]: roles without groups, groups without constraints, selectors and
    /// predicates that are not set or not known, and regular expressions that are wrong or
    /// too complex.
    pub fn from_proto(
        message: &scheduler::OfferConstraints,
        limits: ConstraintLimits,
    ) -> Result<Self, Error> {
        let mut roles = BTreeMap::new();
        for (role, constraints) in &message.role_constraints {
            let wrong = |place: String, problem: String| Error::Constraint {
                role: role.clone(),
                place,
                problem,
            };
            if constraints.groups.is_empty() {
                let problem = "it is empty; leave the role out to offer it all agents";
                return Err(wrong("groups".to_owned(), problem.to_owned()));
            }
            let mut groups = Vec::with_capacity(constraints.groups.len());
            for (index, group) in constraints.groups.iter().enumerate() {
                let place = format!("groups[{index}].attribute_constraints");
                if group.attribute_constraints.is_empty() {
                    return Err(wrong(place, "it is empty".to_owned()));
                }
                let read = |(at, constraint)| {
                    Constraint::read(constraint, limits).map_err(|(field, problem)| {
                        wrong(format!("{place}[{at}].{field}"), problem)
                    })
                };
                let group = group.attribute_constraints.iter().enumerate().map(read);
                groups.push(group.collect::<Result<Group, Error>>()?);
            }
            roles.insert(role.clone(), groups);
        }
        Ok(Self(Arc::new(roles)))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a role is not offered an agent.
    pub fn excludes(&self, role: &str, agent: &AgentOptions) -> bool {
        self.0.get(role).is_some_and(|groups| {
            !groups.iter().any(|group| group.iter().all(|constraint| constraint.holds(agent)))
        })
    }
}

impl Constraint {
    /// Reads the message; on failure, the field and what is wrong with it.
    fn read(
        message: &scheduler::AttributeConstraint,
        limits: ConstraintLimits,
    ) -> Result<Self, (&'static str, String)> {
        Ok(Self {
            selector: Selector::read(&message.selector).map_err(|problem| ("selector", problem))?,
            predicate: Predicate::read(&message.predicate, limits)
                .map_err(|problem| ("predicate", problem))?,
        })
    }

    fn holds(&self, agent: &AgentOptions) -> bool {
        self.predicate.holds(self.selector.select(agent))
    }
}
