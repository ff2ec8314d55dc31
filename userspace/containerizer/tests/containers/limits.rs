//! Limits that containers are kept within.

use std::fs;
use std::time::{Duration, Instant};

use muster_containerizer::{
    BlockIo, CommandSpec, ContainerSpec, Error, ExecStatus, Limit, Propagation, Resources, Rlimit,
    RlimitKind, Volume, VolumeSource,
};

use super::disks::Loop;
use super::world::{PATIENCE, World, resources};

#[test]
fn memory_above_what_is_promised_can_be_used_and_raised() {
    let Some(world) = World::new() else { return };
    let line =
        "cat /proc/self/oom_score_adj; head -c 60000000 /dev/zero | tail -c 60000000 | head -c 1
        echo survived; sleep 1000";
    let limited = |limit| Resources { mem_limit: Some(limit), ..resources(2000, 40 << 20) };
    let spec = ContainerSpec { resources: limited(Limit::At(128 << 20)), ..world.shell("c", line) };
    world.launch(spec).unwrap();
    world.await_output("c", "survived");
    let score: i32 = world.stdout("c").lines().next().unwrap().parse().unwrap();
    assert!((900..1000).contains(&score), "{score}");
    let limits = |world: &World| {
        let usage = world.containerizer().usage("c").unwrap();
        (usage.mem_soft_limit_bytes.unwrap() >> 20, usage.mem_limit_bytes.map(|b| b >> 20))
    };
    assert_eq!(limits(&world), (40, Some(128)));
    let update = |world: &World, resources| {
        world.run(world.containerizer().update("c", resources)).unwrap();
    };
    update(&world, limited(Limit::At(256 << 20)));
    assert_eq!(limits(&world), (40, Some(256)));
    update(&world, resources(2000, 48 << 20));
    assert_eq!(limits(&world), (48, Some(256)), "never lowered");
    update(&world, limited(Limit::Infinite));
    assert_eq!(limits(&world), (40, None));
    let error = world.run(world.containerizer().update("d", resources(1, 1))).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn how_scarce_memory_is_is_counted_by_every_agent_anew() {
    let Some(mut world) = World::new() else { return };
    // More of files than fits, of which the kernel has to drop some again and again.
    let line = "while :; do dd if=/dev/zero of=file bs=1M count=150; done";
    let spec = ContainerSpec { resources: resources(2000, 40 << 20), ..world.shell("c", line) };
    world.launch(spec).unwrap();
    for _ in 0..2 {
        world.await_that("scarcity is counted", || {
            let usage = world.containerizer().usage("c").unwrap();
            let (low, critical) =
                (usage.mem_low_pressure_counter, usage.mem_critical_pressure_counter);
            critical.is_some() && low.is_some_and(|low| low > 0)
        });
        world.restart();
        world.run(world.containerizer().recover()).unwrap();
    }
}

#[test]
fn a_fork_bomb_ends_at_its_limit() {
    let Some(world) = World::new() else { return };
    let resources = Resources { pids_limit: Some(Limit::At(20)), ..resources(1000, 64 << 20) };
    let bomb = "bomb() { bomb | bomb & }; bomb; sleep 1; echo alive; sleep 1000";
    world.launch(ContainerSpec { resources, ..world.shell("c", bomb) }).unwrap();
    let refused = || {
        let errors = fs::read_to_string(world.sandbox("c").join("stderr")).unwrap();
        errors.contains("can't fork")
    };
    world.await_that("the kernel refuses a fork", refused);
    assert!(world.containerizer().usage("c").unwrap().threads.unwrap() <= 20);
    world.run(world.containerizer().destroy("c")).unwrap();
}

#[test]
fn resource_limits_hold_for_the_command_and_for_who_joins_it() {
    let Some(world) = World::new() else { return };
    let limit = |kind, soft, hard| Rlimit { kind, soft, hard };
    let spec = ContainerSpec {
        rlimits: vec![
            limit(RlimitKind::Nofile, Some(64), Some(128)),
            limit(RlimitKind::Core, Some(0), None),
            limit(RlimitKind::Fsize, Some(1 << 20), Some(1 << 20)),
        ],
        ..world.shell("c", "ulimit -n; ulimit -Hn; ulimit -c; echo ready; exec sleep 1000")
    };
    world.launch(spec).unwrap();
    world.await_output("c", "ready");
    assert_eq!(world.stdout("c"), "64\n128\n0\nready\n");
    let exec = |line: &str| {
        let command = CommandSpec::Shell(line.into());
        world.run(world.containerizer().exec("c", command, PATIENCE)).unwrap()
    };
    assert_eq!(exec("[ $(ulimit -n) = 64 ]"), ExecStatus::Exited(0));
    let xfsz = exec("exec dd if=/dev/zero of=/tmp/x bs=1024 count=2048");
    assert_eq!(xfsz, ExecStatus::Signaled(25), "a file too large");
}

#[test]
fn whole_cpus_are_pinned_if_the_flag_says_so() {
    let Some(mut world) = World::new() else { return };
    let listed = "cgroups,cgroups/pids,cgroups/cpuset,filesystem/linux,docker/runtime";
    world.restart_with(|isolation| isolation.names = listed.into());
    let line = "grep Cpus_allowed_list /proc/self/status; echo ready; exec sleep 1000";
    let launch = |world: &World, id: &str, cpus_milli| {
        let resources = resources(cpus_milli, 64 << 20);
        world.launch(ContainerSpec { resources, ..world.shell(id, line) }).unwrap();
        world.await_output(id, "ready");
        let status = world.containerizer().status(id).unwrap().cpus;
        (world.stdout(id).lines().next().unwrap().replace("Cpus_allowed_list:\t", ""), status)
    };
    let all = launch(&world, "shared", 500);
    assert_eq!(all.1, None);
    let (first, status) = launch(&world, "first", 1000);
    assert_eq!(status.as_ref(), Some(&first));
    assert!(first.parse::<u32>().is_ok(), "{first}");
    world.restart();
    world.run(world.containerizer().recover()).unwrap();
    assert_eq!(world.containerizer().status("first").unwrap().cpus, Some(first.clone()));
    let (second, _) = launch(&world, "second", 1000);
    assert_eq!(second != first, all.0 != first, "apart, if there is more than one");
    for id in ["shared", "first", "second"] {
        world.run(world.containerizer().destroy(id)).unwrap();
        assert!(world.remains(id).is_empty());
    }
}

#[test]
fn reads_of_a_device_are_counted_and_held_back() {
    let Some(mut world) = World::new() else { return };
    let listed = "cgroups,cgroups/pids,cgroups/blkio,filesystem/linux,docker/runtime";
    world.restart_with(|isolation| isolation.names = listed.into());
    let disk = Loop::new(&world, "ext4", 16 << 20);
    fs::write(disk.at.join("file"), vec![1; 2 << 20]).unwrap();
    rustix::fs::syncfs(fs::File::open(&disk.at).unwrap()).unwrap();
    let number = disk.number();
    let throttle = format!("{number} rbps={}", 1 << 20).parse().unwrap();
    let volume = Volume {
        container_path: "/disk".into(),
        source: VolumeSource::HostPath { path: disk.at.clone(), propagation: Propagation::Private },
        read_only: true,
    };
    let line = "dd if=/disk/file of=/dev/null bs=256k iflag=direct && echo done; exec sleep 1000";
    let spec = ContainerSpec {
        block_io: Some(BlockIo { weight: None, throttles: vec![throttle] }),
        volumes: vec![volume],
        ..world.shell("c", line)
    };
    let begun = Instant::now();
    world.launch(spec).unwrap();
    world.await_output("c", "done");
    // Two of what may be read in a second.
    assert!(begun.elapsed() > Duration::from_secs(1), "{:?}", begun.elapsed());
    let usage = world.containerizer().usage("c").unwrap();
    let read = usage.block_io.iter().find(|io| io.device == number).unwrap();
    assert!(read.read_bytes >= 2 << 20 && read.reads >= 8, "{read:?}");
    // Before the disk goes.
    world.run(world.containerizer().destroy("c")).unwrap();
    assert!(world.remains("c").is_empty());
}

#[test]
fn devices_are_those_of_the_list_if_the_flag_says_so() {
    let Some(mut world) = World::new() else { return };
    // On the host's own /dev, where nothing else is in the way.
    let spec = |world: &World, id: &str| ContainerSpec {
        image: None,
        ..world.shell(
            id,
            "head -c 1 /dev/zero | wc -c; head -c 1 /dev/kmsg 2>&1
             mknod $MESOS_SANDBOX/disk b 7 200 && echo made; head -c 1 $MESOS_SANDBOX/disk 2>&1",
        )
    };
    let denied = |output: &str| output.matches("Operation not permitted").count();
    world.restart_with(|isolation| isolation.names = "cgroups".into());
    let output = world.finish(spec(&world, "c")).1;
    assert_eq!(denied(&output), 0, "{output}");
    world.restart_with(|isolation| isolation.names = "cgroups,cgroups/devices".into());
    let output = world.finish(spec(&world, "d")).1;
    assert!(output.starts_with("1\n") && output.contains("made\n"), "{output}");
    assert_eq!(denied(&output), 2, "{output}");
    world.run(world.containerizer().destroy("d")).unwrap();
    assert!(world.remains("d").is_empty());
}

#[test]
fn a_closed_container_works_with_its_devices_only() {
    let Some(mut world) = World::new() else { return };
    let listed = "cgroups,cgroups/devices,filesystem/linux,docker/runtime";
    world.restart_with(|isolation| isolation.names = listed.into());
    let line = "head -c 1 /dev/urandom > /dev/null && head -c 1 /dev/zero | wc -c; ls /dev/pts";
    assert_eq!(world.output("c", line), "1\nptmx\n");
}
