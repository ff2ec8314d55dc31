//! Makes the planned changes in the kernel, so that a connection sees each VIP either as it
//! was or as it will be.

use std::collections::{BTreeMap, BTreeSet};

use muster_packet::{
    Backend, Counted, Counters, Endpoint, Handshakes, MAX_COUNTERS, Networks, Slot,
};
use tracing::warn;

use crate::{
    Error, Skipped,
    desired::endpoint_text,
    plan::{Current, Plan, Write},
    plane::Changes,
    syscall,
    tables::Tables,
};

/// Carries out a plan; `current` is what it was made from. Says what was done, and what the maps say
/// by then.
///
/// A change is: write the new backends where nobody looks, make the VIP point to them, wait
/// until every program that may still read the old ones has ended, delete the old ones. Killed
/// at any point, it leaves at worst backends that no VIP points to, which the next run
/// deletes.
pub(crate) fn apply(
    tables: &mut Tables,
    current: Current,
    plan: Plan,
) -> Result<(Changes, Current), Error> {
    let mut changes = Changes { unchanged: plan.unchanged, ..Changes::default() };
    let mut state = State::new(current);

    // Before a VIP is there, its network has to be.
    let networks = Networks::of(state.current.vips.keys().chain(plan.write.iter().map(|w| &w.vip)));
    tables.networks.set(networks.union(&tables.networks.get()?))?;
    for vip in &plan.remove {
        tables.vips.remove(vip)?;
        state.current.vips.remove(vip);
        changes.removed += 1;
    }
    for (backend, counter) in &plan.count {
        match begin_counting(tables, *backend, *counter) {
            Ok(()) => {
                state.current.counted.insert(*backend, *counter);
            }
            // It is served all the same.
            Err(error) => {
                changes.skipped.push(Skipped::Count { backend: endpoint_text(*backend), error });
            }
        }
    }
    for backend in &plan.uncounted {
        let error = Error::Full { map: "counters", entries: MAX_COUNTERS };
        changes.skipped.push(Skipped::Count { backend: endpoint_text(*backend), error });
    }
    for (vip, backends) in &plan.crowded {
        changes.skipped.push(Skipped::Field {
            vip: endpoint_text(*vip),
            field: "backends".to_owned(),
            value: backends.to_string(),
            reason: "are more than 65536: clients are spread over them without a Maglev table",
        });
    }
    for write in plan.write {
        let mut result = state.write(tables, &write);
        if result.as_ref().is_err_and(Error::is_full) && state.has_garbage() {
            state.collect(tables)?;
            result = state.write(tables, &write);
        }
        result = match result {
            Err(error @ Error::Full { map: "maglev", .. }) => {
                // It is served all the same.
                changes.skipped.push(Skipped::Maglev { vip: endpoint_text(write.vip), error });
                let without = Write { slots: 0, needs_pages: false, ..write.clone() };
                if write.has_table && state.current.vips.get(&write.vip) == Some(&without.entry()) {
                    changes.unchanged += 1;
                    continue;
                }
                state.write(tables, &without)
            }
            other => other,
        };
        match result {
            Ok(()) if write.is_new => changes.added += 1,
            Ok(()) => changes.changed += 1,
            Err(error) => {
                changes.skipped.push(Skipped::Write { vip: endpoint_text(write.vip), error });
            }
        }
    }
    tables.networks.set(Networks::of(state.current.vips.keys()))?;
    state.collect(tables)?;
    Ok((changes, state.current))
}

/// Gives a backend counters. They are its own before anybody can find them.
fn begin_counting(tables: &mut Tables, backend: Endpoint, counter: u32) -> Result<(), Error> {
    tables.handshakes.set(counter, Handshakes::default())?;
    tables.counters.set(counter, Counters::new(backend))?;
    tables.counted.insert(backend, Counted::new(counter))
}

/// What the maps say while they are being changed.
struct State {
    current: Current,
}

