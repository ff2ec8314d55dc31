//! Processes and memory of the host.

use libc::{ENOENT, ESRCH};
use muster_containerizer::{ContainerSpec, IpcMode, Termination};

use super::super::world::World;
use super::{errors, trying, world};

#[test]
fn processes_of_the_host_are_not_there() {
    let Some(world) = world() else { return };
    // Our own, and that of a container's helper, which is its parent.
    let other = world.launch(world.shell("other", "exec sleep 1000")).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", other.pid)).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim();
    let helper = std::fs::read_to_string(format!("/proc/{parent}/comm")).unwrap();
    assert_eq!(helper, "muster-launch\n");
    let own = std::process::id().to_string();
    let attempts: Vec<String> = ["trace", "read-memory", "signal", "open-process"]
        .iter()
        .flat_map(|name| [&own, parent].map(|pid| format!("{name} {pid}")))
        .collect();
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    let found = errors(&world, trying(&world, "c", &attempts), &attempts);
    assert!(found.values().all(|errno| *errno == ESRCH), "{found:?}");
    // Where processes are shared by request, they are there.
    let signal = format!("signal {own}");
    let spec = ContainerSpec { share_pid_namespace: true, ..trying(&world, "d", &[&signal]) };
    assert_eq!(errors(&world, spec, &[&signal])[&signal], 0);
}

#[test]
fn whom_it_kills_is_its_own() {
    let Some(world) = world() else { return };
    world.launch(world.shell("other", "exec sleep 1000")).unwrap();
    let line = "sleep 1000 & kill -9 -1; echo alive; exec sleep 0";
    let (termination, output) = world.finish(world.shell("c", line));
    assert_eq!((termination, output.as_str()), (Termination::Exited(0), "alive\n"));
    world.await_that("the other one still runs", || {
        world.cgroups("other").iter().any(|group| {
            std::fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|pids| !pids.is_empty())
        })
    });
}

/// A segment and a queue of System V, of the host.
struct HostIpc {
    key: i32,
    segment: i32,
    queue: i32,
}

impl HostIpc {
    fn new() -> Self {
        let key = i32::try_from(std::process::id()).unwrap() + 0x4d00_0000;
        // SAFETY: takes numbers; nothing is attached.
        let (segment, queue) = unsafe {
            (
                libc::shmget(key, 4096, libc::IPC_CREAT | 0o600),
                libc::msgget(key, libc::IPC_CREAT | 0o600),
            )
        };
        assert!(segment >= 0 && queue >= 0, "{}", std::io::Error::last_os_error());
        Self { key, segment, queue }
    }
}

impl Drop for HostIpc {
    fn drop(&mut self) {
        // SAFETY: removes what this made, by number.
        unsafe {
            libc::shmctl(self.segment, libc::IPC_RMID, std::ptr::null_mut());
            libc::msgctl(self.queue, libc::IPC_RMID, std::ptr::null_mut());
        }
    }
}

#[test]
fn memory_and_queues_of_others_are_not_there() {
    let Some(world) = world() else { return };
    let ipc = HostIpc::new();
    let attempts = [format!("shared-memory {}", ipc.key), format!("message-queue {}", ipc.key)];
    let attempts = attempts.each_ref().map(String::as_str);
    let found = errors(&world, trying(&world, "c", &attempts), &attempts);
    assert!(found.values().all(|errno| *errno == ENOENT), "{found:?}");
    let spec = ContainerSpec { ipc_mode: IpcMode::ShareParent, ..trying(&world, "d", &attempts) };
    assert!(errors(&world, spec, &attempts).values().all(|errno| *errno == 0));
    shared_directory_is_apart(&world);
}

fn shared_directory_is_apart(world: &World) {
    world
        .launch(world.shell("one", "echo x > /dev/shm/secret; echo ready; exec sleep 1000"))
        .unwrap();
    world.await_output("one", "ready");
    assert_eq!(
        world.output("two", "ls /dev/shm /dev/mqueue 2>/dev/null | grep -v ':$'; true").trim(),
        ""
    );
    assert!(!std::path::Path::new("/dev/shm/secret").exists());
}
