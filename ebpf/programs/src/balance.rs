//! From a VIP to one of its backends.

use aya_ebpf::helpers::{bpf_get_prandom_u32, bpf_ktime_get_ns};
use muster_packet::{Choice, Endpoint, Slot, Vip, choose, steady};

use crate::{
    atomic,
    maps::{BACKENDS, COUNTERS, NETWORKS, VIPS},
};

/// How often a choice is made at most: again when the backend's breaker is open, or when
/// the table was replaced between two lookups.
const ATTEMPTS: u32 = 6;

/// How many of them are drawn. If these all meet open breakers, the slots after the last are
/// tried in turn: with few backends, one that works is then surely found.
const DRAWS: u32 = 2;

/// What a destination turned out to be.
pub enum Destination {
    /// Not a VIP: none of our business.
    Other,
    /// A VIP without a backend that takes connections.
    Nobody,
    /// A VIP, and the backend chosen for it.
    Backend(Endpoint),
}

/// Chooses a backend at random, weighted, among those whose breaker is closed.
#[inline(always)]
pub fn balance(vip: &Endpoint) -> Destination {
    if is_far(vip) {
        return Destination::Other;
    }
    let mut last = Destination::Nobody;
    let mut random = 0;
    for attempt in 0..ATTEMPTS {
        let Some(entry) = lookup(vip) else {
            return if attempt == 0 { Destination::Other } else { last };
        };
        if entry.backends == 0 {
            return Destination::Nobody;
        }
        if attempt < DRAWS {
            // SAFETY: takes no arguments.
            random = unsafe { bpf_get_prandom_u32() };
        }
        let steps = attempt.saturating_sub(DRAWS - 1);
        let choice = choose(random, entry.backends).step(steps, entry.backends);
        let Some(backend) = slot(vip, &entry, choice) else { continue };
        if admits(&backend) {
            return Destination::Backend(backend);
        }
        // Rather a backend that failed than none at all.
        last = Destination::Backend(backend);
    }
    last
}

/// Chooses the same backend for a socket as long as the VIP's table stays. The socket's
/// cookie is asked for only if the destination is a VIP.
#[inline(always)]
pub fn balance_steadily(vip: &Endpoint, cookie: impl Fn() -> u64) -> Destination {
    if is_far(vip) {
        return Destination::Other;
    }
    for attempt in 0..ATTEMPTS {
        let Some(entry) = lookup(vip) else {
            return if attempt == 0 { Destination::Other } else { Destination::Nobody };
        };
        if entry.backends == 0 {
            return Destination::Nobody;
        }
        let choice = choose(steady(cookie(), entry.table), entry.backends);
        if let Some(backend) = slot(vip, &entry, choice) {
            return Destination::Backend(backend);
        }
    }
    Destination::Nobody
}

/// True if there is no VIP anywhere near.
#[inline(always)]
fn is_far(end: &Endpoint) -> bool {
    NETWORKS.get(0).is_some_and(|networks| !networks.may_have(end))
}

#[inline(always)]
fn lookup(vip: &Endpoint) -> Option<Vip> {
    // SAFETY: the value is copied out at once. Should the entry be recycled meanwhile, the
    // copy names a table of another VIP or none, which `slot` notices.
    unsafe { VIPS.get(vip) }.copied()
}

/// The backend that was chosen, unless the table is not (or no longer) this VIP's.
#[inline(always)]
fn slot(vip: &Endpoint, entry: &Vip, choice: Choice) -> Option<Endpoint> {
    // SAFETY: a slot is deleted only after all programs that could have read its table's
    // number have ended, so it is not recycled while it is read.
    let slot = unsafe { BACKENDS.get(Slot { table: entry.table, index: choice.index }) }?;
    if slot.vip.bits() == vip.bits() { Some(slot.resolve(choice.fraction)) } else { None }
}

/// False while the backend's breaker is open.
#[inline(always)]
fn admits(backend: &Endpoint) -> bool {
    // SAFETY: read only, and entries of backends in use are not deleted; at worst a backend
    // just removed counts by another's failures.
    let Some(counters) = (unsafe { COUNTERS.get(backend) }) else { return true };
    // The clock is only read when it matters.
    counters.consecutive_failures == 0
        || counters.admits(
            // SAFETY: takes no arguments.
            unsafe { bpf_ktime_get_ns() },
        )
}

/// A connection's life, as it is counted.
#[derive(Clone, Copy)]
pub enum Event {
    /// A handshake begins.
    Started,
    /// It is complete.
    Succeeded,
    /// It will not be.
    Failed,
    /// A datagram flow: begins and succeeds at once.
    Flow,
}

/// Counts an event of a backend.
#[inline(always)]
pub fn count(backend: &Endpoint, event: Event) {
    let Some(counters) = COUNTERS.get_ptr_mut(backend) else { return };
    let add = |field: *mut u64| {
        // SAFETY: a field of a live map value, aligned to 8, that programs change only
        // atomically. An entry is deleted only when its backend is in no table and nothing
        // is pending; a recycled one costs a count.
        unsafe { atomic::add(field, 1) };
    };
    let store = |field: *mut u64, value: u64| {
        // SAFETY: as above; a plain store is one instruction on an aligned u64.
        unsafe { field.write_volatile(value) };
    };
    // SAFETY: `counters` points to a live map value; only addresses are taken.
    let (started, successes, failures, last, row) = unsafe {
        (
            &raw mut (*counters).started,
            &raw mut (*counters).successes,
            &raw mut (*counters).failures,
            &raw mut (*counters).last_failure_ns,
            &raw mut (*counters).consecutive_failures,
        )
    };
    match event {
        Event::Started => add(started),
        Event::Succeeded => {
            add(successes);
            store(row, 0);
        }
        Event::Failed => {
            add(failures);
            add(row);
            // SAFETY: takes no arguments.
            store(last, unsafe { bpf_ktime_get_ns() });
        }
        Event::Flow => {
            add(started);
            add(successes);
        }
    }
}
