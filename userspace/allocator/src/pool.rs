//! All that there is to have.

use crate::amounts::Amounts;

/// The scalars of all agents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    amounts: Amounts,
    /// Names that do not count for shares.
    excluded: Vec<usize>,
    version: u64,
}

impl Pool {
    pub(crate) fn new(excluded: Vec<usize>) -> Self {
        Self { excluded, ..Self::default() }
    }

    pub(crate) fn amounts(&self) -> &Amounts {
        &self.amounts
    }

    /// Changes whenever shares do, if nobody's allocation does.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn add(&mut self, amounts: &Amounts) {
        if !amounts.is_zero() {
            self.amounts.add(amounts);
            self.version += 1;
        }
    }

    pub(crate) fn subtract(&mut self, amounts: &Amounts) {
        if !amounts.is_zero() {
            self.amounts.subtract(amounts);
            self.version += 1;
        }
    }

    /// The largest part of any one name. Equal parts give the same number: a third is a
    /// third, of whatever it is.
    #[expect(clippy::cast_precision_loss, reason = "the nearest number is wanted")]
    pub(crate) fn dominant_share(&self, held: &Amounts) -> f64 {
        let mut share = 0.0_f64;
        for (number, amount) in held.iter() {
            let total = self.amounts.get(number);
            if total > 0 && !self.excluded.contains(&number) {
                share = share.max(amount as f64 / total as f64);
            }
        }
        share
    }
}
