//! One role.

use muster_resources::Quantities;
use smol_str::SmolStr;

use crate::Quota;
use crate::amounts::Amounts;
use crate::class::{Census, Classes, Traits};
use crate::ids::{ClientId, FrameworkId, RoleId};
use crate::names::Names;
use crate::tree::{Lottery, Tree};

/// What is known of a role. All sums include the roles below it.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) path: SmolStr,
    pub(crate) parent: Option<RoleId>,
    /// How many roles are directly below it.
    pub(crate) children: usize,
    pub(crate) weight: f64,
    pub(crate) quota: Option<Box<NumberedQuota>>,
    /// Scalars reserved to it, whether somebody has them or not.
    pub(crate) reserved: Amounts,
    /// Unreserved, non-revocable scalars that are offered to or used by it.
    pub(crate) held: Amounts,
    /// Those of them that tasks use.
    pub(crate) used: Amounts,
    /// Reserved scalars that are offered to or used by it.
    pub(crate) held_reserved: Amounts,
    /// What came to be held in this cycle and does not count against quota before the next.
    pub(crate) lag: Amounts,
    /// What it lacks of its guarantees, while its frameworks could be given it.
    pub(crate) lacks: Amounts,
    /// Its frameworks, if it has any.
    pub(crate) members: Option<Box<Members>>,
}

/// Quota with numbers for names.
#[derive(Clone, Debug)]
pub(crate) struct NumberedQuota {
    pub(crate) quota: Quota,
    pub(crate) guarantees: Amounts,
    pub(crate) limits: Vec<(usize, i64)>,
    /// What the role lacks of the guarantees, as far as the sum over all roles knows.
    pub(crate) missing: Amounts,
}

/// The frameworks of a role.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    /// The role among the roles.
    pub(crate) client: ClientId,
    /// The frameworks in their order.
    pub(crate) tree: Tree,
    pub(crate) lottery: Lottery,
    /// By client of the tree.
    list: Vec<Option<Member>>,
    /// Those that want something, by class.
    census: Census,
    /// The classes that all roles together know of.
    pub(crate) known: Classes,
    /// How many of them have minima of their own.
    pub(crate) particular: usize,
    /// Filters that are in force.
    pub(crate) filters: usize,
}

/// A framework in a role.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) framework: FrameworkId,
    pub(crate) traits: Traits,
    /// Filters of other generations are not in force. Nobody else ever has this one.
    pub(crate) generation: u64,
    /// On how many agents it has something in this role.
    pub(crate) agents: usize,
    /// Filters that are in force.
    pub(crate) filters: usize,
    /// What an offer has to hold, if that is not what it is for others.
    pub(crate) minima: Option<Vec<Amounts>>,
}

impl Role {
    pub(crate) fn new(path: SmolStr, parent: Option<RoleId>) -> Self {
        Self {
            path,
            parent,
            children: 0,
            weight: 1.0,
            quota: None,
            reserved: Amounts::default(),
            held: Amounts::default(),
            used: Amounts::default(),
            held_reserved: Amounts::default(),
            lag: Amounts::default(),
            lacks: Amounts::default(),
            members: None,
        }
    }

    /// Whether nothing is to be known of it.
    #[expect(clippy::float_cmp, reason = "set to exactly this")]
    pub(crate) fn is_empty(&self) -> bool {
        self.children == 0
            && self.members.is_none()
            && self.quota.is_none()
            && self.weight == 1.0
            && self.reserved.is_zero()
    }

    /// What counts against its quota: all that it has, and all that is reserved to it.
    pub(crate) fn consumed(&self) -> Amounts {
        let mut consumed = self.held.clone();
        consumed.add(&self.reserved);
        consumed
    }

    /// The same as this cycle sees it.
    pub(crate) fn consumed_in_cycle(&self) -> Amounts {
        let mut consumed = self.consumed();
        consumed.subtract(&self.lag);
        consumed
    }

    /// What it lacks of what is guaranteed.
    pub(crate) fn missing(&self) -> Amounts {
        match &self.quota {
            Some(quota) => quota.guarantees.minus_floored(&self.consumed()),
            None => Amounts::default(),
        }
    }

    /// What it may still be given of limited names.
    pub(crate) fn limits_left(&self, consumed: &Amounts) -> Option<Vec<(usize, i64)>> {
        let quota = self.quota.as_ref().filter(|quota| !quota.limits.is_empty())?;
        let left = |(name, limit): &(usize, i64)| (*name, (limit - consumed.get(*name)).max(0));
        Some(quota.limits.iter().map(left).collect())
    }

