//! All roles.

mod lacking;
mod ledger;

use slab::Slab;
use smol_str::SmolStr;

pub(crate) use self::lacking::Lacking;
pub(crate) use self::ledger::Sums;
use crate::amounts::Amounts;
use crate::class::{Census, Classes};
use crate::ids::{ClientId, FrameworkId, RoleId};
use crate::map::{Map, seeded};
use crate::role::{Members, Role};
use crate::shelf::Shelf;
use crate::tree::{Lottery, Tree};

/// The roles: those that have frameworks, quota, a weight or reservations, and those above
/// them.
#[derive(Clone, Debug)]
pub(crate) struct Roles {
    slab: Slab<Role>,
    by_path: Map<SmolStr, RoleId>,
    /// The roles that have frameworks, in their order.
    pub(crate) tree: Tree,
    lottery: Lottery,
    by_client: Vec<RoleId>,
    /// Sums over all roles.
    pub(crate) reserved: Amounts,
    pub(crate) held_reserved: Amounts,
    /// Sum of what roles lack of what is guaranteed to them.
    pub(crate) missing: Amounts,
    /// How many roles lack something that their frameworks could be given.
    pub(crate) hungry: usize,
    /// Roles by the classes of those of their frameworks that want something.
    census: Census,
    /// What hungry ones lack.
    pub(crate) lacking: Lacking,
    /// Roles with frameworks that could not be given anything: see [`Role::is_exhausted`].
    pub(crate) exhausted: Vec<RoleId>,
    /// Roles whose consumption lags behind.
    lagging: Vec<RoleId>,
    next_generation: u64,
    seed: u64,
}

/// Roles by client of the tree.
pub(crate) struct Table<'a> {
    slab: &'a mut Slab<Role>,
    by_client: &'a [RoleId],
}

impl Table<'_> {
    pub(crate) fn get(&mut self, client: ClientId) -> (RoleId, &mut Role) {
        let id = self.by_client[client.index()];
        (id, &mut self.slab[id.index()])
    }
}

