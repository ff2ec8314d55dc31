//! Filling the disk that all containers have in common, on filesystems of each kind.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use muster_containerizer::{Cause, ContainerSpec, Termination};

use super::super::disks::{Loop, btrfs, on};
use super::super::world::World;
use super::{trying, world};

const MB: u64 = 1 << 20;
/// What a container may take, as `on` promises it.
const MAY: u64 = 8 * MB;
/// What it tries to take, in megabytes, and in thousands of files.
const MUCH: u64 = 48;

/// Sandboxes are counted often, and limits enforced.
fn enforcing() -> Option<World> {
    let mut world = world()?;
    world.restart_with(|isolation| {
        isolation.names = "cgroups,filesystem/linux,docker/runtime,disk/du".into();
        isolation.enforce_disk_quota = true;
        isolation.disk_watch_interval = Duration::from_millis(20);
    });
    Some(world)
}

fn attempt(world: &World, disk: &Loop, id: &str, attempt: &str) -> ContainerSpec {
    on(disk, id, trying(world, id, &[attempt]))
}

/// Bytes and files that are free.
fn free(disk: &Loop) -> (u64, u64) {
    let found = rustix::fs::statvfs(&disk.at).unwrap();
    (found.f_bfree * found.f_frsize, found.f_ffree)
}

/// On a filesystem without quotas of its own: whoever takes too much is killed, in whatever way
/// that is taken, and nothing of it is left when its sandbox goes.
fn killed(kind: &str, size: u64) {
    let Some(world) = enforcing() else { return };
    let disk = Loop::new(&world, kind, size);
    let before = free(&disk);
    let (sandbox, root) = ("/mnt/mesos/sandbox", "/");
    for (number, (how, place)) in [
        ("fill", sandbox),
        ("fill", root),
        ("fill-without-a-name", sandbox),
        ("fill-without-a-name", root),
        ("fill-by-mapping", sandbox),
        ("fill-by-fallocate", sandbox),
        ("fill-with-files", sandbox),
        ("fill-with-files", root),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("c{number}");
        let line = format!("{how} {place} {MUCH}");
        world.launch(attempt(&world, &disk, &id, &line)).unwrap();
        let termination = world.wait(&id);
        let Termination::Limited(limitation) = termination else {
            panic!("{kind}: {line}: {termination:?}");
        };
        assert_eq!(limitation.cause, Cause::Disk, "{kind}: {line}");
        let (files, message) = (how == "fill-with-files", &limitation.message);
        assert!(message.ends_with(if files { "(16384 files)" } else { "(8MB)" }), "{message}");
        world.run(world.containerizer().destroy(&id)).unwrap();
        fs::remove_dir_all(disk.at.join(&id)).unwrap();
        world.await_that("what it took is free again", || {
            rustix::fs::sync();
            let now = free(&disk);
            now.0 + 2 * MB >= before.0 && now.1 + 100 >= before.1
        });
    }
    // Holes take nothing, so that there is nothing to be killed for.
    world
        .launch(attempt(&world, &disk, "holes", &format!("fill-with-holes {sandbox} 4000")))
        .unwrap();
    let text = || fs::read_to_string(disk.at.join("holes/stdout")).unwrap_or_default();
    world.await_that("it goes on", || text().contains("is held"));
    world.await_that("it is counted", || {
        let used = world.containerizer().usage("holes").unwrap().disk_used_bytes;
        used.is_some_and(|used| used < MAY)
    });
    world.run(world.containerizer().destroy("holes")).unwrap();
}

#[test]
fn filling_ext4_ends_with_the_container() {
    killed("ext4", 256 * MB);
}

#[test]
fn filling_xfs_ends_with_the_container() {
    killed("xfs", 400 * MB);
}

#[test]
fn filling_btrfs_ends_at_the_limit() {
    let Some(world) = enforcing() else { return };
    refused(&world, &btrfs(&world));
}

#[test]
fn filling_xfs_with_project_quotas_ends_at_the_limit() {
    projects("xfs");
}

#[test]
fn filling_ext4_with_project_quotas_ends_at_the_limit() {
    projects("ext4");
}

