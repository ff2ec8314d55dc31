//! What roles have, and what that means for their quota.

use super::Roles;
use crate::amounts::Amounts;
use crate::ids::{ClientId, RoleId};
use crate::pool::Pool;
use crate::role::{NumberedQuota, Role};
use crate::tally::Tally;
use crate::tree::Level;

/// What an allocation adds on each level: the same on all, but for what is shared, which
/// counts only where nobody had it before.
pub(crate) struct Sums {
    same: Tally,
    /// The client alone, its role, the role above, and so on; then all roles together.
    levels: Vec<Tally>,
}

impl Sums {
    /// Without anything shared.
    pub(crate) fn same(tally: Tally) -> Self {
        Self { same: tally, levels: Vec::new() }
    }

    /// One for each level, the client's own first.
    pub(crate) fn by_level(levels: Vec<Tally>) -> Self {
        Self { same: Tally::default(), levels }
    }

    pub(crate) fn at(&self, level: Level) -> &Tally {
        let index = match level {
            Level::Own => 0,
            Level::Above(steps) => steps + 1,
        };
        self.levels.get(index).unwrap_or(&self.same)
    }
}

impl Roles {
    /// Notes what is reserved to a role, or that it is not any more.
    pub(crate) fn reserve(&mut self, path: &str, amounts: &Amounts, more: bool) -> RoleId {
        let id = self.make(path);
        let change =
            |sum: &mut Amounts| if more { sum.add(amounts) } else { sum.subtract(amounts) };
        self.change_up(id, |role| change(&mut role.reserved));
        change(&mut self.reserved);
        id
    }

    /// Notes that something was allocated to a role: to one of its frameworks.
    pub(crate) fn hold(&mut self, id: RoleId, sums: &Sums, pool: &Pool) {
        let client = self.members(id).map(|members| members.client);
        if let Some(client) = client {
            self.tree.credit(client, pool, |level| &sums.at(level).scalars);
        }
        self.change_held(id, sums, Amounts::add);
    }

    /// Notes that a role has something no more.
    pub(crate) fn release(&mut self, id: RoleId, sums: &Sums, pool: &Pool) {
        let client = self.members(id).map(|members| members.client);
        if let Some(client) = client {
            self.tree.debit(client, pool, |level| &sums.at(level).scalars);
        }
        self.change_held(id, sums, Amounts::subtract);
    }

    /// Changes a role and those above it.
    fn change_up(&mut self, id: RoleId, mut change: impl FnMut(&mut Role)) {
        let mut current = Some(id);
        while let Some(id) = current {
            let role = self.get_mut(id);
            change(role);
            current = role.parent;
        }
    }

    fn change_held(&mut self, id: RoleId, sums: &Sums, change: fn(&mut Amounts, &Amounts)) {
        let mut steps = 0;
        self.change_up(id, |role| {
            let tally = sums.at(Level::Above(steps));
            change(&mut role.held, &tally.countable);
            change(&mut role.held_reserved, &tally.reserved);
            steps += 1;
        });
        change(&mut self.held_reserved, &sums.at(Level::Above(steps)).reserved);
    }

    /// Counts something else in place of what a role has, on all levels.
    pub(crate) fn exchange(&mut self, id: RoleId, old: &Tally, new: &Tally, pool: &Pool) {
        if let Some(client) = self.members(id).map(|members| members.client) {
            self.tree.exchange(client, pool, &old.scalars, &new.scalars);
        }
        self.change_held(id, &Sums::same(new.clone()), Amounts::add);
        self.change_held(id, &Sums::same(old.clone()), Amounts::subtract);
    }

    /// Notes what tasks of a role use, or do not any more.
    pub(crate) fn use_up(&mut self, id: RoleId, tally: &Tally, more: bool) {
        self.change_up(id, |role| {
            if more {
                role.used.add(&tally.countable);
            } else {
                role.used.subtract(&tally.countable);
            }
        });
    }

    /// Gives a role another quota.
    pub(crate) fn set_quota(&mut self, id: RoleId, quota: Option<NumberedQuota>) {
        if let Some(old) = self.get_mut(id).quota.take() {
            self.missing.subtract(&old.missing);
        }
        self.get_mut(id).quota = quota.map(Box::new);
    }

    /// Brings up to date what follows from what a role without slashes has, and who wants
    /// something in it: what it lacks, and whether it could be given anything.
    pub(crate) fn refresh_quota(&mut self, id: RoleId, minima: &[Amounts]) {
        let role = self.get(id);
        let missing = role.missing();
        let members =
            role.members.as_ref().map(|members| (members.client, members.tree.any_active()));
        let hungry = members.is_some_and(|(_, wants)| wants) && !missing.is_zero();
        let exhausted = members.is_some() && role.is_exhausted(minima);
        if let Some(quota) = &mut self.get_mut(id).quota {
            let old = std::mem::replace(&mut quota.missing, missing.clone());
            self.missing.subtract(&old);
            self.missing.add(&missing);
        }
        let Some((client, _)) = members else { return };
        self.set_hungry(id, client, hungry.then_some(missing));
        if self.tree.is_closed(client) != exhausted {
            self.tree.set_closed(client, exhausted);
            if exhausted {
                self.exhausted.push(id);
            } else {
                self.exhausted.retain(|other| *other != id);
            }
        }
    }

    /// Says what a role lacks that its frameworks could be given.
    pub(super) fn set_hungry(&mut self, id: RoleId, client: ClientId, missing: Option<Amounts>) {
        if self.tree.is_marked(client) != missing.is_some() {
            self.tree.set_marked(client, missing.is_some());
            self.hungry = if missing.is_some() { self.hungry + 1 } else { self.hungry - 1 };
        }
        let missing = missing.unwrap_or_default();
        self.lacking.add(&missing);
        let before = std::mem::replace(&mut self.get_mut(id).lacks, missing);
        self.lacking.remove(&before);
    }

    /// Makes what a role below this one was given not count before the next cycle.
    pub(crate) fn lag(&mut self, top: RoleId, amounts: &Amounts) {
        self.get_mut(top).lag.add(amounts);
        self.lagging.push(top);
    }

    /// Makes everything count.
    pub(crate) fn catch_up(&mut self, minima: &[Amounts]) {
        for id in std::mem::take(&mut self.lagging) {
            self.get_mut(id).lag = Amounts::default();
            self.refresh_quota(id, minima);
        }
    }
}
