extern crate std;
use core::cell::{Cell, RefCell};
use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{
    BREAKER_BACKOFF_NS, BREAKER_FAILURES, Counters, Endpoint, LATENCY_FLOOR, Latency, TCP, Vip,
    maglev,
};

/// Everybody's address.
static BACKEND: Endpoint = Endpoint::v4([10, 0, 0, 1], 80, TCP);

/// Backends without aliases, and a clock.
struct Model {
    seed: Cell<u64>,
    policy: Cell<Policy>,
    now_ns: Cell<u64>,
    backends: RefCell<Vec<Counters>>,
}

impl Model {
    fn new(count: u32, seed: u64) -> Self {
        Self {
            seed: Cell::new(seed),
            policy: Cell::new(Policy::default()),
            now_ns: Cell::new(1_000_000_000_000),
            backends: RefCell::new((0..count).map(|at| Counters::new(BACKEND, at)).collect()),
        }
    }

    /// The client keeps its backend, if that works. Slots name all backends in turn.
    fn settle(&self, hash: u64) -> usize {
        let count = u32::try_from(self.backends.borrow().len()).unwrap();
        let entry = Vip::new(1, count, 0, Policy::Maglev).with_slots(16_381);
        let index = match settle(self, &entry, hash, |slot| Some(slot % count)).unwrap() {
            Settled::Up(index) => index,
            Settled::Down(first) => rescue(self, first, count),
        };
        index as usize
    }

    fn pick(&self) -> usize {
        let count = u32::try_from(self.backends.borrow().len()).unwrap();
        let counter = match draw(self, count, self.policy.get().number()).unwrap() {
            Drawn::Taken(target) => target.counter,
            // Counters are where the slots are.
            Drawn::Down { last_resort, slot } => {
                assert_eq!(last_resort.counter, slot);
                rescue(self, slot, count)
            }
        };
        counter as usize
    }

    fn with<T>(&self, index: usize, change: impl FnOnce(&mut Counters) -> T) -> T {
        change(&mut self.backends.borrow_mut()[index])
    }

    fn tier(&self, index: usize) -> Tier {
        self.with(index, |counters| counters.tier(self.now_ns.get()))
    }

    fn fail(&self, index: usize) {
        self.with(index, |counters| {
            counters.pending = counters.pending.saturating_sub(1);
            counters.consecutive_failures += 1;
            counters.last_failure_ns = self.now_ns.get();
        });
    }

    fn succeed(&self, index: usize, ticks: u32) {
        self.with(index, |counters| {
            counters.pending = counters.pending.saturating_sub(1);
            counters.consecutive_failures = 0;
            counters.latency = counters.latency.after(ticks, self.now_ns.get());
        });
    }

    /// How often each is picked, when every connection ends at once.
    fn shares(&self, picks: usize) -> Vec<usize> {
        let mut shares = vec![0; self.backends.borrow().len()];
        for _ in 0..picks {
            shares[self.pick()] += 1;
        }
        shares
    }
}

impl Pool<'static> for Model {
    fn random(&self) -> u32 {
        // SplitMix64 (S. Vigna).
        let seed = self.seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.seed.set(seed);
        let bits = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((bits ^ (bits >> 31)) >> 32).unwrap()
    }

    fn slot(&self, choice: Choice) -> Option<Target<'static>> {
        // A backend is known by where its counters are.
        let is_there = (choice.index as usize) < self.backends.borrow().len();
        is_there.then_some(Target { backend: &BACKEND, counter: choice.index })
    }

    fn load(&self, target: &Target<'_>) -> Load {
        self.backends.borrow()[target.counter as usize].load(self.now_ns.get())
    }

    fn claim(&self, target: &Target<'_>, load: &Load) -> bool {
        self.with(target.counter as usize, |counters| {
            let mine = counters.probe_ns == load.probe_ns;
            if mine {
                counters.probe_ns = self.now_ns.get();
            }
            mine
        })
    }
}

/// What happens between two connections.
#[derive(Clone, Copy, Debug)]
enum Change {
    Fail(usize),
    Succeed(usize, u32),
    Begin(usize),
    Wait(u64),
    Add,
    Remove,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        4 => (0usize..40).prop_map(Change::Fail),
        2 => (0usize..40, 1u32..5_000_000).prop_map(|(index, ticks)| Change::Succeed(index, ticks)),
        1 => (0usize..40).prop_map(Change::Begin),
        1 => (0u64..2 * BREAKER_BACKOFF_NS).prop_map(Change::Wait),
        1 => Just(Change::Add),
        1 => Just(Change::Remove),
    ];
    proptest::collection::vec(change, 0..150)
}

