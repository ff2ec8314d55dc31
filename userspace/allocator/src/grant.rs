//! What an allocation cycle gives.

use muster_resources::Resources;

/// Resources of an agent for a framework in one of its roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The framework.
    pub framework: String,
    /// The role.
    pub role: String,
    /// The agent.
    pub agent: String,
    /// The resources, marked as allocated to the role.
    pub resources: Resources,
}
