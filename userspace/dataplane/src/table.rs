//! Builds a VIP's table: slots drawn evenly that come out weighted.

use muster_packet::{Backend, Endpoint};

/// A backend and its weight.
pub(crate) type Weighted = (Endpoint, u32);

/// A VIP's table as it goes into the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// Slots in order of their index: first those that are drawn, and of these first those of the VIP's family; then the
    /// draining.
    pub(crate) slots: Vec<Backend>,
    /// How many are drawn.
    pub(crate) drawn: u32,
    /// How many of those are of the VIP's family.
    pub(crate) native: u32,
    /// How many drain.
    pub(crate) draining: u32,
}

/// The slots of a table in the map, by index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots(Vec<(u32, Backend)>);

// === impl Slots ===

impl Slots {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// They, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Backend> {
        self.0.iter().map(|(_, slot)| slot)
    }

    /// Their indices, in order.
    pub(crate) fn indices(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|(index, _)| *index)
    }

    /// The slot at an index.
    pub(crate) fn get(&self, index: u32) -> Option<&Backend> {
        let at = self.0.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        self.0.get(at).map(|(_, slot)| slot)
    }

    /// Adds one, or replaces it.
    pub(crate) fn insert(&mut self, index: u32, slot: Backend) {
        match self.0.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => self.0[at].1 = slot,
            Err(at) => self.0.insert(at, (index, slot)),
        }
    }
}

impl FromIterator<Backend> for Slots {
    /// At 0, 1, 2, …
    fn from_iter<I: IntoIterator<Item = Backend>>(slots: I) -> Self {
        Self((0..).zip(slots).collect())
    }
}

// === impl Built ===

impl Built {
    /// The slots that are drawn.
    pub(crate) fn drawn(&self) -> &[Backend] {
        self.slots.get(..self.drawn as usize).unwrap_or(&self.slots)
    }
}

/// Builds the table of a VIP's backends, with where their counters are. Backends of weight 0
/// are listed, but not drawn.
///
/// Walker's alias method as given by Vose, in whole numbers: each of the `n` slots has `total`
/// shares, backend `i` has `weight[i] * n` of the `n * total`. A slot that its backend
/// does not fill is topped up by one that has too much.
pub(crate) fn build(
    vip: Endpoint,
    backends: &[Weighted],
    counter: impl Fn(&Endpoint) -> u32,
) -> Built {
    let (mut live, draining): (Vec<Weighted>, Vec<Weighted>) =
        backends.iter().partition(|(_, weight)| *weight > 0);
    let is_native = |end: &Endpoint| end.ipv4().is_some() == vip.ipv4().is_some();
    live.sort_by_key(|(backend, _)| !is_native(backend));
    let native = as_u32(live.partition_point(|(backend, _)| is_native(backend)));
    let total: u128 = live.iter().map(|(_, weight)| u128::from(*weight)).sum();
    let count = live.len() as u128;

    let mut slots: Vec<Backend> = live
        .iter()
        .chain(&draining)
        .zip(0..)
        .map(|(&(backend, weight), alias)| Backend {
            vip,
            backend,
            threshold: u32::MAX,
            weight,
            counter: counter(&backend),
            alias,
        })
        .collect();

    let mut shares: Vec<u128> = live.iter().map(|(_, w)| u128::from(*w) * count).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..live.len()).partition(|&slot| shares[slot] < total);
    while let (Some(needy), Some(giver)) = (small.pop(), large.last().copied()) {
        slots[needy].alias = as_u32(giver);
        slots[needy].threshold = threshold(shares[needy], total);
        shares[giver] -= total - shares[needy];
        if shares[giver] < total {
            large.pop();
            small.push(giver);
        }
    }
    Built { drawn: as_u32(live.len()), native, draining: as_u32(draining.len()), slots }
}

/// The greatest fraction of 2^32 that still means `share` of `total`.
fn threshold(share: u128, total: u128) -> u32 {
    let fractions = (share << 32) / total;
    u32::try_from(fractions.saturating_sub(1)).unwrap_or(u32::MAX)
}

