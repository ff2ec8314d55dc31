//! What frameworks have refused of one agent.

mod slots;

use std::sync::Arc;

use muster_resources::Resources;
use slab::Slab;

use self::slots::{EntryId, Slot, Slots};
use crate::filter::Filter;
use crate::ids::{ClientId, RoleId};

/// The refusals that have not ended.
///
/// Mostly frameworks refuse the same, which is kept once, and an agent is looked at for many
/// of them one after another: who refused what the last one did is found at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals {
    by_role: Vec<(RoleId, Slots)>,
    list: Slab<Entry>,
    /// The resources that were refused last.
    last: Option<Arc<Resources>>,
    /// Changes with them.
    version: u32,
}

/// A filter, and where the next one of the same framework in the same role is.
#[derive(Clone, Debug)]
struct Entry {
    filter: Filter,
    next: Option<EntryId>,
}

impl Refusals {
    /// Notes a refusal by a framework that is of this generation in the role.
    pub(crate) fn add(
        &mut self,
        (role, client): (RoleId, ClientId),
        resources: Resources,
        timer: u64,
        generation: u64,
    ) {
        let refused = match &self.last {
            Some(last) if **last == resources => last.clone(),
            _ => {
                self.version = self.version.wrapping_add(1).max(1);
                self.last.insert(Arc::new(resources)).clone()
            }
        };
        let version = self.version;
        let index = self.by_role.iter().position(|(other, _)| *other == role);
        let index = index.unwrap_or_else(|| {
            self.by_role.push((role, Slots::default()));
            self.by_role.len() - 1
        });
        let slots = &mut self.by_role[index].1;
        let next = slots.get(client).map(|slot| slot.first);
        let entry = Entry { filter: Filter { refused, timer, generation }, next };
        let first = EntryId::from(self.list.insert(entry));
        slots.set(client, Slot { generation, version, first });
    }

    /// Forgets the refusal of a timer; of which generation it was.
    pub(crate) fn end(&mut self, (role, client): (RoleId, ClientId), timer: u64) -> Option<u64> {
        let index = self.by_role.iter().position(|(other, _)| *other == role)?;
        let first = self.by_role[index].1.get(client)?.first;
        let mut chain: Vec<EntryId> = self.chain(first).collect();
        let position = chain.iter().position(|entry| self.filter(*entry).timer == timer)?;
        let ended = self.list.remove(chain.remove(position).index()).filter;
        // Tied together anew, without it.
        for (place, entry) in chain.iter().enumerate() {
            if let Some(entry) = self.list.get_mut(entry.index()) {
                entry.next = chain.get(place + 1).copied();
            }
        }
        let is_last = |entry: &&EntryId| self.is_last(&self.filter(**entry).refused);
        let slot = chain.first().map(|first| {
            let last = chain.iter().find(is_last).map(|entry| self.filter(*entry).generation);
            let version = if last.is_some() { self.version } else { 0 };
            Slot { generation: last.unwrap_or_default(), version, first: *first }
        });
        let slots = &mut self.by_role[index].1;
        match slot {
            Some(slot) => slots.set(client, slot),
            None => slots.clear(client),
        }
        if slots.is_empty() {
            self.by_role.swap_remove(index);
        }
        Some(ended.generation)
    }

    /// Forgets all; whose they were, and of which generation.
    pub(crate) fn end_all(&mut self) -> Vec<(RoleId, ClientId, u64)> {
        let all = std::mem::take(self);
        let mut ended = Vec::with_capacity(all.list.len());
        for (role, slots) in &all.by_role {
            for (client, slot) in slots.iter() {
                let generations = all.chain(slot.first).map(|entry| all.filter(entry).generation);
                ended.extend(generations.map(|generation| (*role, client, generation)));
            }
        }
        ended
    }

