//! What the maps say, and what follows from it, kept so that a change costs what has changed.

use std::collections::{BTreeMap, BTreeSet};

use muster_packet::{Backend, Counted, Endpoint, MAX_COUNTERS, Pair, Slot, Vip};

use crate::{
    Error,
    pages::Pages,
    places::Places,
    table::{Built, Slots},
    tables::Tables,
};

/// What the maps say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Current {
    vips: BTreeMap<Endpoint, Vip>,
    /// The slots of each table that has some.
    tables: BTreeMap<u32, Slots>,
    pages: Pages,
    places: Places,
    /// Tables that VIPs point to.
    pointed: BTreeMap<u32, Pointed>,
    /// Tables that no VIP points to.
    unused: BTreeSet<u32>,
    /// Maglev tables that no VIP points to.
    unused_pages: BTreeSet<u32>,
}

/// How many VIPs point to a table; more than one only if others wrote the maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pointed {
    vips: u32,
    /// Those of them that use its Maglev table.
    hashed: u32,
}

// === impl Current ===

impl Current {
    /// Reads the maps, `maglev` only if nothing is known of it: it is large, and never
    /// changed in place.
    pub(crate) fn read(tables: &Tables, pages: Option<Pages>) -> Result<Self, Error> {
        let (vips, slots) = (tables.vips.entries()?, tables.backends.entries()?);
        let pages = pages.map_or_else(|| Pages::read(tables), Ok)?;
        Ok(Self::new(vips, slots, tables.counted.entries()?, pages))
    }

    /// Sorts the maps' entries by what they belong to.
    pub(crate) fn new(
        vips: Vec<(Endpoint, Vip)>,
        mut slots: Vec<(Slot, Backend)>,
        counted: Vec<(Pair, Counted)>,
        pages: Pages,
    ) -> Self {
        let mut current = Self::default();
        // An entry that is another's hand's work is as good as none.
        let mut taken = BTreeSet::new();
        let (homes, others): (Vec<_>, Vec<_>) =
            counted.into_iter().partition(|(_, at)| at.counter == at.home);
        for (pair, at) in homes.into_iter().chain(others) {
            if (at.counter as usize) < MAX_COUNTERS && taken.insert(at.counter) {
                current.count(pair, at);
            }
        }
        let mut tables = BTreeMap::<u32, Slots>::new();
        // In order each is added at the end of its table.
        slots.sort_unstable_by_key(|(slot, _)| *slot);
        for (slot, backend) in slots {
            tables.entry(slot.table).or_default().insert(slot.index, backend);
        }
        for (table, slots) in tables {
            current.add_table(table, slots);
        }
        current.set_pages(pages);
        for (vip, entry) in vips {
            current.set_vip(vip, entry);
        }
        current
    }

    /// Map `vips`.
    pub(crate) fn vips(&self) -> &BTreeMap<Endpoint, Vip> {
        &self.vips
    }

    /// Map `backends`: the slots of a table.
    pub(crate) fn slots(&self, table: u32) -> Option<&Slots> {
        self.tables.get(&table)
    }

    /// How many entries the map `backends` has.
    pub(crate) fn backends(&self) -> usize {
        self.tables.values().map(Slots::len).sum()
    }

    /// Map `counted`: where the counters of each VIP's backends are.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Map `maglev`: which parts of tables there are.
    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// What is known of the map `maglev`, of all that is.
    pub(crate) fn into_pages(self) -> Pages {
        self.pages
    }

    /// Tables that no VIP points to.
    pub(crate) fn unused(&self) -> &BTreeSet<u32> {
        &self.unused
    }

    /// Maglev tables that no VIP points to.
    pub(crate) fn unused_pages(&self) -> &BTreeSet<u32> {
        &self.unused_pages
    }

    /// The VIP's table, if it is exactly `built`.
    pub(crate) fn table(&self, vip: Endpoint, built: &Built) -> Option<u32> {
        let entry = self.vips.get(&vip)?;
        let slots = self.tables.get(&entry.table);
        let fits = entry.backends == built.drawn
            && entry.draining == built.draining
            && slots.map_or(0, Slots::len) == built.slots.len()
            && slots.into_iter().flat_map(Slots::iter).eq(&built.slots);
        fits.then_some(entry.table)
    }