    /// Whether unreserved scalars can no longer make an offer to it worthwhile, because of
    /// its limits.
    pub(crate) fn is_exhausted(&self, minima: &[Amounts]) -> bool {
        let Some(left) = self.limits_left(&self.consumed_in_cycle()) else { return false };
        let allows = |minimum: &Amounts| {
            minimum.iter().all(|(name, amount)| {
                left.iter().all(|(limited, left)| *limited != name || amount <= *left)
            })
        };
        let particular = self.members.iter().flat_map(|members| members.iter());
        let mut lists = particular.filter_map(|member| member.minima.as_deref()).chain([minima]);
        !lists.any(|minima| minima.is_empty() || minima.iter().any(allows))
    }
}

impl NumberedQuota {
    pub(crate) fn new(quota: Quota, names: &mut Names) -> Self {
        Self {
            guarantees: names.amounts(&quota.guarantees),
            limits: names.limits(&quota.limits),
            missing: Amounts::default(),
            quota,
        }
    }
}

impl Members {
    pub(crate) fn new(client: ClientId, seed: u64) -> Self {
        Self {
            client,
            tree: Tree::new(seed),
            lottery: Lottery::new(false),
            list: Vec::new(),
            census: Census::default(),
            known: Classes::default(),
            particular: 0,
            filters: 0,
        }
    }

    pub(crate) fn get(&self, client: ClientId) -> Option<&Member> {
        self.list.get(client.index())?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, client: ClientId) -> Option<&mut Member> {
        self.list.get_mut(client.index())?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.list.iter().flatten()
    }

    pub(crate) fn len(&self) -> usize {
        self.tree.len()
    }

    /// Adds a framework that is not there yet.
    pub(crate) fn add(&mut self, id: &str, framework: FrameworkId, generation: u64) -> ClientId {
        let client = self.tree.add(id);
        if self.list.len() <= client.index() {
            self.list.resize(client.index() + 1, None);
        }
        let traits = Traits::default();
        let member = Member { framework, traits, generation, agents: 0, filters: 0, minima: None };
        self.list[client.index()] = Some(member);
        client
    }

    /// The classes of those that want something.
    pub(crate) fn classes(&self) -> Classes {
        self.census.classes()
    }

    /// Says whether a framework wants something, and what matters of it; whether that is news.
    pub(crate) fn set_active(&mut self, client: ClientId, active: bool, traits: Traits) -> bool {
        let was = self.tree.is_active(client);
        let Some(member) = self.get_mut(client) else { return false };
        let before = std::mem::replace(&mut member.traits, traits);
        if was {
            self.census.count(before.class, false);
        }
        if active {
            self.census.count(traits.class, true);
        }
        self.tree.set_active(client, active);
        was != active || before != traits
    }

    pub(crate) fn remove(&mut self, id: &str, client: ClientId) {
        self.set_active(client, false, Traits::default());
        self.end_filters(client, u64::MAX);
        self.set_minima(client, None);
        self.tree.remove(id);
        if let Some(place) = self.list.get_mut(client.index()) {
            *place = None;
        }
    }

    /// Sets what an offer to a framework has to hold; `None` is what it is for others.
    pub(crate) fn set_minima(&mut self, client: ClientId, minima: Option<Vec<Amounts>>) {
        let Some(member) = self.get_mut(client) else { return };
        let (before, after) = (member.minima.is_some(), minima.is_some());
        member.minima = minima;
        self.particular = self.particular + usize::from(after) - usize::from(before);
    }

    pub(crate) fn count_filter(&mut self, client: ClientId) {
        if let Some(member) = self.get_mut(client) {
            member.filters += 1;
            self.filters += 1;
        }
    }

    /// Notes that a filter of this generation is gone.
    pub(crate) fn end_filter(&mut self, client: ClientId, generation: u64) {
        if let Some(member) = self.get_mut(client).filter(|member| member.generation == generation)
        {
            member.filters -= 1;
            self.filters -= 1;
        }
    }

    /// Ends all filters of a framework, at once and everywhere, by giving it a new generation.
    pub(crate) fn end_filters(&mut self, client: ClientId, generation: u64) {
        if let Some(member) = self.get_mut(client) {
            member.generation = generation;
            let ended = std::mem::take(&mut member.filters);
            self.filters -= ended;
        }
    }
}

/// Minima with numbers for names.
pub(crate) fn minima(minima: &[Quantities], names: &mut Names) -> Vec<Amounts> {
    minima.iter().map(|minimum| names.amounts(minimum)).collect()
}
