//! Names of resources.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The name of a resource. The usual ones are kept as numbers.
///
/// Names are ordered as people list them: `cpus`, `gpus`, `mem`, `disk`, `ports`, and
/// then all others by their letters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Kind);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Kind {
    /// A position in [`KNOWN`].
    Known(u8),
    /// None of them.
    Other(Arc<str>),
}

const KNOWN: [&str; 5] = ["cpus", "gpus", "mem", "disk", "ports"];

impl Name {
    /// CPUs, in CPUs.
    pub const CPUS: Self = Self::known(0);
    /// GPUs, whole ones.
    pub const GPUS: Self = Self::known(1);
    /// Memory, in MB (2^20 bytes).
    pub const MEM: Self = Self::known(2);
    /// Disk space, in MB (2^20 bytes).
    pub const DISK: Self = Self::known(3);
    /// Ports.
    pub const PORTS: Self = Self::known(4);

    #[expect(clippy::cast_possible_truncation, reason = "there are five")]
    const fn known(rank: usize) -> Self {
        Self(Kind::Known(rank as u8))
    }

    /// Its position among the usual names, of which there are less than ten.
    #[inline]
    pub fn rank(&self) -> Option<usize> {
        match self.0 {
            Kind::Known(rank) => Some(usize::from(rank)),
            Kind::Other(_) => None,
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kind::Known(rank) => KNOWN[usize::from(*rank)],
            Kind::Other(text) => text,
        }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        match KNOWN.iter().position(|known| *known == text) {
            Some(rank) => Self::known(rank),
            None => Self(Kind::Other(text.into())),
        }
    }
}

impl From<&Self> for Name {
    fn from(name: &Self) -> Self {
        name.clone()
    }
}

impl Ord for Name {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Kind::Known(own), Kind::Known(other)) => own.cmp(other),
            (Kind::Known(_), Kind::Other(_)) => Ordering::Less,
            (Kind::Other(_), Kind::Known(_)) => Ordering::Greater,
            (Kind::Other(own), Kind::Other(other)) => own.cmp(other),
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_people_do() {
        let mut names: Vec<Name> =
            ["ports", "aces", "disk", "zebras", "mem", "cpus", "gpus"].map(Name::from).into();
        names.sort();
        assert_eq!(
            names,
            ["cpus", "gpus", "mem", "disk", "ports", "aces", "zebras"].map(Name::from)
        );
        assert_eq!(Name::from("mem"), Name::MEM);
    }
}
