//! Files and devices of the host.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use libc::{EACCES, ENOENT, ENOTTY, ENXIO, EPERM, EROFS};
use muster_containerizer::{CommandSpec, ContainerSpec};
use serde_json::json;

use super::super::image::{Image, Layer, busybox};
use super::super::world::{PATIENCE, World};
use super::{assert_only_open, errors, image, trying, world};

/// A file of the host, where the agent keeps what it must not lose.
fn marker(world: &World) -> PathBuf {
    let path = world.config.runtime_dir.join("marker");
    fs::write(&path, "the host's\n").unwrap();
    path
}

#[test]
fn the_kernels_files_are_not_written() {
    let Some(world) = world() else { return };
    let attempts = [
        ("write /proc/sys/kernel/core_pattern", EROFS),
        ("write /proc/sys/kernel/modprobe", EROFS),
        ("write /proc/sys/vm/drop_caches", EROFS),
        ("write /proc/sysrq-trigger", EROFS),
        ("write /proc/irq/default_smp_affinity", EROFS),
        ("write /sys/kernel/uevent_helper", EROFS),
        ("write /sys/kernel/mm/transparent_hugepage/enabled", EROFS),
        ("write /sys/fs/cgroup/release_agent", EROFS),
        ("write /sys/fs/cgroup/cgroup.procs", EROFS),
        ("write /sys/fs/cgroup/unified/cgroup.procs", EROFS),
        ("write /sys/fs/cgroup/memory/release_agent", EROFS),
        ("read /proc/kmsg", EPERM),
    ];
    let names = attempts.map(|(name, _)| name);
    let found = errors(&world, trying(&world, "c", &names), &names);
    for (name, errno) in attempts {
        // Not every kernel has every one; and nothing of cgroups is there at all.
        let there = name.split(' ').nth(1).filter(|path| fs::exists(path).unwrap());
        let absent = there.is_none() || name.contains("cgroup");
        assert!(found[name] == errno || absent && found[name] == ENOENT, "{name}: {}", found[name]);
    }
    // Hidden, not refused: nothing is to be read.
    let line = "head -c 100 /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | grep -v '^==>'
        ls /sys/firmware /proc/acpi 2>/dev/null | grep -v ':$'; true";
    assert_eq!(world.output("d", line).trim(), "");
}

#[test]
fn devices_are_not_opened_by_whatever_node() {
    let Some(mut world) = world() else { return };
    let mut devices: Vec<String> =
        ["1 1", "1 2", "1 4", "1 11", "4 0", "10 229", "10 237", "10 200"]
            .map(|number| format!("device c {number}"))
            .into();
    let partitions = fs::read_to_string("/proc/partitions").unwrap();
    for line in partitions.lines().skip(2) {
        let [major, minor, ..] = line.split_whitespace().collect::<Vec<_>>()[..] else { continue };
        devices.push(format!("device b {major} {minor}"));
    }
    assert!(devices.len() > 8, "{partitions}");
    let attempts: Vec<&str> = devices.iter().map(String::as_str).collect();
    let found = errors(&world, trying(&world, "c", &attempts), &attempts);
    assert!(found.values().all(|errno| *errno == EACCES), "{found:?}");
    let disks = world.output("d", "ls /dev");
    let expected = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    let unexpected = disks.lines().find(|name| !expected.split(' ').any(|known| known == *name));
    assert_eq!(unexpected, None, "{disks}");
    // The same with everything allowed but the mount: that is what holds them.
    world.restart_with(|isolation| isolation.names = super::OPEN.into());
    let found = errors(&world, trying(&world, "e", &attempts), &attempts);
    assert!(found.values().all(|errno| *errno == EACCES), "{found:?}");
    // On the host such a node opens.
    let node = world.directory.path().join("node");
    let number = rustix::fs::makedev(1, 11);
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, &node, kind, 0o600.into(), number).unwrap();
    fs::File::open(&node).unwrap();
}

#[test]
fn nothing_of_the_host_is_within_reach() {
    let Some(world) = world() else { return };
    let marker = marker(&world);
    let path = marker.display();
    let read = format!("read {path}");
    let (chroot, proc) = (format!("chroot-and-out {path}"), format!("through-proc {path}"));
    let attempts = [read.as_str(), chroot.as_str(), proc.as_str()];
    let found = errors(&world, trying(&world, "c", &attempts), &attempts);
    assert!(found.values().all(|errno| *errno == ENOENT), "{found:?}");
    // On the host's own files, that is what they find.
    let program = super::example("escape");
    let lines = attempts.map(|attempt| format!("{} {attempt}", program.display())).join("\n");
    let spec = ContainerSpec { image: None, ..world.shell("d", &lines) };
    let output = world.finish(spec).1;
    assert_eq!(output.matches(" 0 ").count(), 3, "{output}");
}