/// With project quotas: nothing leads out of them.
fn projects(kind: &str) {
    let Some(mut world) = enforcing() else { return };
    let Some(disk) = Loop::with_projects(&world, kind, 400 * MB) else { return };
    refused(&world, &disk);
    let attempts = ["leave-project", "leave-project-by-flags", "leave-project-by-call"];
    let attempts: Vec<String> =
        attempts.iter().map(|how| format!("{how} /mnt/mesos/sandbox")).collect();
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    let told = |world: &World, id: &str| {
        let spec = on(&disk, id, trying(world, id, &attempts));
        world.launch(spec).unwrap();
        assert_eq!(world.wait(id), Termination::Exited(0));
        let text = fs::read_to_string(disk.at.join(id).join("stdout")).unwrap();
        world.run(world.containerizer().destroy(id)).unwrap();
        fs::remove_dir_all(disk.at.join(id)).unwrap();
        let errno = |line: &str| line.split(' ').nth(1).unwrap().parse::<i32>().unwrap();
        text.lines().map(errno).collect::<Vec<_>>()
    };
    // Nor where no profile filters what is called.
    for names in ["", ",-linux/seccomp"] {
        world.restart_with(|isolation| {
            let disk = "cgroups,filesystem/linux,docker/runtime,disk/du";
            isolation.names = format!("{disk}{names}");
        });
        let id = format!("closed{}", names.len());
        assert_eq!(told(&world, &id), [libc::EPERM; 3], "{kind}{names}");
    }
    // Without a limit there is nothing to get out of.
    world.restart_with(|isolation| isolation.enforce_disk_quota = false);
    assert_eq!(told(&world, "open")[..1], [0], "{kind}: it would fail anywhere");
}

/// On a filesystem that limits by itself: whoever takes too much is refused more, and goes on.
fn refused(world: &World, disk: &Loop) {
    let sandbox = "/mnt/mesos/sandbox";
    for (number, (how, place)) in [
        ("fill", sandbox),
        ("fill", "/"),
        ("fill-without-a-name", "/"),
        ("fill-by-fallocate", sandbox),
        ("fill-with-files", sandbox),
    ]
    .into_iter()
    .enumerate()
    {
        let before = free(disk);
        let id = format!("c{number}");
        let line = format!("{how} {place} {MUCH}; exec sleep 1000");
        world.launch(attempt(world, disk, &id, &line)).unwrap();
        // What it prints is in its sandbox too, for which there may be no room any more.
        let group = world.cgroups(&id);
        world.await_that("it has been refused", || {
            let pids = group.iter().map(|group| fs::read_to_string(group.join("cgroup.procs")));
            let pids: Vec<String> = pids.map(Result::unwrap_or_default).collect();
            let names = pids.iter().flat_map(|pids| pids.lines());
            let names = names.map(|pid| fs::read_to_string(format!("/proc/{pid}/comm")));
            names.flatten().any(|name| name.trim() == "sleep")
        });
        rustix::fs::sync();
        let used = world.containerizer().usage(&id).unwrap().disk_used_bytes.unwrap();
        assert!(used <= MAY, "{line}: {used}");
        // What describes files is there twice in btrfs, and more of it than is theirs.
        assert!(free(disk).0 + 2 * MAY + 8 * MB >= before.0, "{line}");
        world.run(world.containerizer().destroy(&id)).unwrap();
        fs::remove_dir_all(disk.at.join(&id)).unwrap();
    }
}

#[test]
fn a_nested_container_fills_the_disk_for_the_one_around_it() {
    let Some(world) = enforcing() else { return };
    for kind in ["ext4", "btrfs"] {
        let directory = world.work().join(kind);
        fs::create_dir_all(&directory).unwrap();
        let disk = if kind == "btrfs" { btrfs(&world) } else { Loop::new(&world, kind, 256 * MB) };
        let spec = on(&disk, kind, world.shell(kind, "exec sleep 1000"));
        world.launch(spec).unwrap();
        // Into its own root filesystem, which is beside the sandbox of the one around it.
        let spec = trying(&world, "inner", &[&format!("fill / {MUCH}")]);
        let (parent, sandbox) = (Some(kind.into()), PathBuf::new());
        world.launch(ContainerSpec { parent, sandbox, ..spec }).unwrap();
        if kind == "btrfs" {
            let ended = world.wait(&format!("{kind}/inner"));
            // It is refused, and there may be no room to say so.
            assert!(matches!(ended, Termination::Exited(_)), "{ended:?}");
            rustix::fs::sync();
            let used = world.containerizer().usage(kind).unwrap().disk_used_bytes.unwrap();
            assert!((MAY / 2..=MAY).contains(&used), "{used}");
        } else {
            let ended = world.wait(kind);
            assert!(matches!(ended, Termination::Limited(_)), "{ended:?}");
        }
        world.run(world.containerizer().destroy(kind)).unwrap();
        let left = fs::read_dir(&disk.at).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with('.')).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