    /// Whether a framework of this generation has refused all that is in an offer.
    /// `last_refuses` says whether [`Refusals::last_contains`] it.
    pub(crate) fn refuse(
        &self,
        (role, client): (RoleId, ClientId),
        generation: u64,
        offer: &Resources,
        last_refuses: impl Fn() -> bool,
    ) -> bool {
        let slots = self.by_role.iter().find(|(other, _)| *other == role);
        let Some(slot) = slots.and_then(|(_, slots)| slots.get(client)) else { return false };
        if slot.version == self.version && slot.generation == generation && last_refuses() {
            return true;
        }
        self.chain(slot.first).any(|entry| {
            let filter = self.filter(entry);
            filter.generation == generation
                && if self.is_last(&filter.refused) {
                    last_refuses()
                } else {
                    filter.refused.contains(offer)
                }
        })
    }

    /// Whether what was refused last has all of an offer in it.
    pub(crate) fn last_contains(&self, offer: &Resources) -> bool {
        self.last.as_ref().is_some_and(|last| last.contains(offer))
    }

    fn is_last(&self, refused: &Arc<Resources>) -> bool {
        self.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, refused))
    }

    fn filter(&self, entry: EntryId) -> &Filter {
        &self.list[entry.index()].filter
    }

    /// The entries from one on.
    fn chain(&self, first: EntryId) -> impl Iterator<Item = EntryId> + '_ {
        std::iter::successors(Some(first), |entry| self.list.get(entry.index())?.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(role: usize, client: usize) -> (RoleId, ClientId) {
        (role.into(), client.into())
    }

    fn things(text: &str) -> Resources {
        Resources::parse(text).unwrap()
    }

    fn refuse(all: &Refusals, who: (RoleId, ClientId), generation: u64, offer: &str) -> bool {
        let offer = things(offer);
        all.refuse(who, generation, &offer, || all.last_contains(&offer))
    }

    #[test]
    fn each_filter_counts_until_it_ends() {
        let mut all = Refusals::default();
        all.add(who(0, 3), things("cpus:1"), 1, 7);
        all.add(who(0, 3), things("cpus:4;mem:1"), 2, 7);
        all.add(who(1, 3), things("cpus:1"), 3, 9);
        assert!(refuse(&all, who(0, 3), 7, "cpus:4"));
        assert!(refuse(&all, who(1, 3), 9, "cpus:1"));
        assert!(!refuse(&all, who(1, 3), 9, "cpus:2"));
        assert!(!refuse(&all, who(0, 3), 8, "cpus:1"), "another generation");
        assert!(!refuse(&all, who(0, 4), 7, "cpus:1"), "another framework");
        assert_eq!(all.end(who(0, 3), 2), Some(7));
        assert_eq!(all.end(who(0, 3), 2), None);
        assert!(!refuse(&all, who(0, 3), 7, "cpus:4"));
        assert!(refuse(&all, who(0, 3), 7, "cpus:1"));
        assert_eq!(all.end(who(0, 3), 1), Some(7));
        assert!(!refuse(&all, who(0, 3), 7, "cpus:1"));
        assert_eq!(all.end_all(), [(1.into(), 3.into(), 9)]);
        assert!(!refuse(&all, who(1, 3), 9, "cpus:1"));
    }

    #[test]
    fn the_last_refusal_is_found_though_others_came_after_it() {
        let mut all = Refusals::default();
        all.add(who(0, 0), things("cpus:2"), 1, 5);
        all.add(who(0, 0), things("cpus:1"), 2, 5);
        all.add(who(0, 1), things("cpus:2"), 3, 6);
        assert!(refuse(&all, who(0, 0), 5, "cpus:2"), "kept though not the last");
        all.add(who(0, 0), things("mem:1"), 4, 5);
        all.add(who(0, 2), things("cpus:2"), 5, 8);
        assert_eq!(all.end(who(0, 0), 1), Some(5));
        assert!(!refuse(&all, who(0, 0), 5, "cpus:2"));
        assert!(refuse(&all, who(0, 0), 5, "mem:1"));
        assert!(refuse(&all, who(0, 2), 8, "cpus:2"));
    }
}