// === impl State ===

impl State {
    fn new(current: Current) -> Self {
        Self { current }
    }

    /// Writes a VIP's new table, or what of it is not there yet, and then the VIP. If there is no
    /// room, the VIP stays as it was.
    fn write(&mut self, tables: &mut Tables, write: &Write) -> Result<(), Error> {
        let table = write.table;
        let mut slots = BTreeMap::<u32, Backend>::new();
        let new = if write.has_table { &[] } else { write.built.slots.as_slice() };
        let result = (0u32..)
            .zip(new)
            .try_for_each(|(index, slot)| {
                tables.backends.insert(Slot { table, index }, *slot)?;
                slots.insert(index, *slot);
                Ok(())
            })
            .and_then(|()| {
                if write.needs_pages {
                    self.current.pages.write(tables, table, write.built.drawn())?;
                }
                tables.vips.insert(write.vip, write.entry())?;
                self.current.vips.insert(write.vip, write.entry());
                Ok(())
            });
        if result.is_err() {
            // No VIP points there, so nobody reads it.
            for index in slots.keys() {
                tables.backends.remove(&Slot { table, index: *index })?;
            }
            if !self.has_maglev(table) {
                self.current.pages.delete(tables, table)?;
            }
        } else if !write.has_table {
            self.current.tables.insert(table, slots);
        }
        result
    }

    /// True if a VIP points to a Maglev table of this number.
    fn has_maglev(&self, table: u32) -> bool {
        self.current.vips.values().any(|vip| vip.table == table && vip.slots > 0)
    }

    /// Maglev tables that no VIP points to.
    fn unused_pages(&self) -> Vec<u32> {
        let vips = self.current.vips.values().filter(|vip| vip.slots > 0);
        let used: BTreeSet<u32> = vips.map(|vip| vip.table).collect();
        self.current.pages.tables().filter(|table| !used.contains(table)).collect()
    }

    /// Tables that no VIP points to.
    fn garbage(&self) -> Vec<u32> {
        let used: BTreeSet<u32> = self.current.vips.values().map(|vip| vip.table).collect();
        self.current.tables.keys().filter(|table| !used.contains(table)).copied().collect()
    }

    fn has_garbage(&self) -> bool {
        !self.garbage().is_empty() || !self.unused_pages().is_empty()
    }

    /// Deletes tables that no VIP points to, and the counters of backends that are in no
    /// table.
    fn collect(&mut self, tables: &mut Tables) -> Result<(), Error> {
        let (garbage, pages) = (self.garbage(), self.unused_pages());
        if !garbage.is_empty() || !pages.is_empty() {
            if let Err(error) = syscall::wait_for_programs() {
                // They are deleted by the next run that can wait, and harmless until then.
                warn!(%error, tables = garbage.len(), "membarrier: old backends stay for now");
                return Ok(());
            }
            for table in pages {
                self.current.pages.delete(tables, table)?;
            }
            for table in garbage {
                for index in
                    self.current.tables.remove(&table).into_iter().flatten().map(|(i, _)| i)
                {
                    tables.backends.remove(&Slot { table, index })?;
                }
            }
        }
        self.forget_counters(tables)
    }

    /// Counters stay while a handshake they counted as begun is under way.
    fn forget_counters(&mut self, tables: &mut Tables) -> Result<(), Error> {
        let used: BTreeSet<_> =
            self.current.tables.values().flat_map(BTreeMap::values).map(|s| s.backend).collect();
        let counted = &mut self.current.counted;
        let stale: Vec<_> = counted
            .iter()
            .filter(|(backend, _)| !used.contains(backend))
            .map(|(backend, counter)| (*backend, *counter))
            .collect();
        for (backend, counter) in stale {
            if tables.counters.get(counter)?.pending() == 0 {
                tables.counted.remove(&backend)?;
                counted.remove(&backend);
            }
        }
        Ok(())
    }
}
