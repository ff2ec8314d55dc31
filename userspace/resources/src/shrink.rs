//! Cutting resources down to an amount.

use crate::{Limits, Name, Quantities, Resource, Resources, Scalar, Value};

impl Resources {
    /// The scalars, cut so that there is no more of each name than in `target`. What is
    /// indivisible is taken whole or not at all. Of several resources with one name, those
    /// with the lowest `order` (of their position in the collection) are taken first.
    #[must_use]
    pub fn shrunk_to(&self, target: &Quantities, order: impl Fn(usize) -> u64) -> Self {
        self.shrink(|name| Some(target.get(name)), order)
    }

    /// The same for limits: names without a limit are kept as they are, also ranges and sets.
    #[must_use]
    pub fn shrunk_to_limits(&self, limits: &Limits, order: impl Fn(usize) -> u64) -> Self {
        self.shrink(|name| limits.get(name), order)
    }

    fn shrink(
        &self,
        target: impl Fn(&Name) -> Option<Scalar>,
        order: impl Fn(usize) -> u64,
    ) -> Self {
        let mut result = Self::default();
        let entries: Vec<&Resource> = self.iter().collect();
        let mut start = 0;
        // Entries of one name are next to each other.
        for same in entries.chunk_by(|a, b| a.name() == b.name()) {
            let positions = start..start + same.len();
            start = positions.end;
            let Some(mut left) = same.first().and_then(|entry| target(entry.name())) else {
                result.extend(same.iter().copied().cloned());
                continue;
            };
            let mut same: Vec<(usize, &Resource)> = positions.zip(same.iter().copied()).collect();
            if same.len() > 1 {
                same.sort_by_key(|(position, _)| order(*position));
            }
            for (_, entry) in same {
                let Value::Scalar(amount) = entry.value() else { continue };
                let amount = if *amount <= left {
                    *amount
                } else if entry.is_divisible() {
                    left
                } else {
                    continue;
                };
                left -= amount;
                result.add(entry.clone().with_value(Value::Scalar(amount)));
            }
        }
        result
    }
}
