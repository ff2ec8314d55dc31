//! Who has something, in which role, and where.

use std::fmt;

/// A framework, one of its roles, and an agent: what is offered there is one offer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The framework.
    pub framework: String,
    /// The role.
    pub role: String,
    /// The agent.
    pub agent: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { framework, role, agent } = self;
        write!(f, "framework {framework:?} in the role {role:?} on agent {agent:?}")
    }
}
