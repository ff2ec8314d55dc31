//! A container's life: launch, end, kill, destroy.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use muster_containerizer::{Cause, CommandSpec, ContainerSpec, Error, Limitation, Termination};

use super::escapes;
use super::world::{PATIENCE, World, resources};

const NOTHING: [PathBuf; 0] = [];

#[test]
fn runs_ends_and_leaves_nothing() {
    let Some(world) = World::new() else { return };
    let (termination, output) = world.finish(world.shell("c", "echo hello; exit 7"));
    assert_eq!(termination, Termination::Exited(7));
    assert_eq!(output, "hello\n");
    assert!(world.remains("c").len() > 2);
    world.run(world.containerizer().destroy("c")).unwrap();
    assert_eq!(world.remains("c"), NOTHING);
    assert_eq!(world.stdout("c"), "hello\n", "the sandbox is the caller's");
}

#[test]
fn the_images_command_runs_unless_another_is_given() {
    let Some(world) = World::new() else { return };
    let spec = ContainerSpec { command: None, ..world.shell("c", "") };
    assert_eq!(world.finish(spec).0, Termination::Exited(3));
    let args = ["/bin/sh", "-c", "exit 4"].map(String::from).to_vec();
    let spec = ContainerSpec { command: None, args, ..world.shell("args", "") };
    assert_eq!(world.finish(spec).0, Termination::Exited(4));
    let command = Some(CommandSpec::Argv(vec!["sh".into(), "-c".into(), "exit 5".into()]));
    let spec = ContainerSpec { command, ..world.shell("argv", "") };
    assert_eq!(world.finish(spec).0, Termination::Exited(5));
}

