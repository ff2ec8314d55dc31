//! From a VIP to one of its backends.

use core::hint::black_box;

use aya_ebpf::helpers::{bpf_get_prandom_u32, generated::bpf_ktime_get_coarse_ns};
use muster_packet::{
    Choice, Counters, Drawn, Endpoint, Load, Pool, Slot, Target, Vip, choose, draw, rescue, steady,
};

use crate::{
    atomic,
    maps::{BACKENDS, COUNTERS, NETWORKS, VIPS},
};

/// How often a choice is made at most: again when the table was replaced between two
/// lookups, which takes two changes of one VIP within a microsecond.
const ATTEMPTS: u32 = 2;

/// What a destination turned out to be.
pub enum Destination {
    /// Not a VIP: none of our business.
    Other,
    /// A VIP without a backend that takes connections.
    Nobody,
    /// A VIP, and the backend chosen for it.
    Backend(Target),
}

/// A VIP's table, as the maps have it.
struct Table<'a> {
    vip: &'a Endpoint,
    number: u32,
    now_ns: u64,
}

/// Chooses a backend by what is known of all of them.
#[inline(always)]
pub fn balance(vip: &Endpoint) -> Destination {
    if is_far(vip) {
        return Destination::Other;
    }
    // SAFETY: takes no arguments. A tick's resolution is enough for breakers. Linux 5.11.
    let now_ns = unsafe { bpf_ktime_get_coarse_ns() };
    // Not a constant to the compiler, which would unroll the loop, but one to the verifier.
    for attempt in 0..black_box(ATTEMPTS) {
        let entry = match entry(vip, attempt) {
            Ok(entry) => entry,
            Err(destination) => return destination,
        };
        let table = Table { vip, number: entry.table, now_ns };
        match draw(&table, entry.backends, entry.policy) {
            Some(Drawn::Taken(target)) => return Destination::Backend(target),
            Some(Drawn::Down { last_resort, slot }) => {
                let rescued = saved(vip.bits(), entry.table, entry.backends, slot, now_ns);
                let found = self::slot(vip, entry.table, Choice::own(rescued));
                return Destination::Backend(if rescued == slot {
                    last_resort
                } else {
                    found.unwrap_or(last_resort)
                });
            }
            None => {}
        }
    }
    Destination::Nobody
}

/// [`Pool::claim`]: as seldom called as [`saved`].
#[cold]
#[inline(never)]
fn claimed(backend: u64, counter: u32, from: u64, to: u64) -> bool {
    let target = Target { backend: Endpoint::from_bits(backend), counter };
    let Some(counters) = counters(&target) else { return false };
    // SAFETY: a field of a live map value, aligned to 8.
    unsafe { atomic::exchange(&raw mut (*counters).probe_ns, from, to) }
}

/// [`rescue`]: the slot it found, or the one it began with. A function of its own: it is
/// seldom called, and the programs' code should fit into the processor's cache.
#[cold]
#[inline(never)]
fn saved(vip: u64, number: u32, count: u32, from: u32, now_ns: u64) -> u32 {
    let vip = Endpoint::from_bits(vip);
    rescue(&Table { vip: &vip, number, now_ns }, from, count)
}

/// Chooses the same backend for a socket as long as the VIP's table stays. The socket's
/// cookie is asked for only if the destination is a VIP.
#[inline(always)]
pub fn balance_steadily(vip: &Endpoint, cookie: impl Fn() -> u64) -> Destination {
    if is_far(vip) {
        return Destination::Other;
    }
    // Not a constant to the compiler, which would unroll the loop, but one to the verifier.
    for attempt in 0..black_box(ATTEMPTS) {
        let entry = match entry(vip, attempt) {
            Ok(entry) => entry,
            Err(destination) => return destination,
        };
        let choice = choose(steady(cookie(), entry.table), entry.backends);
        if let Some(target) = slot(vip, entry.table, choice) {
            return Destination::Backend(target);
        }
    }
    Destination::Nobody
}

/// The VIP's entry, if it has backends that take connections; otherwise what the destination
/// is.
#[inline(always)]
fn entry(vip: &Endpoint, attempt: u32) -> Result<Vip, Destination> {
    match lookup(vip) {
        Some(entry) if entry.backends > 0 => Ok(entry),
        // It was a VIP a moment ago.
        None if attempt == 0 => Err(Destination::Other),
        _ => Err(Destination::Nobody),
    }
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
fn slot(vip: &Endpoint, table: u32, choice: Choice) -> Option<Target> {
    // SAFETY: a slot is deleted only after all programs that could have read its table's
    // number have ended, so it is not recycled while it is read.
    let slot = unsafe { BACKENDS.get(Slot { table, index: choice.index }) }?;
    if slot.vip.bits() == vip.bits() { Some(slot.resolve(choice.fraction)) } else { None }
}

/// A backend's counters. `None` if it has none, or they are another's by now.
#[inline(always)]
pub fn counters(of: &Target) -> Option<*mut Counters> {
    let counters = COUNTERS.get_ptr_mut(of.counter)?;
    // SAFETY: a live map value, read as one word.
    let backend = unsafe { (&raw const (*counters).backend).cast::<u64>().read_volatile() };
    if backend == of.backend.bits() { Some(counters) } else { None }
}

// === impl Table ===

impl Pool for Table<'_> {
    #[inline(always)]
    fn random(&self) -> u32 {
        // SAFETY: takes no arguments.
        unsafe { bpf_get_prandom_u32() }
    }

    #[inline(always)]
    fn slot(&self, choice: Choice) -> Option<Target> {
        slot(self.vip, self.number, choice)
    }

    #[inline(always)]
    fn load(&self, target: &Target) -> Load {
        let Some(counters) = counters(target) else { return Load::UNKNOWN };
        // SAFETY: a live map value, only read; what is added meanwhile is seen or not.
        unsafe { (*counters).load(self.now_ns) }
    }

    #[inline(always)]
    fn claim(&self, target: &Target, load: &Load) -> bool {
        claimed(target.backend.bits(), target.counter, load.probe_ns, self.now_ns)
    }
}
