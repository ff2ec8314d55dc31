//! One agent.

use std::collections::BTreeSet;

use muster_resources::{Resource, Resources};

use crate::amounts::Amounts;
use crate::ids::{FrameworkId, RoleId};
use crate::names::Names;
use crate::refusals::Refusals;
use crate::wake::Looser;
use crate::{AgentOptions, Unavailability};

/// What is known of an agent.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) options: AgentOptions,
    /// In which order agents came, for chance to go by.
    pub(crate) serial: u64,
    pub(crate) active: bool,
    /// Whether it is on the whitelist, or there is none.
    pub(crate) listed: bool,
    /// Whether it is in another region than the master.
    pub(crate) remote: bool,
    /// What nobody has, shared resources not included: they are always free.
    free: Resources,
    /// What there is to share.
    shared: Resources,
    /// Whether frameworks have more than there is, so that what they give back is not free.
    overcommitted: bool,
    /// Who has what.
    pub(crate) holdings: Vec<Holding>,
    /// What frameworks have that are not known yet.
    pub(crate) strangers: Vec<Stranger>,
    pub(crate) refusals: Refusals,
    /// Since when nothing of it could be given to anybody, unless the roster says.
    pub(crate) quiet: Option<u64>,
    /// Whose filters have ended since then.
    pub(crate) ended: Vec<Looser>,
    /// What was shared in a cycle, which is not shared again before the next.
    pub(crate) offered: (u64, Resources),
    pub(crate) maintenance: Option<Maintenance>,
}

/// What a framework has of an agent in a role, not marked as allocated.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) framework: FrameworkId,
    pub(crate) role: RoleId,
    pub(crate) resources: Resources,
    /// What of it tasks use; the rest is offered.
    pub(crate) used: Resources,
}

/// The same of a framework that is not known.
#[derive(Clone, Debug)]
pub(crate) struct Stranger {
    pub(crate) framework: String,
    pub(crate) role: String,
    pub(crate) resources: Resources,
}

/// A planned absence.
#[derive(Clone, Debug)]
pub(crate) struct Maintenance {
    pub(crate) unavailability: Unavailability,
    /// Who has been asked to leave and has not answered.
    pub(crate) outstanding: BTreeSet<FrameworkId>,
    /// Whether frameworks agreed to leave, by their last answer.
    pub(crate) answers: std::collections::BTreeMap<FrameworkId, bool>,
}

impl Agent {
    pub(crate) fn new(id: &str, options: AgentOptions, serial: u64) -> Self {
        let mut agent = Self {
            id: id.to_owned(),
            free: Resources::default(),
            shared: Resources::default(),
            options,
            serial,
            active: true,
            listed: true,
            remote: false,
            overcommitted: false,
            holdings: Vec::new(),
            strangers: Vec::new(),
            refusals: Refusals::default(),
            quiet: None,
            ended: Vec::new(),
            offered: (0, Resources::default()),
            maintenance: None,
        };
        agent.recount();
        agent
    }

    pub(crate) fn has_gpus(&self) -> bool {
        !self.options.total.scalar(muster_resources::Name::GPUS).is_zero()
    }

    /// Whether nothing could be offered of it.
    pub(crate) fn is_empty(&self) -> bool {
        self.free.is_empty() && self.shared.is_empty()
    }

    /// Whether something free is for some roles only, or goes without regard to limits.
    pub(crate) fn is_special(&self) -> bool {
        self.available().any(|entry| entry.is_reserved() || entry.is_revocable())
    }

    /// Everything that could be offered.
    pub(crate) fn available(&self) -> impl Iterator<Item = &Resource> {
        self.free.iter().chain(&self.shared)
    }

    /// Whether all of this could be offered.
    pub(crate) fn has_free(&self, resources: &Resources) -> bool {
        if !resources.iter().any(Resource::is_shared) {
            return self.free.contains(resources);
        }
        self.free.contains(&resources.non_shared()) && self.shared.contains(&resources.shared())
    }

    /// Revocable scalars that nobody has.
    pub(crate) fn revocable(&self, names: &mut Names) -> Amounts {
        names.scalars(self.free.iter().filter(|entry| entry.is_revocable()))
    }

    /// Notes that a framework that is not known has more.
    pub(crate) fn add_stranger(&mut self, stranger: Stranger) {
        let place = |known: &&mut Stranger| {
            (&known.framework, &known.role) == (&stranger.framework, &stranger.role)
        };
        match self.strangers.iter_mut().find(place) {
            Some(known) => known.resources += stranger.resources,
            None => self.strangers.push(stranger),
        }
    }

    /// Computes what is free from what there is and who has what.
    pub(crate) fn recount(&mut self) {
        self.shared = self.options.total.shared();
        self.free = self.options.total.non_shared();
        self.overcommitted = false;
        let all = self.holdings.iter().map(|holding| &holding.resources);
        for resources in all.chain(self.strangers.iter().map(|stranger| &stranger.resources)) {
            let held = resources.non_shared();
            // One by one: a port that two have is there only once.
            self.overcommitted |= !self.free.contains(&held);
            self.free -= &held;
        }
    }

    /// Sees anew what there is to share.
    pub(crate) fn recount_shared(&mut self) {
        self.shared = self.options.total.shared();
    }

    pub(crate) fn holding(&self, framework: FrameworkId, role: RoleId) -> Option<&Holding> {
        self.holdings.iter().find(|holding| (holding.framework, holding.role) == (framework, role))
    }

    pub(crate) fn position(&self, framework: FrameworkId, role: RoleId) -> Option<usize> {
        self.holdings
            .iter()
            .position(|holding| (holding.framework, holding.role) == (framework, role))
    }

    /// Makes something no longer free.
    pub(crate) fn take(&mut self, resources: &Resources) {
        for entry in resources.iter().filter(|entry| !entry.is_shared()) {
            self.free.subtract(entry);
        }
    }

    /// Notes that a framework has more, which is not free; whether it had nothing before.
    pub(crate) fn hold(
        &mut self,
        framework: FrameworkId,
        role: RoleId,
        resources: Resources,
    ) -> bool {
        if let Some(position) = self.position(framework, role) {
            self.holdings[position].resources += resources;
            return false;
        }
        self.holdings.push(Holding { framework, role, resources, used: Resources::default() });
        true
    }

    /// Notes that a framework has less, which is free now; whether it has nothing any more.
    pub(crate) fn release(
        &mut self,
        framework: FrameworkId,
        role: RoleId,
        resources: &Resources,
    ) -> bool {
        let Some(position) = self.position(framework, role) else { return false };
        let holding = &mut self.holdings[position];
        holding.resources -= resources;
        let nothing = holding.resources.is_empty();
        if nothing {
            self.holdings.swap_remove(position);
        }
        if self.overcommitted {
            self.recount();
        } else {
            self.free.extend(resources.iter().filter(|entry| !entry.is_shared()).cloned());
        }
        nothing
    }

    /// What was shared already in this cycle.
    pub(crate) fn offered_in(&self, cycle: u64) -> Option<&Resources> {
        Some(&self.offered.1).filter(|offered| self.offered.0 == cycle && !offered.is_empty())
    }

    /// Notes what is shared in this cycle.
    pub(crate) fn note_offered(&mut self, cycle: u64, resources: &Resources) {
        let shared = resources.shared();
        if shared.is_empty() {
            return;
        }
        if self.offered.0 != cycle {
            self.offered = (cycle, Resources::default());
        }
        self.offered.1 += &shared;
    }
}
