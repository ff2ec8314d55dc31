//! Resources set aside for a role.

use std::fmt;

use smol_str::SmolStr;

use crate::Labels;

/// Who made a reservation, which says how it can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReservationKind {
    /// The agent's configuration; for as long as the agent is up.
    Static,
    /// An operation of a framework or an operator; until another one undoes it.
    Dynamic,
}

/// One layer of a reservation. A resource has a stack of them: each further one refines
/// the one before to a subrole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reservation {
    /// How it was made.
    pub kind: ReservationKind,
    /// The role that the resource is for.
    pub role: SmolStr,
    /// Who made it, for authorization.
    pub principal: Option<String>,
    /// What its maker wanted to note.
    pub labels: Option<Labels>,
}

impl Reservation {
    /// A reservation of the agent's configuration, without principal and labels.
    pub fn fixed(role: impl Into<SmolStr>) -> Self {
        Self { kind: ReservationKind::Static, role: role.into(), principal: None, labels: None }
    }

    /// A reservation by an operation, without principal and labels.
    pub fn dynamic(role: impl Into<SmolStr>) -> Self {
        Self { kind: ReservationKind::Dynamic, ..Self::fixed(role) }
    }
}

/// `DYNAMIC,alice/refined,hdfs-p,{foo: bar}`.
impl fmt::Display for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ReservationKind::Static => "STATIC",
            ReservationKind::Dynamic => "DYNAMIC",
        };
        write!(f, "{kind},{}", self.role)?;
        if let Some(principal) = &self.principal {
            write!(f, ",{principal}")?;
        }
        if let Some(labels) = &self.labels {
            write!(f, ",{labels}")?;
        }
        Ok(())
    }
}
