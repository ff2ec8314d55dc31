//! An agent in a bad world: a link that breaks, a process that dies between any two of
//! its acts, a disk that fills up, containers that come and go as they like. Safety is
//! checked at every step; then the faults stop, and everything must come to rest.
//!
//! A failing case prints its seed, which replays it exactly.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use proptest::prelude::*;

mod simulation {
    pub(crate) mod machine;
    pub(crate) mod master;
    pub(crate) mod world;
}

use simulation::world::{Faults, World};

fn live(seed: u64, faults: Faults) -> World {
    let mut world = World::new(seed, faults);
    world.run(300.0);
    world.stop_faults();
    world.run(1800.0);
    world.assert_at_rest();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_doubled_or_orphaned(
        seed: u64,
        crash in 0.0..0.02,
        cut in 0.0..0.02,
        full in 0.0..0.1,
    ) {
        live(seed, Faults { crash, cut, full });
    }
}

/// Cases that failed once.
#[test]
fn what_was_found_stays_mended() {
    let faults = Faults {
        crash: 0.004_984_119_393_721_943_5,
        cut: 5.352_740_443_973_205e-5,
        full: 0.037_374_906_521_103_36,
    };
    live(1_652_862_670_220_964_828, faults);
}

/// The simulation does what it is for: each kind of fault and each kind of end occurs.
#[test]
fn the_world_is_bad_enough() {
    let faults = Faults { crash: 0.01, cut: 0.02, full: 0.05 };
    let worlds: Vec<World> = (0..8).map(|seed| live(seed, faults)).collect();
    let sum = |count: fn(&World) -> usize| worlds.iter().map(count).sum::<usize>();
    assert!(sum(|world| world.crashes) > 50);
    assert!(sum(|world| world.cuts) > 50);
    assert!(sum(|world| world.failed_commits) > 50);
    assert!(sum(|world| world.adopted) > 20);
    assert!(sum(|world| world.delivered.len()) > 50);
    assert!(sum(|world| world.master.exits) > 20);
    assert!(sum(|world| world.pods) > 20);
    for state in ["TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST"] {
        assert!(worlds.iter().any(|world| world.master.ends(state) > 0), "{state}");
    }
}
