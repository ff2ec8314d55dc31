//! The steps of beginning a flow that go over several places of the tables.
//!
//! Their symbols are global: the verifier looks at such a function once, for any arguments, and
//! not anew wherever it is called, in every state that the program may be in there. The arguments may only
//! be numbers, so the rest is in the [`Plan`](crate::forward::plan::Plan). Linux 5.6.

use muster_packet::{Entered, State, Target, Tuple, World as _, pair_in};

use crate::{
    count::{Event, count},
    forward::{maps::Maps, plan::plan},
    maps::COUNTED,
};

/// [`muster_packet::claim`].
#[inline(always)]
pub fn claim(hash: u64, now: u32) -> Option<(u32, State)> {
    let place = claim_place(hash, now).checked_sub(1)?;
    Some((place, State::from_bits(plan()?.former)))
}

/// Claims a place, and leaves what was there in the plan. The place plus 1; 0 for none.
#[cold]
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn claim_place(hash: u64, now: u32) -> u32 {
    let (Some(rules), Some(plan)) = (Maps.rules(), plan()) else { return 0 };
    let Some((place, former)) = muster_packet::claim(&Maps, rules, hash, now) else { return 0 };
    plan.former = former.bits();
    place.wrapping_add(1)
}

/// [`muster_packet::enter`].
#[inline(always)]
pub fn enter(wanted: &Tuple, direction: u32, now: u32) -> Entered {
    let Some(plan) = plan() else { return Entered::Full };
    plan.wanted = *wanted;
    let entered = enter_index(direction, now);
    if entered == Entered::Done as u32 {
        Entered::Done
    } else if entered == Entered::Taken as u32 {
        Entered::Taken
    } else {
        Entered::Full
    }
}

/// Enters the plan's tuple; what came of it.
#[cold]
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn enter_index(direction: u32, now: u32) -> u32 {
    let (Some(rules), Some(plan)) = (Maps.rules(), plan()) else { return Entered::Full as u32 };
    muster_packet::enter(&Maps, rules, &plan.wanted, direction, now) as u32
}

/// [`muster_packet::leave`]. Always 0.
#[cold]
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn leave_index(direction: u32) -> u32 {
    if let Some(rules) = Maps.rules() {
        muster_packet::leave(&Maps, rules, direction);
    }
    0
}

/// [`muster_packet::proceed`]: 0 if the packet begins another flow.
#[cold]
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn proceed(direction: u32, state: u64, flags: u32, now: u32) -> u32 {
    let state = State::from_bits(state);
    u32::from(muster_packet::proceed(&Maps, direction, state, flags as u8, now))
}

/// Counts the first answer of the connection in a place to its VIP and backend, as refused if `refused` is
/// not 0. Always 0.
#[cold]
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn count_answer(place: u32, refused: u32) -> u32 {
    let Some(pair) = pair_in(&Maps, place) else { return 0 };
    // SAFETY: copied out at once; counters say whose they are.
    let counted = unsafe { COUNTED.get(pair) }.copied();
    if let Some(counted) = counted {
        let target = Target { backend: &pair.backend, counter: counted.counter };
        count(&pair.vip, &target, if refused == 0 { Event::Accepted } else { Event::Refused });
    }
    0
}

/// [`State::readiness`].
#[cold]
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn readiness(state: u64, now: u32) -> u32 {
    State::from_bits(state).readiness(now)
}