proptest! {
    /// Any set of backends, any sequence of changes: who is down is only picked if all are.
    #[test]
    fn backend_that_works_is_picked_whenever_there_is_one(
        count in 1u32..=RESCUES + 1, seed: u64, changes in changes(), policy in 0usize..4,
    ) {
        let model = Model::new(count, seed);
        model.policy.set(Policy::ALL[policy]);
        for change in changes {
            let len = model.backends.borrow().len();
            match change {
                Change::Fail(index) => (0..BREAKER_FAILURES).for_each(|_| model.fail(index % len)),
                Change::Succeed(index, ticks) => model.succeed(index % len, ticks),
                Change::Begin(index) => model.with(index % len, |counters| counters.pending += 1),
                Change::Wait(ns) => model.now_ns.set(model.now_ns.get() + ns),
                Change::Add if len <= RESCUES as usize => {
                    model.backends.borrow_mut().push(Counters::new(BACKEND, 0));
                }
                Change::Remove if len > 1 => drop(model.backends.borrow_mut().remove(len / 2)),
                Change::Add | Change::Remove => {}
            }
            let len = model.backends.borrow().len();
            let tiers: Vec<Tier> = (0..len).map(|index| model.tier(index)).collect();
            let is_maglev = model.policy.get() == Policy::Maglev;
            let picked = if is_maglev { model.settle(seed) } else { model.pick() };
            if tiers.iter().any(|tier| *tier != Tier::Down) {
                prop_assert_ne!(tiers[picked], Tier::Down);
            }
            // A test is let through once.
            prop_assert!(tiers[picked] != Tier::MaybeUp || model.tier(picked) == Tier::Down || len == 1);
        }
    }
}

#[test]
fn equals_get_equal_shares() {
    let shares = Model::new(10, 1).shares(10_000);
    assert!(shares.iter().all(|share| (850..1150).contains(share)), "{shares:?}");
}

#[test]
fn slow_backend_gets_less_until_that_is_forgotten() {
    let model = Model::new(10, 2);
    model.succeed(3, 40 * LATENCY_FLOOR);
    // Two are drawn, never one twice: the other is faster, whoever it is.
    let shares = model.shares(10_000);
    assert_eq!(shares[3], 0, "{shares:?}");
    model.now_ns.set(model.now_ns.get() + 60_000_000_000);
    assert!(model.shares(10_000)[3] > 850);
}

#[test]
fn busy_backend_gets_less() {
    let model = Model::new(4, 3);
    model.with(0, |counters| counters.pending = 3);
    assert_eq!(model.shares(1_000)[0], 0);
}

#[test]
fn slower_one_is_taken_when_the_faster_has_more_under_way() {
    let model = Model::new(2, 4);
    let now = model.now_ns.get();
    model.with(0, |c| c.latency = Latency::default().after(3 * LATENCY_FLOOR, now));
    model.with(1, |c| c.latency = Latency::default().after(LATENCY_FLOOR, now));
    assert_eq!(model.shares(100), [0, 100]);
    model.with(1, |counters| counters.pending = 3);
    assert_eq!(model.shares(100), [100, 0]);
}

#[test]
fn policies_differ_in_what_they_look_at() {
    let model = Model::new(2, 7);
    let now = model.now_ns.get();
    // One is slow, the other has more under way.
    model.with(0, |c| c.latency = Latency::default().after(40 * LATENCY_FLOOR, now));
    model.with(1, |counters| counters.pending = 2);
    let shares = [Policy::P2cEwma, Policy::LeastPending, Policy::Random].map(|policy| {
        model.policy.set(policy);
        model.shares(1_000)[0]
    });
    assert_eq!(shares[..2], [0, 1_000]);
    assert!((400..600).contains(&shares[2]), "{shares:?}");
}

#[test]
fn all_down_share_what_comes_as_a_last_resort() {
    let model = Model::new(4, 5);
    for index in 0..4 {
        (0..BREAKER_FAILURES).for_each(|_| model.fail(index));
    }
    assert!(model.shares(4_000).iter().all(|share| *share > 800));
}

#[test]
fn half_open_backend_gets_one_connection_in_a_backoff() {
    let model = Model::new(3, 6);
    (0..BREAKER_FAILURES).for_each(|_| model.fail(1));
    assert_eq!(model.shares(1_000)[1], 0);
    model.now_ns.set(model.now_ns.get() + BREAKER_BACKOFF_NS + 1);
    assert_eq!(model.shares(1_000)[1], 1);
    model.succeed(1, 1);
    assert!(model.shares(1_000)[1] > 200);
}

#[test]
fn client_keeps_its_backend_while_that_works_and_gets_it_back() {
    let model = Model::new(10, 8);
    let hashes: Vec<u64> = (0..500).map(|client| maglev::hash(maglev::SEED, [client])).collect();
    let all = || hashes.iter().map(|hash| model.settle(*hash)).collect::<Vec<_>>();
    let first = all();
    assert_eq!(all(), first);
    (0..BREAKER_FAILURES).for_each(|_| model.fail(3));
    let second = all();
    assert_eq!(all(), second, "the same way each time");
    let mut heirs = [0; 10];
    for (was, is) in first.iter().zip(&second) {
        assert_ne!(*is, 3);
        assert!(was == is || *was == 3);
        heirs[*is] += usize::from(*was == 3);
    }
    assert!(heirs.iter().filter(|clients| **clients > 0).count() >= 8, "{heirs:?}");
    model.succeed(3, 1);
    assert_eq!(all(), first);
}

#[test]
fn table_that_is_gone_is_looked_up_again() {
    let model = Model::new(10, 9);
    let entry = Vip::new(1, 10, 0, Policy::Maglev).with_slots(16_381);
    assert_eq!(settle(&model, &entry, 0, |_| None), None);
    assert_eq!(settle(&model, &entry, 0, |_| Some(10)), None);
    // Without a table: evenly.
    let spread = Vip::new(1, 10, 0, Policy::Maglev);
    assert_eq!(settle(&model, &spread, u64::MAX, |_| None), Some(Settled::Up(9)));
}
