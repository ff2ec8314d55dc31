//! From a VIP to one of its backends.

use core::hint::black_box;

use aya_ebpf::helpers::{
    bpf_get_current_cgroup_id, bpf_get_prandom_u32, generated::bpf_ktime_get_coarse_ns,
};
use muster_packet::{
    Backend, Choice, Counters, Drawn, Endpoint, Load, Policy, Pool, Settled, Slot, Target, Vip,
    choose, draw, maglev, place, rescue, settle, steady,
};

use crate::{
    atomic,
    maps::{BACKENDS, COUNTERS, MAGLEV, NETWORKS, VIPS},
};

/// How often a choice is made at most: again when the table was replaced between two
/// lookups, which takes two changes of one VIP within a microsecond.
const ATTEMPTS: u32 = 2;

/// What a destination turned out to be.
pub enum Destination<'a> {
    /// Not a VIP: none of our business.
    Other,
    /// A VIP without a backend that takes connections.
    Nobody,
    /// A VIP, and the backend chosen for it.
    Backend(Target<'a>),
}

/// A VIP's table, as the maps have it.
struct Table<'a> {
    vip: &'a Endpoint,
    number: u32,
    now_ns: u64,
}

/// Chooses a backend by what is known of all of them.
#[inline(always)]
pub fn balance(vip: &Endpoint) -> Destination<'static> {
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
        if entry.policy == Policy::Maglev.number() {
            match kept(vip, &entry, client()) {
                Some(target) => return Destination::Backend(target),
                None => continue,
            }
        }
        let table = Table { vip, number: entry.table, now_ns };
        match draw(&table, entry.backends, entry.policy) {
            Some(Drawn::Taken(target)) => return Destination::Backend(target),
            Some(Drawn::Down { last_resort, slot }) => {
                let rescued = saved(vip, entry.table, entry.backends, slot, now_ns);
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
fn claimed(backend: &Endpoint, counter: u32, from: u64, to: u64) -> bool {
    let Some(counters) = counters(&Target { backend, counter }) else { return false };
    // SAFETY: a field of a live map value, aligned to 8.
    unsafe { atomic::exchange(&raw mut (*counters).probe_ns, from, to) }
}

/// [`rescue`]: the slot it found, or the one it began with. A function of its own: it is
/// seldom called, and the programs' code should fit into the processor's cache.
#[cold]
#[inline(never)]
fn saved(vip: &Endpoint, number: u32, count: u32, from: u32, now_ns: u64) -> u32 {
    rescue(&Table { vip, number, now_ns }, from, count)
}

/// The backend that a client or flow of this hash value keeps while it works. `None` if the VIP is to be
/// looked up again.
#[inline(always)]
pub fn kept(vip: &Endpoint, entry: &Vip, hash: u64) -> Option<Target<'static>> {
    let index = settled(vip, entry.table, entry.backends, entry.slots, hash);
    slot(vip, entry.table, Choice::own(index))
}

/// [`settle`]: the slot it found; that of no backend if the VIP is to be looked up again. A function
/// of its own, for the programs' size; and said to be cold, as the loader finds functions of one section only.
#[cold]
#[inline(never)]
fn settled(vip: &Endpoint, number: u32, count: u32, slots: u32, hash: u64) -> u32 {
    // SAFETY: as in `balance`.
    let now_ns = unsafe { bpf_ktime_get_coarse_ns() };
    let entry = Vip::new(number, count, 0, Policy::Maglev).with_slots(slots);
    let table = Table { vip, number, now_ns };
    match settle(&table, &entry, hash, |slot| named(number, slot)) {
        Some(Settled::Up(index)) => index,
        Some(Settled::Down(first)) => saved(vip, number, count, first, now_ns),
        None => u32::MAX,
    }
}

/// Whom a slot of a Maglev table names.
#[inline(always)]
fn named(table: u32, slot: u32) -> Option<u32> {
    let (page, place) = maglev::place(table, slot);
    // SAFETY: as with slots, a page is deleted only after all programs that could have read its table's
    // number have ended.
    unsafe { MAGLEV.get(page) }?.backend(place)
}

/// The hash value of who connects: the container, by its cgroup. Linux 5.7, in these hooks.
#[cold]
#[inline(never)]
fn client() -> u64 {
    // SAFETY: takes no arguments.
    maglev::hash(maglev::SEED, [unsafe { bpf_get_current_cgroup_id() }])
}

/// Chooses the same backend for a socket as long as the VIP's table stays. The socket's
/// cookie is asked for only if the destination is a VIP.
#[inline(always)]
pub fn balance_steadily(vip: &Endpoint, cookie: impl Fn() -> u64) -> Destination<'static> {
    if is_far(vip) {
        return Destination::Other;
    }
    // Not a constant to the compiler, which would unroll the loop, but one to the verifier.
    for attempt in 0..black_box(ATTEMPTS) {
        let entry = match entry(vip, attempt) {
            Ok(entry) => entry,
            Err(destination) => return destination,
        };
        let choice = if entry.policy == Policy::Maglev.number() {
            // Datagrams say nothing of whether a backend works.
            let Some(index) = place(&entry, client(), |slot| named(entry.table, slot)) else {
                continue;
            };
            Choice::own(index)
        } else {
            choose(steady(cookie(), entry.table), entry.backends)
        };
        if let Some(target) = slot(vip, entry.table, choice) {
            return Destination::Backend(target);
        }
    }
    Destination::Nobody
}

