//! What can be wrong with a line.

use thiserror::Error;

use crate::place::Place;

/// A line that cannot be carried out. Nothing has changed by it.
#[derive(Debug, Error)]
#[error("line {line}: {place}: {problem}")]
pub struct Error {
    /// Number of the line, from 1.
    pub line: u64,
    /// The path of the field, `add_agent.used[0].role`; for what is no JSON, the column.
    pub place: String,
    /// What is wrong.
    #[source]
    pub problem: Box<Problem>,
}

/// What is wrong with a field, or with the whole line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// No JSON, a command or a field that is not known, or a value of another type than the
    /// field's.
    #[error("{0}")]
    Form(String),
    /// The allocator refuses it.
    #[error(transparent)]
    Allocator(#[from] muster_allocator::Error),
    /// Resources that the operation cannot be about.
    #[error(transparent)]
    Operation(#[from] muster_resources::Problem),
    /// A framework that is offered nothing there.
    #[error("{0} has no outstanding offer")]
    NotOffered(Place),
    /// A framework that is not asked to leave.
    #[error("framework {framework:?} has no outstanding inverse offer of agent {agent:?}")]
    NotAsked {
        /// The framework.
        framework: String,
        /// The agent.
        agent: String,
    },
    /// More than there is.
    #[error("{wanted} is not in {of}, which is {there}")]
    NotThere {
        /// What is wanted.
        wanted: String,
        /// Where it is looked for.
        of: String,
        /// What is there.
        there: String,
    },
    /// A role that the framework does not want offers in.
    #[error("{0:?} is none of the framework's roles")]
    NotSubscribed(String),
    /// More guaranteed than allowed.
    #[error("the guarantee {guarantee} of {name} is more than the limit {limit}")]
    AboveLimit {
        /// Name of the resource.
        name: String,
        /// What is guaranteed.
        guarantee: String,
        /// What is allowed.
        limit: String,
    },
    /// Settings after something has been done with others.
    #[error("settings come before all other commands")]
    Late,
    /// A duration without a beginning.
    #[error("a duration needs a start; without both, nothing is planned any more")]
    NoStart,
    /// Time that runs over.
    #[error("this is further than time goes")]
    Time,
}

/// A problem and the field that has it; its line is yet to be said.
pub(crate) type Refusal = (String, Box<Problem>);

/// Says which field a problem is in.
pub(crate) fn at<P: Into<Problem>>(place: impl Into<String>) -> impl FnOnce(P) -> Refusal {
    move |problem| (place.into(), Box::new(problem.into()))
}

/// Says which field of a command an error of the allocator is about; `own` is the one that
/// names the agent or framework that the command is for.
pub(crate) fn refused(command: &str, own: &str) -> impl FnOnce(muster_allocator::Error) -> Refusal {
    move |error| {
        use muster_allocator::Error;
        let field = match &error {
            Error::UnknownAgent(_) if own != "id" => "agent",
            Error::UnknownFramework(_) if own != "id" => "framework",
            Error::Role(_) => "role",
            Error::NotSubscribed { .. } => "roles",
            Error::Unallocated { .. } => "used",
            Error::NotHeld { .. } => "resources",
            Error::Operation(_) => "op",
            Error::Weight(_) => "weight",
            Error::Task { .. } => "task",
            // The error names its field itself, from here on.
            Error::Constraint { .. } => return (command.to_owned(), Box::new(error.into())),
            _ => own,
        };
        (format!("{command}.{field}"), Box::new(error.into()))
    }
}
