//! Who has what, kept apart from the allocator by what it was told and what it gave.

use std::collections::{BTreeMap, BTreeSet};

use muster_allocator::{Allocator, Quota};
use muster_resources::{Quantities, Resource, Resources};

/// A framework in a role, and an agent.
pub(crate) type Place = (String, String, String);

/// What somebody has of an agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) all: Resources,
    /// What tasks use of it; the rest is offered.
    pub(crate) used: Resources,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    pub(crate) totals: BTreeMap<String, Resources>,
    pub(crate) held: BTreeMap<Place, Held>,
    pub(crate) quotas: BTreeMap<String, Quota>,
}

type Outcome = Result<(), String>;

fn same<T: PartialEq + std::fmt::Display>(what: &str, one: &T, other: &T) -> Outcome {
    if one == other { Ok(()) } else { Err(format!("{what}: {one} is not {other}")) }
}

/// Whether quota is about it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what filters take")]
fn is_countable(resource: &&Resource) -> bool {
    !resource.is_reserved() && !resource.is_revocable()
}

pub(crate) fn is_in(role: &str, top: &str) -> bool {
    role.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Books {
    pub(crate) fn add(&mut self, place: Place, resources: &Resources) {
        self.held.entry(place).or_default().all += resources;
    }

    pub(crate) fn launch(&mut self, place: &Place, resources: &Resources) {
        self.held.get_mut(place).unwrap().used += resources;
    }

    /// What was only offered is given back first, as the allocator does.
    pub(crate) fn give_back(&mut self, place: &Place, resources: &Resources) {
        let held = self.held.get_mut(place).unwrap();
        assert!(held.all.contains(resources));
        let offered = held.all.clone() - &held.used;
        held.used -= &(resources.clone() - &offered);
        held.all -= resources;
        if held.all.is_empty() {
            self.held.remove(place);
        }
    }

    /// What is held of each agent by anybody.
    fn by_agent(&self) -> BTreeMap<&str, Vec<&Held>> {
        let mut by_agent: BTreeMap<&str, Vec<&Held>> = BTreeMap::new();
        for ((_, _, agent), held) in &self.held {
            by_agent.entry(agent).or_default().push(held);
        }
        by_agent
    }

    /// Scalars that count against quota, of nobody: what could still be given.
    pub(crate) fn free(&self, allocator: &Allocator) -> Quantities {
        let mut free = Quantities::default();
        for agent in self.totals.keys() {
            let available = allocator.available(agent).unwrap();
            free.add_all(&Quantities::of_scalars(&available.filter(is_countable)));
        }
        free
    }

    /// What counts against the quota of a role without slashes, by what it has and by what is
    /// reserved to it.
    pub(crate) fn consumed(&self, top: &str) -> Quantities {
        let mut consumed = self.sum(top, |held| held.all.filter(is_countable));
        consumed.add_all(&self.reserved(top));
        consumed
    }

    fn sum(&self, top: &str, part: impl Fn(&Held) -> Resources) -> Quantities {
        let mut sum = Quantities::default();
        for held in self.held.iter().filter(|((_, role, _), _)| is_in(role, top)) {
            sum.add_all(&Quantities::of_scalars(&part(held.1)));
        }
        sum
    }

    fn reserved(&self, top: &str) -> Quantities {
        let mut sum = Quantities::default();
        for total in self.totals.values() {
            let own =
                total.filter(|entry| entry.reservation_role().is_some_and(|role| is_in(role, top)));
            sum.add_all(&Quantities::of_scalars(&own));
        }
        sum
    }

    /// What roles lack of their guarantees, by role.
    pub(crate) fn missing(&self) -> BTreeMap<String, Quantities> {
        let missing = |(role, quota): (&String, &Quota)| {
            let mut missing = quota.guarantees.clone();
            missing.subtract_all(&self.consumed(role));
            (role.clone(), missing)
        };
        self.quotas.iter().map(missing).collect()
    }

    /// Holds the allocator's accounts against these.
    pub(crate) fn check(&self, allocator: &Allocator) -> Outcome {
        let mut pool = Quantities::default();
        let mut scalars = Quantities::default();
        let by_agent = self.by_agent();
        for (agent, total) in &self.totals {
            same("total", allocator.total(agent).unwrap(), total)?;
            let available = allocator.available(agent).unwrap();
            let holders = by_agent.get(agent.as_str()).map(Vec::as_slice).unwrap_or_default();
            let mut held = Resources::default();
            for one in holders {
                held += one.all.non_shared();
                if let Some(entry) = one.all.shared().iter().find(|e| total.count(e) == 0) {
                    return Err(format!("{agent} has no {entry} to share"));
                }
            }
            // What is shared counts once.
            let is_held = |entry: &&Resource| holders.iter().any(|one| one.all.count(entry) > 0);
            scalars.add_all(&Quantities::of_scalars(&total.shared().filter(is_held)));
            if !total.contains(&held) {
                return Err(format!("{held} of {agent} is given away, which has {total}"));
            }
            scalars.add_all(&Quantities::of_scalars(&held));
            pool.add_all(&Quantities::of_scalars(total));
            // Offered, used and free are all that there is.
            same(agent, &(held + available.non_shared()), &total.non_shared())?;
            same(agent, &available.shared(), &total.shared())?;
        }
        for ((framework, role, agent), held) in &self.held {
            same("allocation", &allocator.allocation(framework, role, agent), &held.all)?;
            if !held.all.contains(&held.used) {
                return Err(format!("{framework} uses {} of {}", held.used, held.all));
            }
        }
        same("all", &allocator.total_quantities(), &pool)?;
        same("held by all", &allocator.held_by_all(), &scalars)?;
        self.check_roles(allocator)
    }

    fn check_roles(&self, allocator: &Allocator) -> Outcome {
        let with_something = self.held.keys().map(|(_, role, _)| role.clone());
        for role in with_something.chain(allocator.roles()).collect::<BTreeSet<_>>() {
            let Some(view) = allocator.role(&role) else {
                return Err(format!("{role} has something and is not known"));
            };
            same(&role, &view.reserved, &self.reserved(&role))?;
            same(&role, &view.held, &self.sum(&role, |held| held.all.filter(is_countable)))?;
            same(&role, &view.offered_or_consumed, &self.consumed(&role))?;
            let mut consumed = self.sum(&role, |held| held.used.filter(is_countable));
            consumed.add_all(&self.reserved(&role));
            same(&role, &view.consumed, &consumed)?;
        }
        Ok(())
    }
}
