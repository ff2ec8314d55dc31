//! Which pages of Maglev tables there are.
//!
//! Tables are large and never changed in place, so they are not read again unless something went
//! wrong: what was found when the map was opened, and what was written since, is known. Only one
//! process writes.

use std::collections::{BTreeMap, BTreeSet};

use muster_packet::{
    Backend, Slot,
    maglev::{self, MaglevPage},
};

use crate::{Error, tables::Tables};

/// The pages in the map `maglev`, by table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pages(BTreeMap<u32, BTreeSet<u32>>);

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

    /// True if there is any page of the table.
    pub(crate) fn contains(&self, table: u32) -> bool {
        self.0.contains_key(&table)
    }

    /// The last of the tables.
    pub(crate) fn highest(&self) -> Option<u32> {
        self.0.keys().next_back().copied()
    }

    /// Writes a table for these backends. What is written stays known if there is an error.
    pub(crate) fn write(
        &mut self,
        tables: &mut Tables,
        table: u32,
        drawn: &[Backend],
    ) -> Result<(), Error> {
        let weighted: Vec<_> = drawn.iter().map(|slot| (slot.backend, slot.weight)).collect();
        let keys = (0..).map(|index| Slot { table, index });
        let pages: Vec<_> = keys.zip(MaglevPage::pages(&maglev::build(&weighted))).collect();
        let (written, result) = tables.maglev.insert_all(&pages);
        pages.iter().take(written).for_each(|(key, _)| self.insert(*key));
        result
    }

    /// Deletes a table, which nobody may read any more.
    pub(crate) fn delete(&mut self, tables: &mut Tables, table: u32) -> Result<(), Error> {
        let pages = self.0.get(&table).into_iter().flatten();
        let keys: Vec<_> = pages.map(|index| Slot { table, index: *index }).collect();
        tables.maglev.remove_all(&keys)?;
        self.0.remove(&table);
        Ok(())
    }

    /// Takes it that a table of so many slots is written.
    pub(crate) fn add(&mut self, table: u32, slots: u32) {
        (0..maglev::pages(slots)).for_each(|index| self.insert(Slot { table, index }));
    }

    /// Takes it that a table is gone.
    pub(crate) fn remove(&mut self, table: u32) {
        self.0.remove(&table);
    }

    fn insert(&mut self, page: Slot) {
        self.0.entry(page.table).or_default().insert(page.index);
    }
}
