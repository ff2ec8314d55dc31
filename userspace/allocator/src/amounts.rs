//! How much there is of each numbered name.

/// Names with these numbers are kept in place.
const FEW: usize = 5;

/// Amounts in thousandths, by the number of the name; none where nothing is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Amounts {
    few: [i64; FEW],
    /// Those of all other names, if any of them is there.
    #[expect(clippy::box_collection, reason = "mostly absent, and there are many of these")]
    more: Option<Box<Vec<i64>>>,
}

impl Amounts {
    pub(crate) fn get(&self, number: usize) -> i64 {
        match number.checked_sub(FEW) {
            None => self.few[number],
            Some(number) => self.more().get(number).copied().unwrap_or_default(),
        }
    }

    fn more(&self) -> &[i64] {
        self.more.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Those of all other names, as many as there are in `other` at least.
    fn more_like(&mut self, other: &Self) -> &mut [i64] {
        let length = other.more().len();
        if length == 0 && self.more.is_none() {
            return &mut [];
        }
        let more = self.more.get_or_insert_default();
        if more.len() < length {
            more.resize(length, 0);
        }
        more
    }

    /// Every amount that is not zero, with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, i64)> + '_ {
        let all = self.few.iter().chain(self.more()).copied();
        all.enumerate().filter(|(_, amount)| *amount != 0)
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.few == [0; FEW] && self.more().iter().all(|amount| *amount == 0)
    }

    pub(crate) fn set(&mut self, number: usize, amount: i64) {
        let Some(number) = number.checked_sub(FEW) else {
            self.few[number] = amount;
            return;
        };
        if number >= self.more().len() {
            if amount == 0 {
                return;
            }
            self.more.get_or_insert_default().resize(number + 1, 0);
        }
        if let Some(more) = &mut self.more {
            more[number] = amount;
        }
    }

    pub(crate) fn add_one(&mut self, number: usize, amount: i64) {
        self.set(number, self.get(number).saturating_add(amount));
    }

    /// Changes each amount by that of the same name in `other`.
    fn change(&mut self, other: &Self, change: impl Fn(i64, i64) -> i64) {
        for (own, other) in self.few.iter_mut().zip(other.few) {
            *own = change(*own, other);
        }
        // What is not written is zero.
        for (index, own) in self.more_like(other).iter_mut().enumerate() {
            *own = change(*own, other.get(FEW + index));
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.change(other, i64::saturating_add);
    }

    /// Differences, which may be negative.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.change(other, i64::saturating_sub);
    }

    /// Differences, none of them less than zero.
    pub(crate) fn subtract_floored(&mut self, other: &Self) {
        self.change(other, |own, other| own.saturating_sub(other).max(0));
    }

    /// The differences to `other`, none of them less than zero.
    pub(crate) fn minus_floored(&self, other: &Self) -> Self {
        let mut difference = self.clone();
        difference.subtract_floored(other);
        difference
    }

    /// The smaller of both, name by name.
    pub(crate) fn min(&self, other: &Self) -> Self {
        let mut least = self.clone();
        least.change(other, i64::min);
        least
    }

    /// Whether there is at least as much of every name.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.iter().all(|(number, amount)| self.get(number) >= amount)
    }
}

impl PartialEq for Amounts {
    fn eq(&self, other: &Self) -> bool {
        let longest = self.more().len().max(other.more().len());
        self.few == other.few
            && (FEW..FEW + longest).all(|number| self.get(number) == other.get(number))
    }
}

impl Eq for Amounts {}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(list: &[(usize, i64)]) -> Amounts {
        let mut amounts = Amounts::default();
        for (number, amount) in list {
            amounts.add_one(*number, *amount);
        }
        amounts
    }

    #[test]
    fn names_with_large_numbers_count_too() {
        let (a, b) = (amounts(&[(0, 3), (7, 5)]), amounts(&[(0, 1), (4, 2), (5, 1)]));
        let mut sum = a.clone();
        sum.add(&b);
        assert_eq!(sum, amounts(&[(0, 4), (4, 2), (5, 1), (7, 5)]));
        assert!(sum.covers(&a) && sum.covers(&b) && !a.covers(&b));
        let mut difference = b.clone();
        difference.subtract(&a);
        assert_eq!(difference, amounts(&[(0, -2), (4, 2), (5, 1), (7, -5)]));
        assert_eq!(b.minus_floored(&a), amounts(&[(4, 2), (5, 1)]));
        assert_eq!(a.min(&sum), a);
        assert_eq!(a.min(&b), amounts(&[(0, 1)]));
        assert_eq!(sum.iter().collect::<Vec<_>>(), [(0, 4), (4, 2), (5, 1), (7, 5)]);
        sum.subtract(&a);
        sum.subtract(&b);
        assert!(sum.is_zero());
        assert_eq!(sum, Amounts::default());
    }
}
