//! Limits that a container went over, and had to end for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a container was killed although nobody asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limitation {
    /// The kind of limit.
    pub cause: Cause,
    /// What happened, for a person: the limit, and what was used.
    pub message: String,
    /// What was used, by Mesos' names of resources.
    pub resources: Vec<Amount>,
}

/// Kinds of limits, as far as Mesos tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Memory.
    Memory,
    /// Disk space.
    Disk,
    /// Any other.
    Other,
}

/// An amount of a scalar resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// `mem`, `disk`.
    pub name: String,
    /// In thousandths of its unit, which for `mem` and `disk` is the megabyte.
    pub milli: u64,
}

impl Amount {
    /// So many bytes of `name`.
    pub(crate) fn bytes(name: &str, bytes: u64) -> Self {
        let milli = u128::from(bytes) * 1000 / (1 << 20);
        Self { name: name.to_owned(), milli: u64::try_from(milli).unwrap_or(u64::MAX) }
    }
}

impl fmt::Display for Limitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A size in the largest unit that divides it, as Mesos prints sizes.
pub(crate) fn bytes(size: u64) -> String {
    let units = [("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10)];
    let fits = |(_, shift): &&(&str, u32)| size >> shift > 0 && size.is_multiple_of(1 << shift);
    match units.iter().find(fits) {
        Some((unit, shift)) => format!("{}{unit}", size >> shift),
        None => format!("{size}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_megabytes_to_the_third_place() {
        assert_eq!(Amount::bytes("mem", 32 << 20).milli, 32_000);
        assert_eq!(Amount::bytes("mem", (1 << 20) + (1 << 19)).milli, 1_500);
        assert_eq!(Amount::bytes("mem", u64::MAX).milli, 17_592_186_044_415_999);
    }
}
