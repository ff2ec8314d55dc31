//! What is free of an agent while it is offered.

use muster_resources::{Resource, Resources};
use smallvec::SmallVec;

use crate::FrameworkCapabilities;
use crate::agent::Agent;
use crate::amounts::Amounts;
use crate::names::Names;
use crate::parts::{Parts, meets};

/// An agent that is being offered, and what is free of it for whom.
pub(crate) struct Shelf<'a> {
    pub(crate) agent: &'a mut Agent,
    /// The number of the cycle.
    cycle: u64,
    has_reserved: bool,
    /// Whether capabilities matter: something is shared, revocable or refined.
    is_particular: bool,
    /// For roles that nothing is reserved to, by capabilities.
    common: ByClass,
    /// For the role at hand, if something is reserved to it, likewise.
    own: ByClass,
    at_hand: String,
}

/// Parts by what frameworks know that matters.
type ByClass = SmallVec<[(u8, Parts); 1]>;

impl<'a> Shelf<'a> {
    pub(crate) fn new(agent: &'a mut Agent, cycle: u64) -> Self {
        let mut shelf = Self {
            agent,
            cycle,
            has_reserved: false,
            is_particular: false,
            common: SmallVec::new(),
            own: SmallVec::new(),
            at_hand: String::new(),
        };
        shelf.look();
        shelf
    }

    /// Sees anew what is free.
    fn look(&mut self) {
        self.has_reserved = self.agent.available().any(Resource::is_reserved);
        self.is_particular = self.agent.available().any(|entry| {
            entry.is_shared() || entry.is_revocable() || entry.has_refined_reservations()
        });
        self.common.clear();
        self.own.clear();
        self.at_hand.clear();
    }

    pub(crate) fn has_reserved(&self) -> bool {
        self.has_reserved
    }

    pub(crate) fn has_revocable(&self) -> bool {
        self.is_particular && self.agent.available().any(Resource::is_revocable)
    }

    /// The roles that something free is reserved to.
    pub(crate) fn reservation_roles(&self) -> Vec<&str> {
        let mut roles: Vec<&str> =
            self.agent.available().filter_map(Resource::reservation_role).collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }

    /// What is free for roles that nothing is reserved to.
    pub(crate) fn common(&mut self, names: &mut Names) -> &Parts {
        // No role is a dot, so nothing is reserved to it.
        self.parts(".", FrameworkCapabilities::ALL, names).0
    }

    /// Whether something is free for a role, and enough unless frameworks have minima of
    /// their own.
    pub(crate) fn suffices(
        &mut self,
        role: &str,
        particular: bool,
        minima: &[Amounts],
        names: &mut Names,
    ) -> bool {
        let (parts, _) = self.parts(role, FrameworkCapabilities::ALL, names);
        !parts.all.is_empty() && (particular || meets(&parts.quantities, minima))
    }

    /// What is free for a role and a framework that knows this; and the agent.
    pub(crate) fn parts(
        &mut self,
        role: &str,
        knows: FrameworkCapabilities,
        names: &mut Names,
    ) -> (&Parts, &Agent) {
        let is_own = self.has_reserved
            && self
                .agent
                .available()
                .any(|entry| entry.is_reserved() && entry.is_allocatable_to(role));
        if is_own && self.at_hand != role {
            self.own.clear();
            role.clone_into(&mut self.at_hand);
        }
        let class = if self.is_particular {
            u8::from(knows.shared_resources)
                | u8::from(knows.revocable_resources) << 1
                | u8::from(knows.reservation_refinement) << 2
        } else {
            0
        };
        let shelf = if is_own { &mut self.own } else { &mut self.common };
        let (agent, cycle) = (&*self.agent, self.cycle);
        let known = shelf.iter().position(|(other, _)| *other == class);
        let index = known.unwrap_or_else(|| {
            let offered = agent.offered_in(cycle);
            let fits = |entry: &&Resource| {
                entry.is_allocatable_to(role)
                    && knows.allow(entry)
                    && !(entry.is_shared()
                        && offered.is_some_and(|offered| offered.count(entry) > 0))
            };
            let all = agent.available().filter(fits).cloned().collect();
            shelf.push((class, Parts::new(all, names)));
            shelf.len() - 1
        });
        (&shelf[index].1, agent)
    }

    /// Takes out what has been given away.
    pub(crate) fn take(&mut self, resources: &Resources) {
        self.agent.take(resources);
        self.agent.note_offered(self.cycle, resources);
        self.look();
    }
}