#[test]
fn nothing_of_the_host_is_opened_by_its_handle() {
    let Some(mut world) = world() else { return };
    assert_only_open(&mut world, &[("handle /mnt/mesos/sandbox", EPERM)]);
}

#[test]
fn only_its_own_streams_are_open() {
    let Some(world) = world() else { return };
    let spec = |id: &str| trying(&world, id, &["descriptors"]);
    assert_eq!(world.finish(spec("c")).1, "descriptors 0 0,1,2\n");
    // The same for a command that joins it.
    world
        .launch(ContainerSpec {
            image: Some("escape".into()),
            ..world.shell("d", "exec sleep 1000")
        })
        .unwrap();
    let line = "[ \"$(/escape descriptors)\" = 'descriptors 0 0,1,2' ]";
    let status =
        world.run(world.containerizer().exec("d", CommandSpec::Shell(line.into()), PATIENCE));
    assert_eq!(status.unwrap(), muster_containerizer::ExecStatus::Exited(0));
}

#[test]
fn there_is_no_terminal_to_type_into() {
    let Some(world) = world() else { return };
    let attempts = ["terminal", "type-into-terminal"];
    let found = errors(&world, trying(&world, "c", &attempts), &attempts);
    assert_eq!((found["terminal"], found["type-into-terminal"]), (ENXIO, ENOTTY));
}

/// As in CVE-2024-21626: the working directory or the program of an image is beyond one of the
/// descriptors that the helper has open on the host.
#[test]
fn no_path_of_an_image_leads_out_by_a_descriptor() {
    let Some(world) = world() else { return };
    let marker = marker(&world);
    let up = "../".repeat(32);
    let line = format!("cat {up}{}; ls -d {up}cgroup.procs ./cgroup.procs; pwd", marker.display());
    let program = super::example("escape");
    let layers = Image::new(&world.config.image_dir, "out").layer(busybox());
    for number in 3..24 {
        let directory = format!("/proc/self/fd/{number}");
        let beyond = format!("{directory}/{up}{}", program.display());
        let inside = json!({"WorkingDir": directory, "Cmd": ["/bin/sh", "-c", line]});
        let begun = json!({"Entrypoint": [beyond], "Cmd": ["descriptors"]});
        for (kind, config) in [("directory", inside), ("program", begun)] {
            layers.clone().config(config).tag("latest");
            let id = format!("{kind}{number}");
            let spec =
                ContainerSpec { image: Some("out".into()), command: None, ..world.shell(&id, "") };
            match world.launch(spec) {
                Err(error) => assert!(error.to_string().contains(&directory), "{error}"),
                Ok(_) => panic!("{:?} {}", world.wait(&id), world.stdout(&id)),
            }
        }
    }
    // A link of the image's own is followed, in the image.
    let layer = Layer::new().directory("srv/", 0o755).symlink("here", "srv");
    let config = json!({"WorkingDir": "/here/made", "Cmd": ["/bin/sh", "-c", "pwd -P"]});
    Image::new(&world.config.image_dir, "link")
        .layer(busybox())
        .layer(layer)
        .config(config)
        .tag("latest");
    let spec = ContainerSpec { image: Some("link".into()), command: None, ..world.shell("c", "") };
    assert_eq!(world.finish(spec).1, "/srv/made\n");
}

#[test]
fn set_user_id_programs_are_only_programs() {
    let Some(mut world) = world() else { return };
    let program = fs::read(super::example("escape")).unwrap();
    image(&world, "suid", Layer::new().file("raise", 0o4755, program));
    let spec = |world: &World, id: &str| ContainerSpec {
        image: Some("suid".into()),
        user: Some("web".into()),
        ..world.shell(id, "stat -c %a /raise; /raise user")
    };
    assert_eq!(world.finish(spec(&world, "c")).1, "4755\nuser 0 101\n");
    world.restart_with(|isolation| isolation.names = super::OPEN.into());
    assert_eq!(world.finish(spec(&world, "d")).1, "4755\nuser 0 0\n");
    // What a container leaves in its sandbox is not one inside either.
    let line = "busybox cp /escape $MESOS_SANDBOX/raise && busybox chmod 4755 $MESOS_SANDBOX/raise
        busybox su web -c '/mnt/mesos/sandbox/raise user'";
    let spec = ContainerSpec { image: Some("suid".into()), ..world.shell("e", line) };
    assert_eq!(world.finish(spec).1, "user 0 101\n");
    assert_eq!(fs::metadata(world.sandbox("e").join("raise")).unwrap().mode() & 0o7777, 0o4755);
}
