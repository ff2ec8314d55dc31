//! Makes the planned changes in the kernel, so that a connection sees each VIP either as it
//! was or as it will be.

use muster_packet::{Counted, Counters, Handshakes, MAX_COUNTERS, Networks, Pair, Slot};
use tracing::warn;

use crate::{
    Changes, Error, Skipped,
    current::Current,
    desired::endpoint_text,
    plan::{Plan, Write},
    syscall,
    table::Slots,
    tables::Tables,
};

/// Carries out a plan; `current` is what it was made from. Says what was done, and what the maps say
/// by then.
///
/// A change is: write the new backends where nobody looks, make the VIP point to them, wait
/// until every program that may still read the old ones has ended, delete the old ones. Killed
/// at any point, it leaves at worst backends that no VIP points to, which the next run
/// deletes.
///
/// It costs what the plan has in it, however many VIPs there are.
pub(crate) fn apply(
    tables: &mut Tables,
    current: Current,
    plan: Plan,
) -> Result<(Changes, Current), Error> {
    let mut changes = Changes { unchanged: plan.unchanged, ..Changes::default() };
    let before = tables.writes();
    let mut state = State { current };

    // Before a VIP is there, its network has to be.
    let written = Networks::of(plan.write.iter().map(|write| &write.vip));
    let mut networks = tables.networks.get()?.union(&written);
    if plan.is_whole {
        networks = networks.union(&Networks::of(state.current.vips().keys()));
    }
    tables.networks.set(networks)?;
    tables.vips.remove_all(&plan.remove)?;
    for vip in &plan.remove {
        state.current.remove_vip(vip);
        changes.removed += 1;
    }
    state.count(tables, &plan.count, &mut changes)?;
    for pair in &plan.uncounted {
        let error = Error::Full { map: "counters", entries: MAX_COUNTERS };
        changes.skipped.push(Skipped::uncounted(pair, error));
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
                if write.has_table && state.current.vips().get(&write.vip) == Some(&without.entry())
                {
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
    if plan.is_whole || changes.removed > 0 {
        tables.networks.set(Networks::of(state.current.vips().keys()))?;
    }
    state.collect(tables)?;
    changes.writes = tables.writes();
    changes.writes.retain(|map, writes| {
        *writes -= before.get(map).copied().unwrap_or(0);
        *writes > 0
    });
    Ok((changes, state.current))
}

/// What the maps say while they are being changed.
struct State {
    current: Current,
}

// === impl State ===

impl State {
    /// Gives backends counters. They are their own before anybody can find them.
    fn count(
        &mut self,
        tables: &mut Tables,
        pairs: &[(Pair, Counted)],
        changes: &mut Changes,
    ) -> Result<(), Error> {
        if pairs.is_empty() {
            return Ok(());
        }
        // In this order: whoever comes late to a place finds that it is another backend's, or another VIP's.
        let known =
            pairs.iter().map(|(pair, at)| (at.counter, Counters::new(pair.backend, at.home)));
        let shown = pairs.iter().map(|(pair, at)| (at.counter, Handshakes::new(pair.vip, at.home)));
        tables.counters.set_all(&known.collect::<Vec<_>>())?;
        tables.handshakes.set_all(&shown.collect::<Vec<_>>())?;
        let mut rest = pairs;
        while !rest.is_empty() {
            let (done, result) = tables.counted.insert_all(rest);
            for (pair, at) in rest.iter().take(done) {
                self.current.count(*pair, *at);
            }
            let Err(error) = result else { break };
            // It is served all the same.
            if let Some((pair, _)) = rest.get(done) {
                changes.skipped.push(Skipped::uncounted(pair, error));
            }
            rest = rest.get(done + 1..).unwrap_or_default();
        }
        Ok(())
    }

    /// Writes a VIP's new table, or what of it is not there yet, and then the VIP. If there is no
    /// room, the VIP stays as it was.
    fn write(&mut self, tables: &mut Tables, write: &Write) -> Result<(), Error> {
        let table = write.table;
        let mut written = 0;
        let slots = write.built.slots.iter().copied();
        let keys = (0..).map(|index| Slot { table, index });
        let slots: Vec<_> = if write.has_table { Vec::new() } else { keys.zip(slots).collect() };
        let result = (|| {
            if !slots.is_empty() {
                let result;
                (written, result) = tables.backends.insert_all(&slots);
                result?;
            }
            if write.needs_pages {
                let drawn = write.built.drawn();
                self.current.change_pages(table, |pages| pages.write(tables, table, drawn))?;
            }
            tables.vips.insert(write.vip, write.entry())
        })();
        if result.is_err() {
            // No VIP points there, so nobody reads it.
            let keys: Vec<_> = slots.iter().take(written).map(|(key, _)| *key).collect();
            tables.backends.remove_all(&keys)?;
            if self.current.unused_pages().contains(&table) {
                self.current.change_pages(table, |pages| pages.delete(tables, table))?;
            }
            return result;
        }
        if !write.has_table {
            self.current.add_table(table, write.built.slots.iter().copied().collect());
        }
        self.current.set_vip(write.vip, write.entry());
        result
    }

    fn has_garbage(&self) -> bool {
        !self.current.unused().is_empty() || !self.current.unused_pages().is_empty()
    }

    /// Deletes tables that no VIP points to, and the counters of what is in no
    /// table.
    fn collect(&mut self, tables: &mut Tables) -> Result<(), Error> {
        if self.has_garbage() {
            let unused: Vec<u32> = self.current.unused().iter().copied().collect();
            let pages: Vec<u32> = self.current.unused_pages().iter().copied().collect();
            if let Err(error) = syscall::wait_for_programs() {
                // They are deleted by the next run that can wait, and harmless until then.
                warn!(%error, tables = unused.len(), "membarrier: old backends stay for now");
                return Ok(());
            }
            for table in pages {
                self.current.change_pages(table, |pages| pages.delete(tables, table))?;
            }
            let mut keys = Vec::new();
            for table in &unused {
                let indices = self.current.slots(*table).into_iter().flat_map(Slots::indices);
                keys.extend(indices.map(|index| Slot { table: *table, index }));
            }
            tables.backends.remove_all(&keys)?;
            for table in unused {
                self.current.remove_table(table);
            }
        }
        self.forget_counters(tables)
    }

    /// Counters stay while a handshake they counted as begun is under way.
    fn forget_counters(&mut self, tables: &mut Tables) -> Result<(), Error> {
        let is_over = |place| Ok(tables.handshakes.get(place)?.pending() == 0);
        let over = self.current.count_no_more::<Error>(is_over)?;
        tables.counted.remove_all(&over)
    }
}
