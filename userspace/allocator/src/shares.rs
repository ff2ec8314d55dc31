//! Who has how much.

use std::collections::BTreeSet;

use muster_resources::Quantities;

use crate::Quota;

/// All roles that have frameworks, in the order in which the allocator serves them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    /// The roles.
    pub roles: Vec<RoleShare>,
}

/// A role and its frameworks.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleShare {
    /// The role, as a path.
    pub name: String,
    /// Its weight against its siblings.
    pub weight: f64,
    /// Dominant share of its own frameworks, subroles not included, divided by the weight
    /// unless it has subroles: the largest part that they have of any one resource.
    pub share: f64,
    /// How often something was allocated to it.
    pub allocations: u64,
    /// Its frameworks: first those that would be served, in that order, then the others.
    pub frameworks: Vec<FrameworkShare>,
}

impl RoleShare {
    /// Whether any of its frameworks would be served.
    pub fn is_active(&self) -> bool {
        self.frameworks.iter().any(|framework| framework.active)
    }
}

/// A framework in a role.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameworkShare {
    /// The framework.
    pub id: String,
    /// Its dominant share by what it has in this role.
    pub share: f64,
    /// How often something was allocated to it.
    pub allocations: u64,
    /// Whether it is connected, subscribed to the role, and has not suppressed it.
    pub active: bool,
}

/// What is known of a role. All amounts include the roles below it.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleView {
    /// Its weight against its siblings.
    pub weight: f64,
    /// What it is promised, and what it may have at most.
    pub quota: Quota,
    /// Scalars that are reserved to it, whether somebody has them or not.
    pub reserved: Quantities,
    /// Unreserved, non-revocable scalars that are offered to or used by it.
    pub held: Quantities,
    /// Reserved scalars that are offered to or used by it.
    pub held_reserved: Quantities,
    /// What counts against its quota when operators ask: what tasks use, and what is reserved.
    pub consumed: Quantities,
    /// What counts against its quota when resources are allocated: also what is offered.
    pub offered_or_consumed: Quantities,
    /// The frameworks that are subscribed to it or have something in it.
    pub frameworks: BTreeSet<String>,
    /// How many refusals of its frameworks are in force.
    pub filters: usize,
}
