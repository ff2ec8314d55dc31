//! Looking for an amount, whatever it is reserved for.

use crate::{Resource, Resources};

impl Resources {
    /// Resources of the amounts in `targets`: first those reserved to the same role, then
    /// unreserved ones, then any others. `None` if there is not enough.
    pub fn find(&self, targets: &Self) -> Option<Self> {
        let mut found = Self::default();
        for target in targets {
            found += self.find_one(target)?;
        }
        Some(found)
    }

    fn find_one(&self, target: &Resource) -> Option<Self> {
        let role = target.reservation_role();
        let mut remaining = Self::from(bare(target));
        let mut found = Self::default();
        let preferred =
            |resource: &&Resource| role.is_some() && resource.reservation_role() == role;
        let unreserved = |resource: &&Resource| !resource.is_reserved();
        let others = |resource: &&Resource| !preferred(resource) && !unreserved(resource);
        let candidates = self
            .iter()
            .filter(preferred)
            .chain(self.iter().filter(unreserved))
            .chain(self.iter().filter(others));
        for candidate in candidates {
            let amount = Self::from(bare(candidate));
            if amount.contains(&remaining) {
                let reservations = &candidate.details().reservations;
                found.extend(remaining.iter().map(|resource| {
                    resource.map_details(|details| details.reservations.clone_from(reservations))
                }));
                return Some(found);
            }
            if remaining.contains(&amount) {
                remaining -= &amount;
                found.add(candidate.clone());
            }
        }
        None
    }
}

/// Without reservations.
fn bare(resource: &Resource) -> Resource {
    resource.map_details(|details| details.reservations.clear())
}
