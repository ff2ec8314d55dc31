//! Where instances may run, relative to agents and to each other.

use serde::{Deserialize, Serialize};

/// A constraint's rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Operator {
    /// No two instances on the same value.
    Unique,
    /// All instances on one value: the given one, or the first instance's.
    Cluster,
    /// As many instances on each value; the number is how many values there will be at least.
    GroupBy,
    /// The value matches a regular expression, whole.
    Like,
    /// It does not; an agent without the attribute is fine too.
    Unlike,
    /// At most so many instances on each value.
    MaxPer,
    /// The value is exactly this.
    Is,
}

impl Operator {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Unique, "UNIQUE"),
        (Self::Cluster, "CLUSTER"),
        (Self::GroupBy, "GROUP_BY"),
        (Self::Like, "LIKE"),
        (Self::Unlike, "UNLIKE"),
        (Self::MaxPer, "MAX_PER"),
        (Self::Is, "IS"),
    ];

    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(op, _)| *op == self).map_or("", |(_, name)| name)
    }

    /// The operator called `name`, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(op, _)| *op)
    }
}

/// One rule on one field of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// `hostname` or `@hostname`, `@region`, `@zone`, or an attribute's name.
    pub field: String,
    /// The rule.
    pub operator: Operator,
    /// What the rule compares with, where it does.
    pub value: Option<String>,
}
