//! Resources as they are counted.

use muster_resources::{Resource, Resources, Value};
use smallvec::SmallVec;

use crate::amounts::Amounts;
use crate::names::Names;

/// Sums of resources, by what they count for. What is shared is listed, since it counts only
/// once for all who have it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Scalars, for shares.
    pub(crate) scalars: Amounts,
    /// Scalars that are neither reserved nor revocable, for quota.
    pub(crate) countable: Amounts,
    /// Scalars that are reserved.
    pub(crate) reserved: Amounts,
    pub(crate) shared: SmallVec<[Resource; 1]>,
}

/// Whether quota is about it: unreserved, non-revocable scalars.
pub(crate) fn is_countable(resource: &Resource) -> bool {
    resource.is_scalar()
        && (resource.is_plain() || (!resource.is_reserved() && !resource.is_revocable()))
}

impl Tally {
    pub(crate) fn of(resources: &Resources, names: &mut Names) -> Self {
        let mut tally = Self::default();
        for entry in resources {
            if entry.is_shared() {
                tally.shared.push(entry.clone());
            } else {
                tally.add(entry, names);
            }
        }
        tally
    }

    /// Counts one resource, whoever shares it.
    pub(crate) fn add(&mut self, entry: &Resource, names: &mut Names) {
        let Value::Scalar(scalar) = entry.value() else { return };
        let (number, amount) = (names.number(entry.name()), scalar.thousandths());
        self.scalars.add_one(number, amount);
        if is_countable(entry) {
            self.countable.add_one(number, amount);
        } else if entry.is_reserved() {
            self.reserved.add_one(number, amount);
        }
    }
}
