//! Services, a master and agents in one process, on a virtual clock, from a seed: first
//! with everything going wrong that can, then with nothing going wrong any more, when all
//! must come to be as the users were promised. A failing seed is named and replays.

mod cluster;
mod promises;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use self::world::{Faults, World};

/// Runs `test` on many seeds; the number can be raised by `SIMULATION_SEEDS`.
fn for_seeds(default: u64, test: impl Fn(u64)) {
    let seeds = std::env::var("SIMULATION_SEEDS").map_or(default, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(seed))) {
            eprintln!("seed {seed} failed");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn everything_converges_after_every_kind_of_fault() {
    for_seeds(60, |seed| {
        let mut world = World::new(seed, Faults::ALL);
        for _ in 0..600 {
            world.step();
        }
        world.heal();
        world.converge();
    });
}

#[test]
fn crashes_alone_never_start_one_too_many() {
    for_seeds(60, |seed| {
        let faults = Faults { crash: true, ..Faults::NONE };
        let mut world = World::new(seed, faults);
        world.create("a", 10);
        for _ in 0..400 {
            world.step_without_users();
            assert!(world.cluster.started("a") <= 10, "started {}", world.cluster.started("a"));
        }
        world.heal();
        world.converge();
        assert_eq!(world.cluster.started("a"), 10, "none was started in vain");
    });
}

#[test]
fn without_partitions_there_are_never_too_many_at_a_time() {
    for_seeds(60, |seed| {
        let faults = Faults { partition: false, ..Faults::ALL };
        let mut world = World::new(seed, faults);
        world.create("a", 10);
        for _ in 0..600 {
            world.step_without_users();
            let alive = world.cluster.alive().get("a").copied().unwrap_or(0);
            assert!(alive <= 10, "{alive} at a time");
        }
        world.heal();
        world.converge();
        assert_eq!(world.cluster.alive(), BTreeMap::from([("a".to_owned(), 10)]));
    });
}
