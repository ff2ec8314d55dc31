//! Numbers for names of resources.

use std::collections::HashMap;

use muster_resources::{Limits, Name, Quantities, Resources, Value};

use crate::amounts::Amounts;

/// The names of all resources that have been seen, numbered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    numbers: HashMap<Name, usize>,
    names: Vec<Name>,
}

impl Names {
    /// The number of a name, a new one if need be.
    pub(crate) fn number(&mut self, name: &Name) -> usize {
        if let Some(number) = self.names.iter().take(4).position(|known| known == name) {
            return number;
        }
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len();
        self.names.push(name.clone());
        self.numbers.insert(name.clone(), number);
        number
    }

    /// The name of a number that has been given.
    pub(crate) fn name(&self, number: usize) -> &Name {
        &self.names[number]
    }

    /// Every name with its number, in the order in which they were first seen.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Name)> {
        self.names.iter().enumerate()
    }

    /// Sums of the scalars.
    pub(crate) fn scalars(&mut self, resources: &Resources) -> Amounts {
        let mut amounts = Amounts::default();
        for entry in resources {
            if let Value::Scalar(scalar) = entry.value() {
                amounts.add_one(self.number(entry.name()), scalar.thousandths());
            }
        }
        amounts
    }

    /// The amounts of quantities.
    pub(crate) fn amounts(&mut self, quantities: &Quantities) -> Amounts {
        let mut amounts = Amounts::default();
        for (name, amount) in quantities.iter() {
            amounts.add_one(self.number(name), amount.thousandths());
        }
        amounts
    }

    /// The limits of numbered names.
    pub(crate) fn limits(&mut self, limits: &Limits) -> Vec<(usize, i64)> {
        limits.iter().map(|(name, limit)| (self.number(name), limit.thousandths())).collect()
    }

    /// Amounts with names again.
    pub(crate) fn named(&self, amounts: &Amounts) -> Quantities {
        let scalar = muster_resources::Scalar::from_thousandths;
        self.iter().map(|(number, name)| (name.clone(), scalar(amounts.get(number)))).collect()
    }
}
