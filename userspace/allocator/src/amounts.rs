//! How much there is of each numbered name.

use smallvec::SmallVec;

/// Amounts in thousandths, by the number of the name; none where nothing is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Amounts(SmallVec<[i64; 4]>);

impl Amounts {
    pub(crate) fn get(&self, number: usize) -> i64 {
        self.0.get(number).copied().unwrap_or_default()
    }

    /// Every amount that is not zero, with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, i64)> + '_ {
        self.0.iter().copied().enumerate().filter(|(_, amount)| *amount != 0)
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0.iter().all(|amount| *amount == 0)
    }

    pub(crate) fn set(&mut self, number: usize, amount: i64) {
        if number >= self.0.len() {
            if amount == 0 {
                return;
            }
            self.0.resize(number + 1, 0);
        }
        self.0[number] = amount;
    }

    pub(crate) fn add_one(&mut self, number: usize, amount: i64) {
        self.set(number, self.get(number).saturating_add(amount));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            *own = own.saturating_add(*other);
        }
    }

    /// Differences, which may be negative.
    pub(crate) fn subtract(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            *own = own.saturating_sub(*other);
        }
    }

    /// Differences, none of them less than zero.
    pub(crate) fn subtract_floored(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            *own = own.saturating_sub(*other).max(0);
        }
    }

    /// The differences to `other`, none of them less than zero.
    pub(crate) fn minus_floored(&self, other: &Self) -> Self {
        let mut difference = self.clone();
        difference.subtract_floored(other);
        difference
    }

    /// The smaller of both, name by name.
    pub(crate) fn min(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(own, other)| *own.min(other)).collect())
    }

    /// Whether there is at least as much of every name.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.iter().all(|(number, amount)| self.get(number) >= amount)
    }
}

impl PartialEq for Amounts {
    fn eq(&self, other: &Self) -> bool {
        let longest = self.0.len().max(other.0.len());
        (0..longest).all(|number| self.get(number) == other.get(number))
    }
}

impl Eq for Amounts {}