impl Roles {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            slab: Slab::new(),
            by_path: seeded(seed),
            tree: Tree::new(seed),
            // A role has its chance whether its frameworks want something or not.
            lottery: Lottery::new(true),
            by_client: Vec::new(),
            reserved: Amounts::default(),
            held_reserved: Amounts::default(),
            missing: Amounts::default(),
            hungry: 0,
            census: Census::default(),
            lacking: Lacking::default(),
            exhausted: Vec::new(),
            lagging: Vec::new(),
            next_generation: 0,
            seed,
        }
    }

    pub(crate) fn find(&self, path: &str) -> Option<RoleId> {
        self.by_path.get(path).copied()
    }

    pub(crate) fn get(&self, id: RoleId) -> &Role {
        &self.slab[id.index()]
    }

    pub(crate) fn get_mut(&mut self, id: RoleId) -> &mut Role {
        &mut self.slab[id.index()]
    }

    /// Every role, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RoleId, &Role)> {
        self.slab.iter().map(|(index, role)| (index.into(), role))
    }

    pub(crate) fn members(&self, id: RoleId) -> Option<&Members> {
        self.get(id).members.as_deref()
    }

    /// The same for a role that may be gone.
    pub(crate) fn try_members_mut(&mut self, id: RoleId) -> Option<&mut Members> {
        self.slab.get_mut(id.index())?.members.as_deref_mut()
    }

    pub(crate) fn members_mut(&mut self, id: RoleId) -> Option<&mut Members> {
        self.get_mut(id).members.as_deref_mut()
    }

    /// The order of the roles, their chances and what they lack; and what is known of them by
    /// client, to be changed while the order is walked along.
    pub(crate) fn parts(&mut self) -> (&Tree, &Lottery, &Lacking, Table<'_>) {
        let table = Table { slab: &mut self.slab, by_client: &self.by_client };
        (&self.tree, &self.lottery, &self.lacking, table)
    }

    /// Brings the chances of the roles up to date.
    pub(crate) fn refresh_lottery(&mut self) {
        self.lottery.refresh(&self.tree);
    }

    /// The role of a client of the tree.
    pub(crate) fn of_client(&self, client: ClientId) -> RoleId {
        self.by_client[client.index()]
    }

    /// A role and those above it, nearest first.
    pub(crate) fn up(&self, id: RoleId) -> impl Iterator<Item = RoleId> + '_ {
        std::iter::successors(Some(id), |id| self.get(*id).parent)
    }

    /// The part of a role without slashes.
    pub(crate) fn top(&self, id: RoleId) -> RoleId {
        self.up(id).last().unwrap_or(id)
    }

    /// The role of a path; it and those above it come to be known if they are not.
    pub(crate) fn make(&mut self, path: &str) -> RoleId {
        if let Some(id) = self.find(path) {
            return id;
        }
        let parent = path.rsplit_once('/').map(|(parent, _)| self.make(parent));
        if let Some(parent) = parent {
            self.get_mut(parent).children += 1;
        }
        let id = RoleId::from(self.slab.insert(Role::new(path.into(), parent)));
        self.by_path.insert(path.into(), id);
        id
    }

    /// Forgets a role and those above it, as far as there is nothing to be known of them;
    /// those that are gone.
    pub(crate) fn forget_if_empty(&mut self, id: RoleId) -> Vec<RoleId> {
        let mut gone = Vec::new();
        let mut current = Some(id);
        while let Some(id) = current.filter(|id| self.get(*id).is_empty()) {
            let role = self.slab.remove(id.index());
            self.by_path.remove(&role.path);
            if let Some(parent) = role.parent {
                self.get_mut(parent).children -= 1;
            }
            gone.push(id);
            current = role.parent;
        }
        gone
    }

    /// Whether a role lacks something that its frameworks could be given.
    pub(crate) fn is_hungry(&self, id: RoleId) -> bool {
        self.client(id).is_some_and(|client| self.tree.is_marked(client))
    }

    /// Whether frameworks of a role could be given something.
    pub(crate) fn is_open(&self, id: RoleId) -> bool {
        self.client(id).is_some_and(|client| self.tree.is_open(client))
    }

    /// The client of a role that may be gone, if it has frameworks.
    fn client(&self, id: RoleId) -> Option<ClientId> {
        Some(self.slab.get(id.index())?.members.as_ref()?.client)
    }

    /// The clients of those roles in which somebody wants something.
    pub(crate) fn active(&self, roles: impl Iterator<Item = RoleId>) -> Vec<ClientId> {
        roles
            .filter_map(|id| self.client(id))
            .filter(|client| self.tree.is_active(*client))
            .collect()
    }

    /// The same for roles and all below them, by their paths.
    pub(crate) fn active_below(&self, paths: &[&str]) -> Vec<ClientId> {
        paths.iter().flat_map(|path| self.tree.active_below(path)).collect()
    }

    /// Exhausted roles that gain from an agent all the same: something of it is reserved to
    /// them, or revocable.
    pub(crate) fn exhausted_that_gain(&self, shelf: &Shelf<'_>) -> Vec<ClientId> {
        if self.exhausted.is_empty() || !(shelf.has_reserved() || shelf.has_revocable()) {
            return Vec::new();
        }
        let reserved = shelf.reservation_roles();
        let gains = |id: &RoleId| {
            shelf.has_revocable() || reserved.binary_search(&self.get(*id).path.as_str()).is_ok()
        };
        self.active(self.exhausted.iter().copied().filter(gains))
    }

    /// A generation of filters that no other member has or had.
    fn generation(&mut self) -> u64 {
        self.next_generation += 1;
        self.next_generation
    }

    /// The classes of all frameworks that want something in any role.
    pub(crate) fn classes(&self) -> Classes {
        self.census.classes()
    }

    /// Brings up to date whether anybody wants something in a role, and of which class.
    pub(crate) fn refresh_members(&mut self, id: RoleId) {
        let Some(members) = self.slab[id.index()].members.as_deref_mut() else { return };
        let classes = members.classes();
        self.census.replace(std::mem::replace(&mut members.known, classes), classes);
        self.tree.set_active(members.client, members.tree.any_active());
    }

    /// Ends all filters of a framework in a role.
    pub(crate) fn end_filters(&mut self, id: RoleId, client: ClientId) {
        let generation = self.generation();
        if let Some(members) = self.members_mut(id) {
            members.end_filters(client, generation);
        }
    }

    /// Gives a framework a place in a role, if it has none.
    pub(crate) fn join(&mut self, id: RoleId, name: &str, framework: FrameworkId) -> ClientId {
        let generation = self.generation();
        let Self { slab, tree, by_client, seed, .. } = self;
        let role = &mut slab[id.index()];
        let path = &role.path;
        let members = role.members.get_or_insert_with(|| {
            let client = tree.add(path);
            if by_client.len() <= client.index() {
                by_client.resize(client.index() + 1, id);
            }
            by_client[client.index()] = id;
            Box::new(Members::new(client, *seed))
        });
        members.tree.find(name).unwrap_or_else(|| members.add(name, framework, generation))
    }

    /// Takes a framework's place in a role away.
    pub(crate) fn leave(&mut self, id: RoleId, name: &str, client: ClientId) {
        let Some(members) = self.members_mut(id) else { return };
        members.remove(name, client);
        if members.len() > 0 {
            return;
        }
        let client = members.client;
        // The mark is of the whole tree below a role without slashes.
        if self.get(id).parent.is_none() {
            self.set_hungry(id, client, None);
        }
        self.refresh_members(id);
        self.exhausted.retain(|other| *other != id);
        let path = self.get(id).path.clone();
        self.tree.remove(&path);
        self.get_mut(id).members = None;
    }
}
