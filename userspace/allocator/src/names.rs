//! Numbers for names of resources.

use std::collections::BTreeMap;

use muster_resources::{Limits, Name, Quantities, Resource, Value};

use crate::amounts::Amounts;

/// The names of all resources that have been seen, numbered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    numbers: BTreeMap<Name, usize>,
    /// Numbers of the usual names, by their rank.
    usual: [Option<usize>; 10],
    list: Vec<Name>,
}

impl Names {
    /// The number of a name, a new one if need be.
    pub(crate) fn number(&mut self, name: &Name) -> usize {
        let rank = name.rank().filter(|rank| *rank < self.usual.len());
        if let Some(number) = rank.and_then(|rank| self.usual[rank]) {
            return number;
        }
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.list.len();
        self.list.push(name.clone());
        self.numbers.insert(name.clone(), number);
        if let Some(rank) = rank {
            self.usual[rank] = Some(number);
        }
        number
    }

    /// The name of a number that has been given.
    pub(crate) fn name(&self, number: usize) -> &Name {
        &self.list[number]
    }

    /// Every name with its number, in the order in which they were first seen.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Name)> {
        self.list.iter().enumerate()
    }

    /// Sums of the scalars.
    pub(crate) fn scalars<'a>(
        &mut self,
        resources: impl IntoIterator<Item = &'a Resource>,
    ) -> Amounts {
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
