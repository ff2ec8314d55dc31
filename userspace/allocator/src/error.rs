//! What can be wrong with a request to the allocator.

use thiserror::Error;

/// Why the allocator refuses to do something. It is unchanged then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// No agent has this id.
    #[error("there is no agent {0:?}")]
    UnknownAgent(String),
    /// An agent with this id is there already.
    #[error("there is an agent {0:?} already; update or remove it first")]
    KnownAgent(String),
    /// No framework has this id.
    #[error("there is no framework {0:?}")]
    UnknownFramework(String),
    /// A framework with this id is there already.
    #[error("there is a framework {0:?} already; update or remove it first")]
    KnownFramework(String),
    /// An id that would be read as a path.
    #[error("the framework id {0:?} is empty or has a slash")]
    FrameworkId(String),
    /// A text that is no role.
    #[error(transparent)]
    Role(#[from] muster_resources::Problem),
    /// The framework has nothing to do with the role.
    #[error("framework {framework:?} is not subscribed to the role {role:?}")]
    NotSubscribed {
        /// The framework.
        framework: String,
        /// The role.
        role: String,
    },
    /// Resources that a framework uses do not say which of its roles they are allocated to.
    #[error("resources {resources} of framework {framework:?} are not allocated to a role")]
    Unallocated {
        /// The framework.
        framework: String,
        /// The resources.
        resources: String,
    },
    /// More is given back or changed than the framework has.
    #[error(
        "framework {framework:?} has {held} on agent {agent:?} in the role {role:?}, which is not all of {resources}"
    )]
    NotHeld {
        /// The framework.
        framework: String,
        /// The role.
        role: String,
        /// The agent.
        agent: String,
        /// What it should have.
        resources: String,
        /// What it has.
        held: String,
    },
    /// A task of which there could be any number.
    #[error("a task of framework {framework:?} takes nothing that would run out: {task:?}")]
    Task {
        /// The framework.
        framework: String,
        /// What the task takes.
        task: String,
    },
    /// An operation that cannot be applied.
    #[error("the operation cannot be applied: {0}")]
    Operation(#[source] muster_resources::Problem),
    /// An offer constraint that cannot be.
    #[error("offer_constraints.role_constraints[{role:?}].{place}: {problem}")]
    Constraint {
        /// The role.
        role: String,
        /// The field below the role.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A weight that is no positive number.
    #[error("the weight {0} of a role is not a positive number")]
    Weight(String),
}
