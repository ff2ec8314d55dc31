//! What the kernel's maps are to eBPF, in this process: VIPs, backends and what is counted of
//! them. It does no I/O and reads no clock.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, hash_map},
    convert::Infallible,
    net::{Ipv4Addr, SocketAddrV4},
};

use muster_packet::{
    BREAKER_FAILURES, Choice, Counters, Drawn, Endpoint, Handshakes, Latency, Load, Policy, Pool,
    Settled, TCP, Target, Vip, draw, maglev, rescue, settle, ticks,
};
use rand::{Rng as _, rngs::StdRng};

use super::conntrack::Flow;
use crate::{
    Changes,
    current::Current,
    plan::Plan,
    status::{self, Known},
    table::Slots,
};

/// A handshake that takes longer is a failure: minuteman's `tcp_connect_threshold`.
pub(super) const THRESHOLD_NS: u64 = 400_000_000;

/// When what is late is forgotten at the latest: the kernel gives up before.
const FORGOTTEN_NS: u64 = 180_000_000_000;

/// VIPs, their backends, and handshakes under way.
pub(super) struct Ledger {
    current: Current,
    /// Maglev tables by number.
    maglev: HashMap<u32, Vec<u16>>,
    /// By place, as in the map `counters`.
    counters: Vec<Cell<Counters>>,
    /// By place, as in the map `handshakes`.
    details: Vec<Cell<Handshakes>>,
    handshakes: HashMap<Flow, Handshake>,
    deadlines: BinaryHeap<Reverse<(u64, Flow)>>,
    random: RefCell<StdRng>,
}

/// A VIP's backend, and where its counters are.
#[derive(Clone, Copy, Debug)]
struct Destination {
    vip: Endpoint,
    backend: Endpoint,
    counter: u32,
}

/// A handshake with a backend, begun and not decided.
#[derive(Clone, Copy, Debug)]
struct Handshake {
    to: Destination,
    began_ns: u64,
    /// When it is looked at again.
    deadline_ns: u64,
    /// It has been counted as failed.
    is_late: bool,
}

/// Where a SYN goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nowhere: no VIP, or one without a backend.
    Nobody,
    /// To this backend.
    Backend {
        /// Where it is.
        backend: SocketAddrV4,
        /// True if the same SYN was decided before.
        again: bool,
    },
}