/// Maps hold fewer entries than a u32 counts.
fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use muster_packet::{TCP, UNCOUNTED, choose};
    use proptest::prelude::*;

    use super::*;

    const VIP: Endpoint = Endpoint::v4([11, 0, 0, 1], 80, TCP);

    fn backend(index: usize) -> Endpoint {
        Endpoint::v4([10, 0, 0, 1], u16::try_from(index + 1).unwrap(), TCP)
    }

    fn weighted(weights: &[u32]) -> Vec<Weighted> {
        weights.iter().enumerate().map(|(i, &w)| (backend(i), w)).collect()
    }

    /// Each backend's counters are where its port says.
    fn counter(backend: &Endpoint) -> u32 {
        u32::from(backend.port)
    }

    /// Share of each backend, exactly, from the table.
    fn shares(built: &Built) -> BTreeMap<Endpoint, f64> {
        let mut shares = BTreeMap::new();
        for slot in &built.slots[..built.drawn as usize] {
            let own = (f64::from(slot.threshold) + 1.0) / 2f64.powi(32);
            *shares.entry(slot.backend).or_default() += own / f64::from(built.drawn);
            let alias = &built.slots[slot.alias as usize];
            *shares.entry(alias.backend).or_default() += (1.0 - own) / f64::from(built.drawn);
        }
        shares
    }

    proptest! {
        #[test]
        fn every_backend_gets_its_weight_and_draining_ones_nothing(
            weights in proptest::collection::vec(prop_oneof![Just(0u32), 1u32..20, any::<u32>()], 0..60),
        ) {
            let built = build(VIP, &weighted(&weights), counter);
            prop_assert_eq!(built.slots.len(), weights.len());
            prop_assert_eq!(built.drawn as usize, weights.iter().filter(|w| **w > 0).count());
            let shares = shares(&built);
            let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
            for (index, &weight) in weights.iter().enumerate() {
                let share = shares.get(&backend(index)).copied().unwrap_or(0.0);
                if weight == 0 {
                    prop_assert!(share == 0.0);
                } else {
                    let wanted = f64::from(weight) / total;
                    // Each slot is off by at most one part in 2^32.
                    prop_assert!((share - wanted).abs() < 1e-8, "{share} for {wanted}");
                }
            }
        }

        #[test]
        fn every_random_number_means_a_backend_that_takes_connections(
            weights in proptest::collection::vec(0u32..5, 1..20), random: u32,
        ) {
            let built = build(VIP, &weighted(&weights), counter);
            prop_assume!(built.drawn > 0);
            let choice = choose(random, built.drawn);
            let slot = built.slots[choice.index as usize];
            prop_assert_eq!(slot.vip, VIP);
            let is_own = slot.is_own(choice.fraction);
            let slot = if is_own { slot } else { built.slots[slot.alias as usize] };
            let chosen = slot.target();
            let index = usize::from(chosen.backend.port) - 1;
            prop_assert_eq!(chosen.counter, u32::from(chosen.backend.port));
            prop_assert!(weights[index] > 0);
        }
    }

    #[test]
    fn equal_weights_need_no_aliases() {
        let built = build(VIP, &weighted(&[7, 7, 7]), counter);
        assert_eq!(built.slots.iter().map(|s| s.alias).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(built.slots.iter().all(|s| s.threshold == u32::MAX));
    }

    #[test]
    fn draining_backends_come_last() {
        let built = build(VIP, &weighted(&[0, 3, 0, 1]), counter);
        assert_eq!((built.drawn, built.draining), (2, 2));
        assert_eq!(built.slots.iter().map(|s| s.weight).collect::<Vec<_>>(), [3, 1, 0, 0]);
    }

    #[test]
    fn backends_of_the_vips_family_come_first() {
        let vip = Endpoint::v6([0xfd; 16], 80, TCP);
        let other = Endpoint::v6([0xfe; 16], 80, TCP);
        let backends = [(backend(0), 1), (backend(1), 0), (vip, 3), (other, 2)];
        let built = build(vip, &backends, counter);
        assert_eq!((built.drawn, built.native, built.draining), (3, 2, 1));
        assert_eq!(built.slots.iter().map(|s| s.weight).collect::<Vec<_>>(), [3, 2, 1, 0]);
        assert_eq!(build(VIP, &weighted(&[1, 0, 1]), counter).native, 2);
    }

    #[test]
    fn backend_that_is_not_counted_is_served() {
        let built = build(VIP, &weighted(&[1]), |_| UNCOUNTED);
        assert_eq!((built.drawn, built.slots[0].counter), (1, UNCOUNTED));
    }

    #[test]
    fn no_backends_make_an_empty_table() {
        assert_eq!(
            build(VIP, &[], counter),
            Built { slots: vec![], drawn: 0, native: 0, draining: 0 }
        );
    }

    #[test]
    fn slots_are_in_order_of_their_indices() {
        let slot = |index| build(VIP, &[(backend(index), 1)], counter).slots[0];
        let mut slots: Slots = [slot(0), slot(1)].into_iter().collect();
        slots.insert(7, slot(7));
        slots.insert(4, slot(4));
        slots.insert(1, slot(11));
        assert_eq!(slots.indices().collect::<Vec<_>>(), [0, 1, 4, 7]);
        assert_eq!(slots.get(1), Some(&slot(11)));
        assert_eq!((slots.get(4), slots.get(5)), (Some(&slot(4)), None));
        assert_eq!((slots.len(), slots.iter().count()), (4, 4));
    }
}