    /// A number above all tables'; after the highest possible it starts again from 1 and
    /// skips those in use.
    pub(crate) fn unused_numbers(&self) -> impl Iterator<Item = u32> {
        let (tables, pointed) = (self.tables.keys().next_back(), self.pointed.keys().next_back());
        let highest = tables.copied().max(pointed.copied()).max(self.pages.highest()).unwrap_or(0);
        (1..=u32::MAX).map(move |offset| highest.wrapping_add(offset)).filter(|table| {
            let is_used = self.tables.contains_key(table)
                || self.pointed.contains_key(table)
                || self.pages.contains(*table);
            *table != 0 && !is_used
        })
    }

    /// A VIP's entry is this from now on.
    pub(crate) fn set_vip(&mut self, vip: Endpoint, entry: Vip) {
        // First the new: a table that the VIP keeps is in use all the time.
        self.point(&entry);
        if let Some(former) = self.vips.insert(vip, entry) {
            self.point_no_more(&former);
        }
    }

    /// There is no such VIP any more.
    pub(crate) fn remove_vip(&mut self, vip: &Endpoint) {
        if let Some(former) = self.vips.remove(vip) {
            self.point_no_more(&former);
        }
    }

    /// There is a table of this number, to which no VIP need point yet.
    pub(crate) fn add_table(&mut self, table: u32, slots: Slots) {
        if slots.len() == 0 {
            return self.remove_table(table);
        }
        self.places.begin_use(slots.iter().map(Backend::pair));
        if let Some(former) = self.tables.insert(table, slots) {
            self.places.end_use(former.iter().map(Backend::pair));
        }
        if !self.pointed.contains_key(&table) {
            self.unused.insert(table);
        }
    }

    /// There is no table of this number any more.
    pub(crate) fn remove_table(&mut self, table: u32) {
        self.unused.remove(&table);
        if let Some(former) = self.tables.remove(&table) {
            self.places.end_use(former.iter().map(Backend::pair));
        }
    }

    /// Changes what is known of a Maglev table.
    pub(crate) fn change_pages<T>(
        &mut self,
        table: u32,
        change: impl FnOnce(&mut Pages) -> T,
    ) -> T {
        let result = change(&mut self.pages);
        let is_used = self.pointed.get(&table).is_some_and(|pointed| pointed.hashed > 0);
        if self.pages.contains(table) && !is_used {
            self.unused_pages.insert(table);
        } else {
            self.unused_pages.remove(&table);
        }
        result
    }

    fn set_pages(&mut self, pages: Pages) {
        let tables: Vec<u32> = pages.tables().collect();
        self.pages = pages;
        for table in tables {
            self.change_pages(table, |_| ());
        }
    }

    /// The counters of a VIP's backend are at this place.
    pub(crate) fn count(&mut self, pair: Pair, at: Counted) {
        self.places.take(pair, at);
    }

    /// Forgets where counters are that belong to nothing in any table, if it says of their place that nothing is under
    /// way. Says whose they were.
    pub(crate) fn count_no_more<E>(
        &mut self,
        mut is_over: impl FnMut(u32) -> Result<bool, E>,
    ) -> Result<Vec<Pair>, E> {
        let mut over = Vec::new();
        // A backend's home can go when its other places have gone.
        for _ in 0..2 {
            let idle: Vec<_> = self.places.idle().collect();
            for (pair, place) in idle {
                if is_over(place)? {
                    self.places.give_back(&pair);
                    over.push(pair);
                }
            }
        }
        Ok(over)
    }

    fn point(&mut self, entry: &Vip) {
        let pointed = self.pointed.entry(entry.table).or_default();
        pointed.vips += 1;
        self.unused.remove(&entry.table);
        if entry.slots > 0 {
            pointed.hashed += 1;
            self.unused_pages.remove(&entry.table);
        }
    }

    fn point_no_more(&mut self, entry: &Vip) {
        let table = entry.table;
        let Some(pointed) = self.pointed.get_mut(&table) else { return };
        pointed.vips -= 1;
        pointed.hashed -= u32::from(entry.slots > 0);
        let Pointed { vips, hashed } = *pointed;
        if hashed == 0 && self.pages.contains(table) {
            self.unused_pages.insert(table);
        }
        if vips == 0 {
            self.pointed.remove(&table);
            if self.tables.contains_key(&table) {
                self.unused.insert(table);
            }
        }
    }
}

#[cfg(test)]
mod tests;
