//! How much there is, by name alone.

use std::fmt;
use std::iter::Sum;

use crate::{Error, Name, Problem, Resources, Scalar, Value};

/// Amounts by name, without regard to reservations, disks and the rest. Names without an
/// amount are not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quantities(Vec<(Name, Scalar)>);

impl Quantities {
    /// Reads `cpus:4;mem:32`; amounts of one name are added up.
    ///
    /// # Errors
    /// What is no amount or negative; the place names the part.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut quantities = Self::default();
        for (name, amount) in parse_amounts(text)? {
            quantities.add(&name, amount);
        }
        Ok(quantities)
    }

    /// How much of each name there is; ranges and sets count their members.
    pub fn of(resources: &Resources) -> Self {
        let mut quantities = Self::default();
        for entry in resources {
            quantities.add(entry.name(), entry.value().quantity());
        }
        quantities
    }

    /// How much of each name there is, of scalars alone.
    pub fn of_scalars(resources: &Resources) -> Self {
        let mut quantities = Self::default();
        for entry in resources {
            if let Value::Scalar(scalar) = entry.value() {
                quantities.add(entry.name(), *scalar);
            }
        }
        quantities
    }

    /// Every name with its amount, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, Scalar)> {
        self.0.iter().map(|(name, amount)| (name, *amount))
    }

    /// Amount of one name.
    pub fn get(&self, name: &Name) -> Scalar {
        self.find(name).map_or(Scalar::ZERO, |position| self.0[position].1)
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is at least that much of each name.
    pub fn contains(&self, other: &Self) -> bool {
        other.iter().all(|(name, amount)| self.get(name) >= amount)
    }

    /// Adds an amount.
    pub fn add(&mut self, name: &Name, amount: Scalar) {
        if amount.is_zero() {
            return;
        }
        match self.find(name) {
            Ok(position) => self.0[position].1 += amount,
            Err(position) => self.0.insert(position, (name.clone(), amount)),
        }
    }

    /// Takes an amount away, as much as there is.
    pub fn subtract(&mut self, name: &Name, amount: Scalar) {
        if let Ok(position) = self.find(name) {
            let left = self.0[position].1.minus_floored(amount);
            if left.is_zero() {
                self.0.remove(position);
            } else {
                self.0[position].1 = left;
            }
        }
    }

    /// Adds all of `other`.
    pub fn add_all(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            self.add(name, amount);
        }
    }

    /// Takes all of `other` away, as much as there is of each name.
    pub fn subtract_all(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            self.subtract(name, amount);
        }
    }

    fn find(&self, name: &Name) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| own.cmp(name))
    }
}

impl FromIterator<(Name, Scalar)> for Quantities {
    fn from_iter<I: IntoIterator<Item = (Name, Scalar)>>(amounts: I) -> Self {
        let mut quantities = Self::default();
        for (name, amount) in amounts {
            quantities.add(&name, amount);
        }
        quantities
    }
}

impl<'a> Sum<&'a Self> for Quantities {
    fn sum<I: Iterator<Item = &'a Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, quantities| {
            sum.add_all(quantities);
            sum
        })
    }
}

/// `cpus:4;mem:32`.
impl fmt::Display for Quantities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_amounts(&self.0, f)
    }
}

/// Amounts between semicolons, in the order of the text.
pub(crate) fn parse_amounts(text: &str) -> Result<Vec<(Name, Scalar)>, Error> {
    let parts = text.split(';').filter(|part| !part.trim().is_empty());
    parts
        .map(|part| {
            let place = || format!("{:?}", part.trim());
            let (name, value) = part.split_once(':').ok_or_else(|| Problem::Colon.at(place()))?;
            let (name, value) = (name.trim(), value.trim());
            if name.is_empty() {
                return Err(Problem::NoName.at(place()));
            }
            match Value::parse(value).map_err(|problem| problem.at(place()))? {
                Some(Value::Scalar(amount)) if amount < Scalar::ZERO => {
                    Err(Problem::Negative(value.to_owned()).at(place()))
                }
                Some(Value::Scalar(amount)) => Ok((name.into(), amount)),
                _ => Err(Problem::Value(value.to_owned()).at(place())),
            }
        })
        .collect()
}

pub(crate) fn print_amounts(amounts: &[(Name, Scalar)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, (name, amount)) in amounts.iter().enumerate() {
        let separator = if index == 0 { "" } else { ";" };
        write!(f, "{separator}{name}:{amount}")?;
    }
    Ok(())
}
