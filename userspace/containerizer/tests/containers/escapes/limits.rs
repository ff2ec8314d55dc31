//! Using up what belongs to all.

use muster_containerizer::{Cause, ContainerSpec, Limit, Resources, Termination};

use super::super::world::resources;
use super::{trying, world};

#[test]
fn a_fork_bomb_ends_at_the_limit() {
    let Some(mut world) = world() else { return };
    let most = 64;
    let limited = Resources { pids_limit: Some(Limit::At(most)), ..resources(1000, 256 << 20) };
    let spec = |world: &super::World, id: &str, resources| ContainerSpec {
        resources,
        ..trying(world, id, &["fork-bomb"])
    };
    let bomb = |output: &str| -> (u64, i32) {
        let mut words = output.split_whitespace().skip(2).map(|word| word.parse::<i64>().unwrap());
        let forks = words.next().unwrap().cast_unsigned();
        (forks, i32::try_from(words.next().unwrap()).unwrap())
    };
    let (forks, errno) = bomb(&world.finish(spec(&world, "c", limited)).1);
    assert!(forks < most && forks + 4 > most, "{forks} of {most}");
    assert_eq!(errno, libc::EAGAIN);
    // The agent's own limit holds who asks for none.
    world.restart_with(|isolation| isolation.pids_limit = 100);
    let (forks, errno) = bomb(&world.finish(spec(&world, "d", resources(1000, 256 << 20))).1);
    assert!((95..100).contains(&forks) && errno == libc::EAGAIN, "{forks} {errno}");
}

#[test]
fn memory_in_files_is_memory() {
    let Some(world) = world() else { return };
    // More than it may have, within what the file systems of memory take.
    let line = "cat /dev/zero > /dev/shm/a; cat /dev/zero > /dev/b; echo survived; exec sleep 1000";
    let spec = ContainerSpec { resources: resources(2000, 48 << 20), ..world.shell("c", line) };
    let (termination, output) = world.finish(spec);
    let Termination::Limited(limitation) = termination else { panic!("{termination:?} {output}") };
    assert_eq!(limitation.cause, Cause::Memory);
    assert_eq!(output, "");
    // And these have an end where it may have more.
    let spec = ContainerSpec {
        resources: resources(2000, 512 << 20),
        ..world.shell(
            "d",
            "cat /dev/zero > /dev/shm/a; cat /dev/zero > /dev/b; stat -c %s /dev/shm/a /dev/b",
        )
    };
    let output = world.finish(spec).1;
    assert_eq!(output, format!("{0}\n{0}\n", 64 << 20));
}
