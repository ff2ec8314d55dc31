//! Which backend gets a connection: the power of two choices, and what breakers make of it.

use core::hint::black_box;

use crate::{Choice, Load, Policy, Target, Tier, choose, next};

mod settle;

pub use settle::{Settled, place, settle};

/// How many more backends are looked at if the two that were drawn are down: of up to nine,
/// one that works is surely found. The verifier's work doubles with every second one.
pub const RESCUES: u32 = 8;

/// What a choice is made from: the maps in the kernel, and anything in a test. Backends are
/// found in what lives for `'a`.
pub trait Pool<'a> {
    /// A number, each as likely as any other.
    fn random(&self) -> u32;

    /// The backend of a slot. `None` if the table is not (or no longer) the VIP's.
    fn slot(&self, choice: Choice) -> Option<Target<'a>>;

    /// What is known of it.
    fn load(&self, target: &Target<'_>) -> Load;

    /// Takes the one connection that a half-open breaker lets through. False if another
    /// processor was faster.
    fn claim(&self, target: &Target<'_>, load: &Load) -> bool;
}

/// What two draws came to.
#[derive(Clone, Copy, Debug)]
pub enum Drawn<'a> {
    /// The connection goes there.
    Taken(Target<'a>),
    /// Both are down.
    Down {
        /// Gets the connection if everybody else is down, too.
        last_resort: Target<'a>,
        /// Its slot.
        slot: u32,
    },
}

/// Chooses among `count` backends, at least one. `None` if the VIP is to be looked up again.
///
/// Two are drawn by their weights, and the one that the policy prefers is taken, the first if
/// they are equal (M. Mitzenmacher, "The power of two choices in randomized load
/// balancing", 2001). One whose breaker is half-open gets this connection as its test. If
/// both are down, others are to be asked: see [`rescue`].
#[inline(always)]
pub fn draw<'a>(pool: &impl Pool<'a>, count: u32, policy: u32) -> Option<Drawn<'a>> {
    let drawn = choose(pool.random(), count);
    let first = pool.slot(drawn)?;
    if count == 1 {
        return Some(Drawn::Taken(first));
    }
    let second = pool.slot(choose(pool.random(), count).apart_from(drawn, count))?;
    let (one, two) = (pool.load(&first), pool.load(&second));
    let taken = if is_test(pool, &first, &one) {
        first
    } else if is_test(pool, &second, &two) {
        second
    } else if one.tier == Tier::Up {
        if two.tier == Tier::Up && is_better(&two, &one, policy) { second } else { first }
    } else if two.tier == Tier::Up {
        second
    } else {
        return Some(Drawn::Down { last_resort: first, slot: drawn.index });
    };
    Some(Drawn::Taken(taken))
}

/// Asks the backends in the slots after `from`, going round, for one that works or is to be
/// tested. Its slot; `from` if there is none: then the last resort gets the connection,
/// rather than none.
#[inline(always)]
pub fn rescue<'a>(pool: &impl Pool<'a>, from: u32, count: u32) -> u32 {
    let mut index = from;
    for _ in 0..black_box(RESCUES) {
        index = next(index, count);
        if index == from {
            break;
        }
        let Some(target) = pool.slot(Choice::own(index)) else { break };
        let load = pool.load(&target);
        if load.tier == Tier::Up || is_test(pool, &target, &load) {
            return index;
        }
    }
    from
}

/// True if the second that was drawn is to be preferred to the first.
#[inline(always)]
const fn is_better(second: &Load, first: &Load, policy: u32) -> bool {
    if policy == Policy::Random.number() {
        false
    } else if policy == Policy::LeastPending.number() {
        second.pending < first.pending
    } else {
        second.cost < first.cost
    }
}

/// True if the backend is half-open, and this connection is its test.
#[inline(always)]
fn is_test<'a>(pool: &impl Pool<'a>, target: &Target<'_>, load: &Load) -> bool {
    load.tier == Tier::MaybeUp && pool.claim(target, load)
}

#[cfg(test)]
mod tests;
