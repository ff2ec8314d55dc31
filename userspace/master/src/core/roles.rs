//! What roles use.

use std::collections::{BTreeMap, BTreeSet};

use muster_resources::{Quantities, Resources, role};

use super::{Liveness, Master};

/// What a role and the roles below it use of all agents that have not been given up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoleUse {
    /// Held by tasks.
    pub allocated: Quantities,
    /// Offered to frameworks.
    pub offered: Quantities,
    /// Reserved for the role, used or not.
    pub reserved: Quantities,
    /// The part of it that tasks hold.
    pub used_reserved: Quantities,
}

impl RoleUse {
    /// What counts against the role's quota: what tasks hold, and what else is reserved.
    pub fn consumed(&self) -> Quantities {
        let mut consumed = self.reserved.clone();
        consumed.subtract_all(&self.used_reserved);
        consumed.add_all(&self.allocated);
        consumed
    }
}

impl Master {
    /// What roles use, of those that use anything.
    pub fn role_uses(&self) -> BTreeMap<String, RoleUse> {
        let mut uses: BTreeMap<String, RoleUse> = BTreeMap::new();
        let mut add =
            |role: &str, resources: &Resources, part: fn(&mut RoleUse) -> &mut Quantities| {
                let amounts = Quantities::of(resources);
                for role in std::iter::once(role).chain(role::ancestors(role)) {
                    part(uses.entry(role.to_owned()).or_default()).add_all(&amounts);
                }
            };
        for task in self.tasks.values().filter(|task| !task.is_terminal()) {
            add(&task.role, &task.resources, |usage| &mut usage.allocated);
            for (role, resources) in task.resources.reservations() {
                add(&role, &resources, |usage| &mut usage.used_reserved);
            }
        }
        for offer in self.offers.values() {
            add(&offer.role, &offer.resources, |usage| &mut usage.offered);
        }
        for total in self.capacities() {
            for (role, resources) in total.reservations() {
                add(&role, &resources, |usage| &mut usage.reserved);
            }
        }
        uses
    }

    /// All roles that there is anything to say of; with `--roles`, those.
    pub fn known_roles(&self) -> BTreeSet<String> {
        let mut known: BTreeSet<String> = if let Some(roles) = &self.options.roles {
            roles.iter().cloned().chain(["*".to_owned()]).collect()
        } else {
            let roles = self.allocator.roles().into_iter();
            roles.chain(self.role_uses().into_keys()).chain(self.weights.keys().cloned()).collect()
        };
        let above: Vec<String> =
            known.iter().flat_map(|role| role::ancestors(role)).map(str::to_owned).collect();
        known.extend(above);
        known
    }

    /// What agents have in all, of those that have not been given up: one that is away for a
    /// moment, or has not come back to this master yet, will.
    pub(super) fn capacities(&self) -> impl Iterator<Item = &Resources> {
        let there = |liveness| !matches!(liveness, Liveness::Unreachable { .. });
        self.agents.values().filter(move |agent| there(agent.liveness)).map(|agent| &agent.total)
    }
}
