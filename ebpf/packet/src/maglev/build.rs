//! Fills a table.

extern crate alloc;
use alloc::{collections::BinaryHeap, vec, vec::Vec};
use core::cmp::Reverse;

use super::slots;
use crate::{Endpoint, layout};

/// A slot that no backend has taken yet.
const FREE: u32 = u32::MAX;

/// One backend's order of preference: all slots, each once, as the size is a prime.
struct Preference {
    next: u32,
    skip: u32,
}

/// The table of these backends and weights: for each slot the index of its backend in
/// `backends`, at most [`MAX_BACKENDS`](super::MAX_BACKENDS). Empty if there are
/// more, or if none has a weight.
///
/// It depends on which backends there are and what they weigh, not on their order: only the
/// indices do. A backend of weight 0 gets no slot.
///
/// The backends take turns, each its next preference that is free. Turn `n` of a backend of
/// weight `w` is at the time `(n + 1/2) / w` (A. Sainte-Laguë's method of handing out seats): so
/// shares come out as the weights to within a slot or two, and when a backend has its turns depends on none
/// of the others, which keeps their slots where they are when one comes or goes.
pub fn build(backends: &[(Endpoint, u32)]) -> Vec<u16> {
    let mut order: Vec<usize> = (0..backends.len()).filter(|&at| backends[at].1 > 0).collect();
    order.sort_unstable_by_key(|&at| backends[at]);
    let size = if order.is_empty() { None } else { slots(backends.len()) };
    let Some(size) = size else { return Vec::new() };

    let mut preferences: Vec<Preference> =
        order.iter().map(|&at| Preference::new(&backends[at].0, size)).collect();
    // By time; those at the same time in the order of their addresses.
    let mut turns: BinaryHeap<Reverse<(u128, usize)>> = order
        .iter()
        .enumerate()
        .map(|(who, &at)| Reverse((time(0, backends[at].1), who)))
        .collect();
    let mut taken = vec![0u64; order.len()];
    let mut table = vec![FREE; size as usize];
    for _ in 0..size {
        let Some(mut first) = turns.peek_mut() else { break };
        let Reverse((_, who)) = *first;
        let slot = preferences[who].first_free(&table, size);
        table[slot] = u32::try_from(order[who]).unwrap_or(FREE);
        taken[who] += 1;
        *first = Reverse((time(taken[who], backends[order[who]].1), who));
    }
    // All are taken, by one of at most 2^16.
    table.into_iter().map(|at| u16::try_from(at).unwrap_or(0)).collect()
}

/// When turn `n` of a backend of this weight is, in units of 2^-64.
fn time(n: u64, weight: u32) -> u128 {
    (u128::from(2 * n + 1) << 63) / u128::from(weight)
}

// === impl Preference ===

impl Preference {
    #[expect(clippy::cast_possible_truncation, reason = "the remainders are below the size")]
    fn new(backend: &Endpoint, size: u32) -> Self {
        let rest = [backend.port.to_be_bytes()[0], backend.port.to_be_bytes()[1], backend.protocol];
        let identity = layout::hash(layout::hash(layout::SEED, &backend.address), &rest);
        let draw = |seed, below: u32| (super::hash(seed, [identity]) % u64::from(below)) as u32;
        Self { next: draw(1, size), skip: draw(2, size - 1) + 1 }
    }

    /// The first slot that is free, of those not looked at before. There must be one.
    fn first_free(&mut self, table: &[u32], size: u32) -> usize {
        loop {
            let slot = self.next as usize;
            self.next = (self.next + self.skip) % size;
            if table[slot] == FREE {
                return slot;
            }
        }
    }
}

#[cfg(test)]
mod tests;