/// A VIP's table at one moment.
struct Table<'a> {
    slots: &'a Slots,
    counters: &'a [Cell<Counters>],
    random: &'a RefCell<StdRng>,
    now_ns: u64,
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn new(random: StdRng) -> Self {
        Self {
            current: Current::default(),
            maglev: HashMap::new(),
            counters: Vec::new(),
            details: Vec::new(),
            handshakes: HashMap::new(),
            deadlines: BinaryHeap::new(),
            random: RefCell::new(random),
        }
    }

    /// What is served now.
    pub(super) fn current(&self) -> &Current {
        &self.current
    }

    /// Makes planned changes; what comes afterwards sees all of them.
    pub(super) fn apply(&mut self, plan: Plan) -> Changes {
        let mut changes = Changes { unchanged: plan.unchanged, ..Changes::default() };
        for vip in &plan.remove {
            self.current.remove_vip(vip);
            changes.removed += 1;
        }
        for (pair, place) in plan.count {
            let at = place.counter as usize;
            if self.counters.len() <= at {
                self.counters.resize_with(at + 1, Cell::default);
                self.details.resize_with(at + 1, Cell::default);
            }
            self.details[at].set(Handshakes::new(pair.vip, place.home));
            self.counters[at].set(Counters::new(pair.backend, place.home));
            self.current.count(pair, place);
        }
        for write in plan.write {
            let entry = write.entry();
            if write.needs_pages {
                let drawn = write.built.drawn().iter();
                let weighted: Vec<_> = drawn.map(|slot| (slot.backend, slot.weight)).collect();
                self.maglev.insert(write.table, maglev::build(&weighted));
                self.current.change_pages(write.table, |pages| pages.add(write.table, write.slots));
            }
            self.current.add_table(write.table, write.built.slots.into_iter().collect());
            self.current.set_vip(write.vip, entry);
            *if write.is_new { &mut changes.added } else { &mut changes.changed } += 1;
        }
        self.collect();
        changes
    }

    /// Drops tables of no VIP, and counters of what is in no table and has nothing under
    /// way.
    fn collect(&mut self) {
        for table in self.current.unused_pages().clone() {
            self.maglev.remove(&table);
            self.current.change_pages(table, |pages| pages.remove(table));
        }
        for table in self.current.unused().clone() {
            self.current.remove_table(table);
        }
        let details = &self.details;
        let is_over =
            |place| Ok(details.get(place as usize).is_none_or(|of| of.get().pending() == 0));
        let Ok(_) = self.current.count_no_more::<Infallible>(is_over);
    }

    /// Decides where the SYN of a flow goes, and counts a handshake as begun.
    pub(super) fn decide(&mut self, flow: Flow, now_ns: u64) -> Decision {
        if let Some(known) = self.handshakes.get(&flow) {
            let backend = status::v4(&known.to.backend);
            return backend
                .map_or(Decision::Nobody, |backend| Decision::Backend { backend, again: true });
        }
        let Some(to) = self.choose(flow, now_ns) else { return Decision::Nobody };
        let Some(backend) = status::v4(&to.backend) else { return Decision::Nobody };
        let deadline_ns = now_ns.saturating_add(THRESHOLD_NS);
        let handshake = Handshake { to, began_ns: now_ns, deadline_ns, is_late: false };
        self.handshakes.insert(flow, handshake);
        self.deadlines.push(Reverse((deadline_ns, flow)));
        self.change(&to, |counters, details| {
            counters.pending += 1;
            details.started += 1;
        });
        Decision::Backend { backend, again: false }
    }

    fn choose(&self, flow: Flow, now_ns: u64) -> Option<Destination> {
        let vip = Endpoint::v4(flow.vip.ip().octets(), flow.vip.port(), TCP);
        let entry = self.current.vips().get(&vip).filter(|entry| entry.backends > 0)?;
        let slots = self.current.slots(entry.table)?;
        let table = Table { slots, counters: &self.counters, random: &self.random, now_ns };
        if entry.policy == Policy::Maglev.number() {
            let index = self.settle(&table, entry, *flow.client.ip())?;
            let target = table.slot(Choice::own(index))?;
            return Some(Destination { vip, backend: *target.backend, counter: target.counter });
        }
        let target = match draw(&table, entry.backends, entry.policy)? {
            Drawn::Taken(target) => target,
            Drawn::Down { last_resort, slot } => {
                let rescued = rescue(&table, slot, entry.backends);
                let found = table.slot(Choice::own(rescued)).filter(|_| rescued != slot);
                found.unwrap_or(last_resort)
            }
        };
        Some(Destination { vip, backend: *target.backend, counter: target.counter })
    }

    /// The slot of the backend that a client keeps: here known by its address, as that is what a SYN has.
    fn settle(&self, table: &Table<'_>, entry: &Vip, client: Ipv4Addr) -> Option<u32> {
        let slots = self.maglev.get(&entry.table).map_or(&[][..], Vec::as_slice);
        let named = |slot: u32| slots.get(slot as usize).map(|index| u32::from(*index));
        let hash = maglev::hash(maglev::SEED, [u64::from(client.to_bits())]);
        Some(match settle(table, entry, hash, named)? {
            Settled::Up(index) => index,
            Settled::Down(first) => rescue(table, first, entry.backends),
        })
    }

    /// A handshake that was [decided](Self::decide) does not take place.
    pub(super) fn undo(&mut self, flow: Flow) {
        if let Some(handshake) = self.handshakes.remove(&flow) {
            self.change(&handshake.to, |counters, details| {
                counters.pending = counters.pending.wrapping_sub(1);
                details.started = details.started.wrapping_sub(1);
            });
        }
    }

    /// The backend has answered, now (or at a time that was missed).
    pub(super) fn replied(&mut self, flow: Flow, now_ns: Option<u64>) {
        let Some(handshake) = self.handshakes.remove(&flow) else { return };
        self.change(&handshake.to, |counters, details| {
            // As in the kernel: late is no success, but shows that the backend lives.
            let successes = u64::from(!handshake.is_late);
            counters.pending = counters.pending.wrapping_sub(successes);
            details.successes += successes;
            let was_down = counters.consecutive_failures >= u64::from(BREAKER_FAILURES);
            let known = if was_down { Latency::default() } else { counters.latency };
            counters.consecutive_failures = 0;
            counters.latency = known;
            let Some(now_ns) = now_ns else { return };
            let took = ticks(now_ns).wrapping_sub(ticks(handshake.began_ns));
            counters.latency = known.after(took, now_ns);
            if let Some(bucket) = details.latency.get_mut(Handshakes::bucket(took) as usize) {
                *bucket += 1;
                details.sum += u64::from(took);
            }
        });
    }

    /// The connection is gone; a failure, if it never was one.
    pub(super) fn ended(&mut self, flow: Flow, now_ns: u64) {
        if let Some(handshake) = self.handshakes.remove(&flow)
            && !handshake.is_late
        {
            self.fail(&handshake.to, now_ns, |details| details.refused += 1);
        }
    }

    /// When the next handshake is to be looked at.
    pub(super) fn next_deadline(&mut self) -> Option<u64> {
        while let Some(Reverse((deadline_ns, flow))) = self.deadlines.peek() {
            if self.handshakes.get(flow).is_some_and(|of| of.deadline_ns == *deadline_ns) {
                return Some(*deadline_ns);
            }
            self.deadlines.pop();
        }
        None
    }

    /// Handshakes that take too long by now. What of them has been answered after all is to be
    /// asked, then [`replied`](Self::replied) or [`late`](Self::late) is to be told.
    pub(super) fn overdue(&mut self, now_ns: u64) -> Vec<Flow> {
        let mut overdue = Vec::new();
        while let Some(deadline_ns) = self.next_deadline()
            && deadline_ns <= now_ns
        {
            if let Some(Reverse((_, flow))) = self.deadlines.pop() {
                overdue.push(flow);
            }
        }
        overdue
    }

    /// A handshake has taken too long.
    pub(super) fn late(&mut self, flow: Flow, now_ns: u64) {
        let hash_map::Entry::Occupied(mut entry) = self.handshakes.entry(flow) else { return };
        if entry.get().is_late {
            entry.remove();
            return;
        }
        let deadline_ns = now_ns.saturating_add(FORGOTTEN_NS);
        let handshake = entry.get_mut();
        (handshake.is_late, handshake.deadline_ns) = (true, deadline_ns);
        let to = handshake.to;
        self.deadlines.push(Reverse((deadline_ns, flow)));
        self.fail(&to, now_ns, |details| details.timeouts += 1);
    }

    fn fail(&self, to: &Destination, now_ns: u64, how: impl FnOnce(&mut Handshakes)) {
        self.change(to, |counters, details| {
            how(details);
            details.failures += 1;
            counters.pending = counters.pending.wrapping_sub(1);
            counters.consecutive_failures += 1;
            counters.last_failure_ns = now_ns;
        });
    }

    /// Changes the counters of a VIP's backend, unless they are another's by now.
    fn change(&self, to: &Destination, change: impl FnOnce(&mut Counters, &mut Handshakes)) {
        let Some(more) = self.details.get(to.counter as usize) else { return };
        let mut details = more.get();
        let Some(cell) = self.counters.get(details.home as usize) else { return };
        let mut counters = cell.get();
        if counters.backend == to.backend && details.vip == to.vip {
            change(&mut counters, &mut details);
            cell.set(counters);
            more.set(details);
        }
    }

    /// What is counted at a place.
    pub(super) fn counted(&self, place: u32) -> Option<Known> {
        let details = self.details.get(place as usize)?.get();
        Some((self.counters.get(details.home as usize)?.get(), details))
    }
}

