//! What a container shares with its agent, and what not.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use muster_containerizer::{CommandSpec, ContainerSpec, ExecStatus, IpcMode, Termination};

use super::world::{PATIENCE, World};

const NOTHING: [PathBuf; 0] = [];

#[test]
fn processes_of_the_agent_are_in_sight_if_wanted() {
    let Some(mut world) = World::new() else { return };
    let own = std::process::id();
    let line = format!("[ $$ -gt 1 ] && [ -d /proc/{own} ] && cat /proc/{own}/comm");
    let shared = ContainerSpec { share_pid_namespace: true, ..world.shell("c", &line) };
    assert_eq!(world.finish(shared).0, Termination::Exited(0));
    let line = format!("[ ! -d /proc/{own} ]");
    assert_eq!(world.finish(world.shell("d", &line)).0, Termination::Exited(0));
    world.restart_with(|isolation| isolation.disallow_sharing_pid_namespace = true);
    let refused = ContainerSpec { share_pid_namespace: true, ..world.shell("e", "true") };
    let error = world.launch(refused).unwrap_err().to_string();
    assert!(error.starts_with("share_pid_namespace: "), "{error}");
    assert_eq!(world.remains("e"), NOTHING);
}

#[test]
fn without_a_process_1_everything_ends_with_the_command_too() {
    let Some(world) = World::new() else { return };
    let line = "setsid sleep 1000 & trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    let spec = ContainerSpec { share_pid_namespace: true, ..world.shell("c", line) };
    world.launch(spec).unwrap();
    world.await_output("c", "ready");
    let inside = CommandSpec::Shell("[ $$ -gt 2 ] && [ -e $MESOS_SANDBOX/stdout ]".into());
    let status = world.run(world.containerizer().exec("c", inside, PATIENCE)).unwrap();
    assert_eq!(status, ExecStatus::Exited(0));
    world.run(world.containerizer().kill("c", PATIENCE)).unwrap();
    assert_eq!(world.wait("c"), Termination::Exited(5));
    for cgroup in world.cgroups("c") {
        assert_eq!(fs::read_to_string(cgroup.join("cgroup.procs")).unwrap(), "");
    }
    // One that does not catch the signal dies of it, as anywhere.
    let line = "echo ready; exec sleep 1000";
    let spec = ContainerSpec { share_pid_namespace: true, ..world.shell("d", line) };
    world.launch(spec).unwrap();
    world.await_output("d", "ready");
    world.run(world.containerizer().kill("d", PATIENCE)).unwrap();
    assert_eq!(world.wait("d"), Termination::Signaled(15));
}

#[test]
fn shared_memory_is_its_own_and_as_large_as_wanted() {
    let Some(world) = World::new() else { return };
    let line = "readlink /proc/self/ns/ipc; grep ' /dev/shm ' /proc/mounts";
    let spec = ContainerSpec { shm_bytes: Some(1 << 20), ..world.shell("c", line) };
    let output = world.finish(spec).1;
    let host = fs::read_link("/proc/self/ns/ipc").unwrap();
    assert_ne!(output.lines().next().unwrap(), host.to_str().unwrap());
    assert!(output.contains("size=1024k"), "{output}");
    assert!(output.contains("nosuid,nodev,noexec"), "{output}");
    let output = world.output("d", line);
    assert!(output.contains("size=65536k"), "{output}");
}

#[test]
fn shared_memory_is_the_agents_if_wanted() {
    let Some(world) = World::new() else { return };
    let name = format!("muster-test-{}", std::process::id());
    let file = PathBuf::from("/dev/shm").join(&name);
    fs::write(&file, "seen").unwrap();
    let line = format!("readlink /proc/self/ns/ipc; cat /dev/shm/{name}");
    let spec = ContainerSpec { ipc_mode: IpcMode::ShareParent, ..world.shell("c", &line) };
    let output = world.finish(spec);
    fs::remove_file(file).unwrap();
    let host = fs::read_link("/proc/self/ns/ipc").unwrap();
    assert_eq!(output, (Termination::Exited(0), format!("{}\nseen", host.display())));
}

#[test]
fn what_is_left_out_is_left_out() {
    let Some(mut world) = World::new() else { return };
    world.restart_with(|isolation| {
        isolation.names = "-namespaces/ipc,-namespaces/pid,-linux/nnp,-linux/capabilities".into();
    });
    let line = "readlink /proc/self/ns/ipc; readlink /proc/self/ns/pid
        grep -E 'NoNewPrivs|CapEff|CapBnd' /proc/self/status; ls -d /dev/shm; echo $MESOS_SANDBOX";
    let output = world.output("c", line);
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let ours = |field: &str| own.lines().find(|line| line.starts_with(field)).unwrap().to_owned();
    let ns = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
    let expected = [
        ns("ipc").display().to_string(),
        ns("pid").display().to_string(),
        ours("CapEff"),
        ours("CapBnd"),
        "NoNewPrivs:\t0".into(),
        "/dev/shm".into(),
        "/mnt/mesos/sandbox".into(),
    ];
    assert_eq!(output.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn process_counts_and_limits_nothing() {
    let Some(mut world) = World::new() else { return };
    world.restart_with(|isolation| isolation.names = "process".into());
    let image = world.launch(world.shell("c", "true")).unwrap_err().to_string();
    assert_eq!(image, "image: needs the isolator filesystem/linux; add it to --isolation");
    let line = "readlink /proc/self/ns/mnt; pwd; x=0; while [ $x -lt 20000 ]; do x=$((x+1)); done
        echo ready; exec sleep 1000";
    world.launch(ContainerSpec { image: None, ..world.shell("d", line) }).unwrap();
    world.await_output("d", "ready");
    let host = fs::read_link("/proc/self/ns/mnt").unwrap();
    let sandbox = world.sandbox("d");
    assert!(world.stdout("d").starts_with(&format!("{}\n{}\n", host.display(), sandbox.display())));
    let usage = world.containerizer().usage("d").unwrap();
    assert!(usage.mem_rss_bytes.unwrap() > 0 && usage.cpus_user_time_secs.is_some(), "{usage:?}");
    assert_eq!((usage.mem_limit_bytes, usage.cpus_limit), (None, None));
    assert_eq!(world.cgroups("d").len(), 1, "only where it can be killed");
    world.run(world.containerizer().kill("d", Duration::ZERO)).unwrap();
    world.run(world.containerizer().destroy("d")).unwrap();
    assert_eq!(world.remains("d"), NOTHING);
}

#[test]
fn a_container_keeps_its_isolators_whatever_the_flags_are_later() {
    let Some(mut world) = World::new() else { return };
    world.launch(world.shell("c", "echo ready; exec sleep 1000")).unwrap();
    world.await_output("c", "ready");
    let before = world.remains("c");
    world.restart_with(|isolation| isolation.names = "process".into());
    assert_eq!(world.run(world.containerizer().recover()).unwrap()[0].termination, None);
    let usage = world.containerizer().usage("c").unwrap();
    assert_eq!(usage.mem_limit_bytes, Some(64 << 20));
    assert_eq!(world.remains("c"), before);
    world.run(world.containerizer().destroy("c")).unwrap();
    assert_eq!(world.remains("c"), NOTHING);
}