#[test]
fn a_signal_is_told_apart_from_an_exit() {
    let Some(world) = World::new() else { return };
    // Process 1 cannot kill itself; its shell's child can, and exec makes that process 1.
    let launched = world.launch(world.shell("c", "exec sleep 1000")).unwrap();
    let pid = rustix::process::Pid::from_raw(launched.pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(world.wait("c"), Termination::Signaled(9));
    assert_eq!(world.finish(world.shell("d", "exit 137")).0, Termination::Exited(137));
}

#[test]
fn a_memory_bomb_is_killed_with_all_around_it() {
    let Some(world) = World::new() else { return };
    // The bomb is not process 1: without us the shell would go on.
    let bomb = "sleep 1000 & (head -c 200000000 /dev/zero | tail -c 200000000); sleep 60; echo survived; wait";
    let spec = ContainerSpec { resources: resources(2000, 48 << 20), ..world.shell("c", bomb) };
    let (termination, output) = world.finish(spec);
    let Termination::Limited(Limitation { cause: Cause::Memory, message, resources }) = termination
    else {
        panic!("{termination:?}");
    };
    assert!(message.starts_with("Memory limit exceeded: Requested: 48MB Maximum Used: "));
    // The first of v1's, or of v2's.
    let statistics = ["cache ", "anon "].map(|name| format!("\n\nMEMORY STATISTICS: \n{name}"));
    assert!(statistics.iter().any(|text| message.contains(text)), "{message}");
    assert!((40_000..=48_000).contains(&resources[0].milli), "{resources:?}");
    assert_eq!(output, "");
}

#[test]
fn a_memory_bomb_as_process_1() {
    let Some(world) = World::new() else { return };
    let bomb = "exec tail -c 200000000 /dev/zero";
    // Less than the least: 32 MB.
    let spec = ContainerSpec { resources: resources(2000, 1 << 20), ..world.shell("c", bomb) };
    let termination = world.finish(spec).0.to_string();
    assert!(termination.starts_with("Memory limit exceeded: Requested: 32MB"), "{termination}");
}

#[test]
fn daemons_die_with_process_1() {
    let Some(world) = World::new() else { return };
    let line = "setsid sh -c 'trap \"\" TERM HUP; sleep 1000' & setsid sleep 1001 & exit 0";
    assert_eq!(world.finish(world.shell("c", line)).0, Termination::Exited(0));
    for cgroup in world.cgroups("c") {
        assert_eq!(fs::read_to_string(cgroup.join("cgroup.procs")).unwrap(), "");
    }
}

#[test]
fn a_fork_bomb_is_killed_to_the_last_process() {
    let Some(world) = escapes::world() else { return };
    // Without a process 1 that would take all along, and away from every group and session.
    for shared in [true, false] {
        let resources = muster_containerizer::Resources {
            pids_limit: Some(muster_containerizer::Limit::At(60)),
            ..resources(500, 128 << 20)
        };
        let bomb = escapes::trying(&world, "c", &["endless-fork-bomb"]);
        let spec = ContainerSpec { share_pid_namespace: shared, resources, ..bomb };
        world.launch(spec).unwrap();
        world.await_that("it has grown to its limit", || {
            world.containerizer().usage("c").is_ok_and(|usage| usage.threads >= Some(55))
        });
        world.run(world.containerizer().kill("c", Duration::from_millis(50))).unwrap();
        assert_eq!(world.wait("c"), Termination::Signaled(9));
        for cgroup in world.cgroups("c") {
            assert_eq!(fs::read_to_string(cgroup.join("cgroup.procs")).unwrap(), "");
        }
        world.run(world.containerizer().destroy("c")).unwrap();
        assert_eq!(world.remains("c"), NOTHING);
    }
}

#[test]
fn kill_reaches_a_trap_and_waits_for_it() {
    let Some(world) = World::new() else { return };
    let line = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    world.launch(world.shell("c", line)).unwrap();
    world.await_output("c", "ready");
    world.run(world.containerizer().kill("c", PATIENCE)).unwrap();
    assert_eq!(world.wait("c"), Termination::Exited(5));
    assert_eq!(world.stdout("c"), "ready\nbye\n");
}

#[test]
fn kill_is_forceful_after_the_grace_period() {
    let Some(world) = World::new() else { return };
    let line = "trap '' TERM; echo ready; sleep 1000; echo not killed";
    world.launch(world.shell("c", line)).unwrap();
    world.await_output("c", "ready");
    world.run(world.containerizer().kill("c", Duration::from_millis(50))).unwrap();
    assert_eq!(world.wait("c"), Termination::Signaled(9));
    assert_eq!(world.stdout("c"), "ready\n");
}

#[test]
fn kill_does_not_wait_for_who_would_not_notice() {
    let Some(world) = World::new() else { return };
    world.launch(world.shell("c", "exec sleep 1000")).unwrap();
    // Longer than this test may take.
    world.run(world.containerizer().kill("c", PATIENCE * 10)).unwrap();
    assert_eq!(world.wait("c"), Termination::Signaled(9));
    world.run(world.containerizer().kill("c", PATIENCE)).unwrap();
}

#[test]
fn kill_reaches_the_children_of_who_would_not_notice() {
    let Some(world) = World::new() else { return };
    let child = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    // A shell with more to do stays process 1.
    let line = format!("sh -c \"{child}\"; sleep 1000");
    world.launch(world.shell("c", &line)).unwrap();
    world.await_output("c", "ready");
    world.run(world.containerizer().kill("c", PATIENCE * 10)).unwrap();
    assert_eq!(world.wait("c"), Termination::Signaled(9));
    assert_eq!(world.stdout("c"), "ready\nbye\n");
}

#[test]
fn destroy_ends_what_runs_and_may_be_repeated() {
    let Some(world) = World::new() else { return };
    world.launch(world.shell("c", "sleep 1000 & sleep 1000")).unwrap();
    let containerizer = world.containerizer();
    world.run(async {
        let waiting = containerizer.wait("c");
        let (once, twice, ended) =
            tokio::join!(containerizer.destroy("c"), containerizer.destroy("c"), waiting);
        once.unwrap();
        twice.unwrap();
        assert_eq!(ended.unwrap(), Termination::Signaled(9));
    });
    assert_eq!(world.remains("c"), NOTHING);
    world.run(containerizer.destroy("c")).unwrap();
    world.run(containerizer.destroy("never-there")).unwrap();
    let unknown = world.run(containerizer.wait("c")).unwrap_err();
    assert!(matches!(unknown, Error::NotFound { .. }), "{unknown}");
    // Its id is free again.
    assert_eq!(world.finish(world.shell("c", "exit 0")).0, Termination::Exited(0));
}

#[test]
fn an_id_is_used_once() {
    let Some(mut world) = World::new() else { return };
    world.launch(world.shell("c", "sleep 1000")).unwrap();
    let error = world.launch(world.shell("c", "true")).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    world.restart();
    // Not taken over yet, and not to be harmed.
    let error = world.launch(world.shell("c", "true")).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    let recovered = world.run(world.containerizer().recover()).unwrap();
    assert_eq!(recovered[0].termination, None);
}

#[test]
fn a_launch_can_be_destroyed_or_abandoned() {
    let Some(world) = World::new() else { return };
    let containerizer = world.containerizer();
    world.run(async {
        for round in 0..20 {
            let id = format!("c{round}");
            let spec = world.shell(&id, "sleep 1000");
            let launch = tokio::spawn({
                let containerizer = containerizer.clone();
                async move { containerizer.launch(spec).await }
            });
            tokio::time::sleep(Duration::from_millis(round)).await;
            if round % 2 == 0 {
                launch.abort();
            }
            containerizer.destroy(&id).await.unwrap();
            match launch.await {
                Ok(Err(error)) => assert!(matches!(error, Error::Cancelled { .. }), "{error}"),
                // It was quicker, or not yet begun, or is not heard any more.
                Ok(Ok(_)) => {}
                Err(aborted) => assert!(aborted.is_cancelled()),
            }
            containerizer.destroy(&id).await.unwrap();
            assert_eq!(world.remains(&id), NOTHING, "{round}");
        }
    });
}

#[test]
fn a_command_that_is_not_there() {
    let Some(world) = World::new() else { return };
    for (command, expected) in [
        ("no-such", "exec no-such: command not found in PATH=/usr/local/sbin:"),
        ("/no/such", "exec /no/such: command not found"),
        ("/etc/passwd", "exec /etc/passwd: permission denied"),
    ] {
        let command = Some(CommandSpec::Argv(vec![command.into()]));
        let error = world.launch(ContainerSpec { command, ..world.shell("c", "") }).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(matches!(error, Error::Setup(_)), "{error:?}");
        assert_eq!(world.remains("c"), NOTHING);
    }
}

#[test]
fn a_set_up_that_fails_names_its_step() {
    let Some(world) = World::new() else { return };
    let spec = ContainerSpec { user: Some("nemo".into()), ..world.shell("c", "true") };
    let error = world.launch(spec).unwrap_err().to_string();
    assert_eq!(error, "find the user: user `nemo` is not in /etc/passwd");
    let spec = world.shell("d", "true");
    fs::create_dir(spec.sandbox.join("stdout")).unwrap();
    let error = world.launch(spec).unwrap_err().to_string();
    assert!(error.ends_with("d/stdout: Is a directory (os error 21)"), "{error}");
    assert_eq!(world.remains("c"), NOTHING);
}

#[test]
fn usage_counts_cpu_memory_and_tasks() {
    let Some(world) = World::new() else { return };
    let line = "x=0; while [ $x -lt 200000 ]; do x=$((x+1)); done; sleep 1000 & echo ready; wait";
    let spec = ContainerSpec { resources: resources(1500, 40 << 20), ..world.shell("c", line) };
    world.launch(spec).unwrap();
    world.await_output("c", "ready");
    let usage = world.containerizer().usage("c").unwrap();
    assert_eq!(usage.cpus_limit, Some(1.5));
    assert_eq!(usage.mem_limit_bytes, Some(40 << 20));
    assert_eq!((usage.processes, usage.threads), (Some(2), Some(2)));
    let busy = usage.cpus_user_time_secs.unwrap() + usage.cpus_system_time_secs.unwrap();
    assert!(busy > 0.0 && busy < PATIENCE.as_secs_f64(), "{usage:?}");
    assert!(usage.cpus_nr_periods.unwrap() > 0, "{usage:?}");
    let memory = usage.mem_total_bytes.unwrap();
    assert!(memory > 0 && memory <= usage.mem_max_usage_bytes.unwrap(), "{usage:?}");
    assert!(usage.mem_rss_bytes.unwrap() > 0, "{usage:?}");
    world.run(world.containerizer().kill("c", Duration::ZERO)).unwrap();
    let error = world.containerizer().usage("c").unwrap_err();
    assert!(matches!(error, Error::NotRunning { .. }), "{error}");
}
