//! What roles lack, by name.

use crate::amounts::Amounts;

/// How many roles lack something of each name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lacking(Vec<usize>);

impl Lacking {
    pub(super) fn add(&mut self, missing: &Amounts) {
        for (name, _) in missing.iter() {
            if self.0.len() <= name {
                self.0.resize(name + 1, 0);
            }
            self.0[name] += 1;
        }
    }

    pub(super) fn remove(&mut self, missing: &Amounts) {
        for (name, _) in missing.iter() {
            self.0[name] -= 1;
        }
    }

    /// Whether any role lacks something of what there is.
    pub(crate) fn any_of(&self, amounts: &Amounts) -> bool {
        amounts.iter().any(|(name, _)| self.0.get(name).is_some_and(|roles| *roles > 0))
    }
}
