//! Which pages of Maglev tables there are.
//!
//! Tables are large and never changed in place, so they are not read again unless something went
//! wrong: what was found when the map was opened, and what was written since, is known. Only one
//! process writes.

use std::collections::{BTreeSet, HashMap};

use muster_packet::{
    Backend, Slot,
    maglev::{self, MaglevPage},
};

use crate::{Error, tables::Tables};

/// The pages in the map `maglev`, by table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pages(HashMap<u32, BTreeSet<u32>>);

// === impl Pages ===

impl Pages {
    /// Those that an earlier process left.
    pub(crate) fn read(tables: &Tables) -> Result<Self, Error> {
        let mut pages = Self::default();
        for page in tables.maglev.keys()? {
            pages.insert(page);
        }
        Ok(pages)
    }

    /// True if the table is there with this many slots, and no page more.
    pub(crate) fn has(&self, table: u32, slots: u32) -> bool {
        // A VIP's entry is written after its pages.
        self.0.get(&table).map_or(0, BTreeSet::len) == maglev::pages(slots) as usize
    }

    /// The tables of which there are pages.
    pub(crate) fn tables(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }

    /// Writes a table for these backends. What is written stays known if there is an error.
    pub(crate) fn write(
        &mut self,
        tables: &mut Tables,
        table: u32,
        drawn: &[Backend],
    ) -> Result<(), Error> {
        let weighted: Vec<_> = drawn.iter().map(|slot| (slot.backend, slot.weight)).collect();
        for (index, page) in (0..).zip(MaglevPage::pages(&maglev::build(&weighted))) {
            let key = Slot { table, index };
            tables.maglev.insert(key, page)?;
            self.insert(key);
        }
        Ok(())
    }

    /// Deletes a table, which nobody may read any more.
    pub(crate) fn delete(&mut self, tables: &mut Tables, table: u32) -> Result<(), Error> {
        while let Some(index) = self.0.get(&table).and_then(BTreeSet::last).copied() {
            tables.maglev.remove(&Slot { table, index })?;
            if let Some(pages) = self.0.get_mut(&table) {
                pages.remove(&index);
            }
        }
        self.0.remove(&table);
        Ok(())
    }

    /// Takes it that a table of so many slots is written.
    pub(crate) fn add(&mut self, table: u32, slots: u32) {
        (0..maglev::pages(slots)).for_each(|index| self.insert(Slot { table, index }));
    }

    /// Takes it that only these tables are left.
    pub(crate) fn retain(&mut self, is_left: impl Fn(u32) -> bool) {
        self.0.retain(|table, _| is_left(*table));
    }

    fn insert(&mut self, page: Slot) {
        self.0.entry(page.table).or_default().insert(page.index);
    }
}
