//! How much there may be, by name.

use std::fmt;

use crate::quantities::{parse_amounts, print_amounts};
use crate::{Error, Name, Problem, Quantities, Scalar};

/// Limits by name. A name that is not listed has no limit; a limit may be zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Limits(Vec<(Name, Scalar)>);

impl Limits {
    /// Reads `cpus:4;mem:32`.
    ///
    /// # Errors
    /// What is no amount or negative, and names that are there twice.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut limits = Self::default();
        for (name, amount) in parse_amounts(text)? {
            if limits.get(&name).is_some() {
                return Err(Problem::Duplicate(name.as_str().to_owned()).at(format!("{text:?}")));
            }
            limits.set(name, amount);
        }
        Ok(limits)
    }

    /// Every name that has a limit, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, Scalar)> {
        self.0.iter().map(|(name, amount)| (name, *amount))
    }

    /// Limit of one name; `None` is no limit.
    pub fn get(&self, name: &Name) -> Option<Scalar> {
        let position = self.0.binary_search_by(|(own, _)| own.cmp(name)).ok()?;
        Some(self.0[position].1)
    }

    /// Sets the limit of one name.
    pub fn set(&mut self, name: Name, amount: Scalar) {
        match self.0.binary_search_by(|(own, _)| own.cmp(&name)) {
            Ok(position) => self.0[position].1 = amount,
            Err(position) => self.0.insert(position, (name, amount)),
        }
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether no amount is above its limit.
    pub fn contains(&self, quantities: &Quantities) -> bool {
        self.iter().all(|(name, limit)| quantities.get(name) <= limit)
    }

    /// Whether all that keeps to `other` keeps to these.
    pub fn allows(&self, other: &Self) -> bool {
        self.iter().all(|(name, limit)| other.get(name).is_some_and(|other| other <= limit))
    }

    /// What is left below the limits; never less than zero.
    #[must_use]
    pub fn minus(&self, quantities: &Quantities) -> Self {
        let left = |(name, limit): (&Name, Scalar)| {
            (name.clone(), limit.minus_floored(quantities.get(name)))
        };
        Self(self.iter().map(left).collect())
    }
}

impl From<&Quantities> for Limits {
    fn from(quantities: &Quantities) -> Self {
        Self(quantities.iter().map(|(name, amount)| (name.clone(), amount)).collect())
    }
}

/// `cpus:4;mem:32`.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_amounts(&self.0, f)
    }
}