// === impl Table ===

impl Table<'_> {
    fn cell(&self, target: &Target<'_>) -> Option<&Cell<Counters>> {
        let place = self.counters.get(target.counter as usize)?;
        let cell = self.counters.get(place.get().home as usize)?;
        (cell.get().backend == *target.backend).then_some(cell)
    }
}

impl<'a> Pool<'a> for Table<'a> {
    fn random(&self) -> u32 {
        self.random.borrow_mut().next_u32()
    }

    fn slot(&self, choice: Choice) -> Option<Target<'a>> {
        let slots: &'a Slots = self.slots;
        let slot = slots.get(choice.index)?;
        let is_own = slot.is_own(choice.fraction);
        Some(if is_own { slot } else { slots.get(slot.alias)? }.target())
    }

    fn load(&self, target: &Target<'_>) -> Load {
        self.cell(target).map_or(Load::UNKNOWN, |cell| cell.get().load(self.now_ns))
    }

    fn claim(&self, target: &Target<'_>, load: &Load) -> bool {
        let Some(cell) = self.cell(target) else { return false };
        let mut counters = cell.get();
        let is_free = counters.probe_ns == load.probe_ns;
        if is_free {
            counters.probe_ns = self.now_ns;
            cell.set(counters);
        }
        is_free
    }
}

#[cfg(test)]
mod tests;
