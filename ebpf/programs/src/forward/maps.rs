//! The maps as the decisions want them.

use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_coarse_ns};
use muster_packet::{
    Address, Answer, Endpoint, Entered, Event, Forwarded, Forwarding, Known, KnownAddress, Memory,
    Pair, State, Tuple, Vip, World, unit,
};

use crate::{
    atomic,
    balance::may_be_vip,
    forward::{
        frame::blur,
        plan, rejected,
        steps::{self, count_answer, leave_index, readiness},
    },
    maps::{ADDRESSES, COUNTED, FORWARDED, FORWARDING, TRACK_INDEX, TRACKED, VIPS},
};

/// The maps.
pub struct Maps;

/// Adds one to a counter.
#[inline(always)]
pub fn count(event: Event) {
    if let Some(counters) = FORWARDED.get_ptr_mut(0) {
        // SAFETY: a live map value of this processor's, of which the event is a field of eight bytes;
        // nothing else runs here meanwhile that would change it.
        unsafe { *counters.cast::<u64>().add(event.index()) += 1 };
    }
}

impl Memory for Maps {
    type Line = *mut u64;

    #[inline(always)]
    fn bucket(&self, index: u32) -> Option<*mut u64> {
        TRACK_INDEX.get_ptr_mut(index).map(<*mut _>::cast)
    }

    #[inline(always)]
    fn flow(&self, index: u32) -> Option<*mut u64> {
        TRACKED.get_ptr_mut(index).map(<*mut _>::cast)
    }

    #[inline(always)]
    fn load(&self, line: *mut u64, word: usize) -> u64 {
        // SAFETY: a live map value of eight words, which other processors may be writing.
        unsafe { line.add(word & 7).read_volatile() }
    }

    #[inline(always)]
    fn store(&self, line: *mut u64, word: usize, value: u64) {
        // SAFETY: as above.
        unsafe { line.add(word & 7).write_volatile(value) };
    }

    #[inline(always)]
    fn blur(&self, number: u32, unknown: u64) -> u32 {
        blur(number, unknown)
    }

    #[inline(always)]
    fn readiness(&self, state: u64, now: u32) -> u32 {
        readiness(state, now)
    }

    #[inline(always)]
    fn replace(&self, line: *mut u64, word: usize, from: u64, to: u64) -> bool {
        // SAFETY: as above; aligned to 8.
        unsafe { atomic::exchange(line.add(word & 7), from, to) }
    }
}

impl World for Maps {
    #[inline(always)]
    fn rules(&self) -> Option<&Forwarding> {
        FORWARDING.get(0)
    }

    #[inline(always)]
    fn now(&self) -> u32 {
        // The clock goes by ticks. To read it is a call, and to know the tick is none.
        // SAFETY: takes no arguments. Linux 5.6.
        let tick = unsafe { bpf_jiffies64() };
        let Some(counters): Option<*mut Forwarded> = FORWARDED.get_ptr_mut(0) else { return 0 };
        // SAFETY: as in `count`.
        let counters = unsafe { &mut *counters };
        if counters.tick != tick {
            counters.tick = tick;
            // SAFETY: takes no arguments. Linux 5.11.
            counters.now = u64::from(unit(unsafe { bpf_ktime_get_coarse_ns() }));
        }
        counters.now as u32
    }

    #[inline(always)]
    fn may_be_vip(&self, end: &Endpoint) -> bool {
        may_be_vip(end)
    }

    #[inline(always)]
    fn vip(&self, vip: &Endpoint) -> Option<Vip> {
        // SAFETY: copied out at once; a slot says which VIP it belongs to.
        unsafe { VIPS.get(vip) }.copied()
    }

    #[inline(always)]
    fn known(&self, address: Address) -> Known {
        // SAFETY: copied out at once.
        let known = unsafe { ADDRESSES.get(KnownAddress { address: address.bytes() }) };
        known.copied().unwrap_or(Known { local: 0, vip: 0 })
    }

    #[inline(always)]
    fn backend(&self, _: &Endpoint, _: &Vip, _: u64) -> Option<Endpoint> {
        plan::picked()
    }

    #[inline(always)]
    fn serves(&self, pair: &Pair) -> bool {
        // SAFETY: only whether it is there.
        unsafe { COUNTED.get(pair) }.is_some()
    }

    #[inline(always)]
    fn may_open(&self, most: u32, now: u32) -> bool {
        if most == 0 {
            return true;
        }
        let Some(counters): Option<*mut Forwarded> = FORWARDED.get_ptr_mut(0) else { return true };
        // SAFETY: as in `count`.
        let counters = unsafe { &mut *counters };
        if counters.unit != u64::from(now) {
            counters.unit = u64::from(now);
            counters.unit_opened = 0;
        }
        counters.unit_opened += 1;
        counters.unit_opened <= u64::from(most)
    }

    #[inline(always)]
    fn may_tell(&self, rules: &Forwarding) -> bool {
        rejected::may_tell(rules)
    }

    #[inline(always)]
    fn count(&self, event: Event) {
        count(event);
    }

    #[inline(always)]
    fn began(&self, protocol: u8) {
        plan::began(protocol);
    }

    #[inline(always)]
    fn answered(&self, place: u32, answer: Answer) {
        count_answer(place, u32::from(answer == Answer::Refused));
    }

    #[inline(always)]
    fn proceed(&self, direction: u32, state: State, flags: u8, now: u32) -> bool {
        steps::proceed(direction, state.bits(), u32::from(flags), now) != 0
    }

    #[inline(always)]
    fn claim(&self, _: &Forwarding, hash: u64, now: u32) -> Option<(u32, State)> {
        steps::claim(hash, now)
    }

    #[inline(always)]
    fn enter(&self, _: &Forwarding, wanted: &Tuple, direction: u32, now: u32) -> Entered {
        steps::enter(wanted, direction, now)
    }

    #[inline(always)]
    fn leave(&self, _: &Forwarding, direction: u32) {
        leave_index(direction);
    }
}