/// False if the endpoint is certainly no VIP.
#[inline(always)]
pub fn may_be_vip(end: &Endpoint) -> bool {
    !is_far(end)
}

/// The VIP's entry, if it has backends that take connections; otherwise what the destination
/// is.
#[inline(always)]
fn entry(vip: &Endpoint, attempt: u32) -> Result<Vip, Destination<'static>> {
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
fn slot(vip: &Endpoint, table: u32, choice: Choice) -> Option<Target<'static>> {
    let slot = backend(table, choice.index)?;
    if !slot.vip.is(vip) {
        return None;
    }
    // The slots of a table are written before the table is found, and deleted after.
    let slot = if slot.is_own(choice.fraction) { slot } else { aliased(table, slot.alias)? };
    Some(slot.target())
}

#[inline(always)]
fn backend(table: u32, index: u32) -> Option<&'static Backend> {
    // SAFETY: a slot is deleted only after all programs that could have read its table's
    // number have ended, so it is neither changed nor recycled while it is read.
    unsafe { BACKENDS.get(Slot { table, index }) }
}

/// [`backend`], for the slots of which a part is another's: those of unequal weights.
#[cold]
#[inline(never)]
fn aliased(table: u32, index: u32) -> Option<&'static Backend> {
    backend(table, index)
}

/// What is known of a backend, wherever it is. `None` if it has no place, or that is another's by now.
#[inline(always)]
fn counters(of: &Target<'_>) -> Option<*mut Counters> {
    let counters = COUNTERS.get_ptr_mut(of.counter)?;
    // SAFETY: a live map value.
    let home = unsafe { (&raw const (*counters).home).read_volatile() };
    counters_at(home, of.backend)
}

/// What is known of a backend whose home this is. `None` if that is another's by now.
#[inline(always)]
pub fn counters_at(home: u32, of: &Endpoint) -> Option<*mut Counters> {
    let counters = COUNTERS.get_ptr_mut(home)?;
    // SAFETY: a live map value. It may be read while user space gives it to another backend,
    // and mixed up of both is neither's.
    let backend = unsafe { read(&raw const (*counters).backend) };
    if backend.is(of) { Some(counters) } else { None }
}

/// Reads an endpoint word by word, of a map value that others may be writing.
///
/// # Safety
///
/// It points into a live map value.
#[inline(always)]
pub unsafe fn read(endpoint: *const Endpoint) -> Endpoint {
    // SAFETY: what the caller vouches for; an endpoint is three words.
    Endpoint::from_words(unsafe {
        let words = endpoint.cast::<u64>();
        [words.read_volatile(), words.add(1).read_volatile(), words.add(2).read_volatile()]
    })
}

// === impl Table ===

impl Pool<'static> for Table<'_> {
    #[inline(always)]
    fn random(&self) -> u32 {
        // SAFETY: takes no arguments.
        unsafe { bpf_get_prandom_u32() }
    }

    #[inline(always)]
    fn slot(&self, choice: Choice) -> Option<Target<'static>> {
        slot(self.vip, self.number, choice)
    }

    #[inline(always)]
    fn load(&self, target: &Target<'_>) -> Load {
        let Some(counters) = counters(target) else { return Load::UNKNOWN };
        // SAFETY: a live map value, only read; what is added meanwhile is seen or not.
        unsafe { (*counters).load(self.now_ns) }
    }

    #[inline(always)]
    fn claim(&self, target: &Target<'_>, load: &Load) -> bool {
        claimed(target.backend, target.counter, load.probe_ns, self.now_ns)
    }
}
