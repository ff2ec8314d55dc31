//! What can be wrong with resources, and where.

use std::fmt;

use thiserror::Error;

/// A problem and the place that has it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {problem}")]
pub struct Error {
    /// The part of the input: `"cpus:four"` of a text, `resources[2].scalar` of a message.
    pub place: String,
    /// What is wrong with it, and what it should be.
    #[source]
    pub problem: Problem,
}

/// What is wrong with a resource.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// No name at all.
    #[error("the resource has no name")]
    NoName,
    /// No colon, or more than one.
    #[error("a resource is name:value or name(role):value, with one colon")]
    Colon,
    /// A parenthesis without its partner, or something behind the closing one.
    #[error("the role is not in one pair of parentheses just before the colon")]
    Parentheses,
    /// Not a number, nor ranges, nor a set.
    #[error(
        "the value {0:?} is neither a number (4.5) nor ranges ([1-5, 7-9]) nor a set ({{a, b}})"
    )]
    Value(String),
    /// A number that is not finite or has a magnitude that nothing has.
    #[error("the number {0} is not between 0 and 10^15")]
    OutOfRange(String),
    /// Less than zero.
    #[error("the amount {0} is negative")]
    Negative(String),
    /// More than zero, but rounds to zero.
    #[error(
        "the amount {0} is less than half a thousandth: leave the resource out, or make it 0.001"
    )]
    TooSmall(String),
    /// A range that cannot be read.
    #[error("the range {0:?} is not begin-end with two whole numbers")]
    Range(String),
    /// A range that ends before it begins.
    #[error("the range {begin}-{end} ends before it begins")]
    Inverted {
        /// First number.
        begin: u64,
        /// Last number.
        end: u64,
    },
    /// Two ranges that share numbers.
    #[error("the ranges overlap at {0}")]
    Overlap(u64),
    /// A set that names something twice.
    #[error("the set names {0:?} twice")]
    Duplicate(String),
    /// One name with values of different types.
    #[error("{0:?} has values of different types; one name has one type")]
    MixedTypes(String),
    /// Something that is not a role.
    #[error("{role:?} is not a role: {reason}")]
    Role {
        /// The text.
        role: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A part of a text that is no attribute.
    #[error("{0}")]
    Attribute(&'static str),
    /// A field that must be there.
    #[error("the field is missing")]
    Missing,
    /// A field that must not be there.
    #[error("the field must not be set: {0}")]
    Unwanted(&'static str),
    /// A value outside an enumeration.
    #[error("{0} is not a type that this field can have")]
    Type(i32),
    /// Fields that contradict each other.
    #[error("{0}")]
    Contradiction(String),
    /// Not JSON, or not of the form of Mesos' messages.
    #[error("{0}")]
    Json(String),
    /// An operation that is not about resources, or that resource providers carry out.
    #[error("{0} does not change resources by itself")]
    Operation(&'static str),
    /// Something that an operation needs is not there.
    #[error("{missing} is needed, but there is only {there}")]
    NotThere {
        /// What is needed.
        missing: String,
        /// What there is.
        there: String,
    },
    /// A volume that is to be made, but is there already.
    #[error("the volume {0} is there already; give the new one another id")]
    Exists(String),
    /// A shared volume that somebody else uses too.
    #[error("the volume {0} has other users: it cannot be destroyed before they are done")]
    InUse(String),
    /// A resource of a kind that cannot be configured, only made by an operation.
    #[error("{0} cannot be given to an agent; frameworks and operators make them by operations")]
    NotConfigurable(&'static str),
}

impl Problem {
    /// Says where the problem is.
    pub(crate) fn at(self, place: impl fmt::Display) -> Error {
        Error { place: place.to_string(), problem: self }
    }
}
