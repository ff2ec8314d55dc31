//! Files and directories that containers are given.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use muster_containerizer::{
    ContainerSpec, Propagation, SecretData, Termination, Volume, VolumeSource,
};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};

use super::image::{Image, busybox};
use super::world::World;

const NOTHING: [PathBuf; 0] = [];

fn host(path: &Path, container_path: &str) -> Volume {
    spreading(path, container_path, Propagation::Private)
}

fn spreading(path: &Path, container_path: &str, propagation: Propagation) -> Volume {
    Volume {
        container_path: container_path.into(),
        source: VolumeSource::HostPath { path: path.into(), propagation },
        read_only: false,
    }
}

fn sandbox(path: &str, container_path: &str) -> Volume {
    Volume {
        container_path: container_path.into(),
        source: VolumeSource::SandboxPath { path: path.into(), parent: false },
        read_only: false,
    }
}

/// A directory of the host.
fn directory(world: &World) -> PathBuf {
    let directory = world.work().join("data");
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// A filesystem whose mounts propagate.
struct Shared(PathBuf);

impl Shared {
    fn at(path: PathBuf) -> Self {
        mount("tmpfs", &path, "tmpfs", MountFlags::empty(), c"size=1m").unwrap();
        let shared = Self(path);
        mount_change(&shared.0, MountPropagationFlags::SHARED).unwrap();
        shared
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for path in [self.0.join("below"), self.0.clone()] {
            // The first one need not be there.
            let _ = unmount(path, UnmountFlags::DETACH);
        }
    }
}

#[test]
fn the_hosts_files_are_where_they_are_wanted() {
    let Some(world) = World::new() else { return };
    let data = directory(&world);
    fs::write(data.join("file"), "from the host\n").unwrap();
    let read_only = Volume { read_only: true, ..host(&data, "/made/here/ro") };
    let spec = ContainerSpec {
        volumes: vec![
            host(&data, "/data"),
            read_only,
            host(&data.join("file"), "/etc/one"),
            host(&data, "inside"),
        ],
        ..world.shell(
            "c",
            "cat /data/file /etc/one $MESOS_SANDBOX/inside/file; echo from inside > /data/new
             echo x 2>&1 > /made/here/ro/new || true; mknod /data/null c 1 3
             echo x 2>&1 > /data/null || true; grep -c ' /data .*nosuid,nodev' /proc/mounts",
        )
    };
    let (termination, output) = world.finish(spec);
    assert_eq!(termination, Termination::Exited(0));
    let mut lines = output.lines();
    assert_eq!(lines.by_ref().take(3).collect::<Vec<_>>(), ["from the host"; 3]);
    assert!(lines.next().unwrap().contains("Read-only file system"), "{output}");
    assert!(lines.next().unwrap().contains("Permission denied"), "{output}");
    assert_eq!(lines.next(), Some("1"));
    assert_eq!(fs::read_to_string(data.join("new")).unwrap(), "from inside\n");
    world.run(world.containerizer().destroy("c")).unwrap();
    assert!(data.join("file").exists(), "volumes are not the container's to remove");
}

#[test]
fn without_an_image_nothing_is_made_on_the_host() {
    let Some(world) = World::new() else { return };
    let data = directory(&world);
    fs::write(data.join("file"), "found\n").unwrap();
    let spec = |id: &str, volume| ContainerSpec {
        image: None,
        volumes: vec![volume],
        ..world.shell(id, "cat /srv/file data/file 2>/dev/null; true")
    };
    assert_eq!(world.finish(spec("c", host(&data, "/srv"))).1, "found\n");
    assert_eq!(world.finish(spec("d", host(&data, "data"))).1, "found\n");
    let error = world.launch(spec("e", host(&data, "/srv/made/by/muster"))).unwrap_err();
    assert!(error.to_string().contains("is not there, and there is no image"), "{error}");
    assert!(!Path::new("/srv/made").exists());
}

#[test]
fn a_part_of_the_sandbox_is_at_another_place_and_the_users() {
    let Some(world) = World::new() else { return };
    let spec = ContainerSpec {
        user: Some("web".into()),
        volumes: vec![sandbox("logs/app", "/var/log/app")],
        ..world.shell("c", "echo written > /var/log/app/file; cat $MESOS_SANDBOX/logs/app/file")
    };
    assert_eq!(world.finish(spec), (Termination::Exited(0), "written\n".into()));
    let made = fs::metadata(world.sandbox("c").join("logs/app")).unwrap();
    assert_eq!((made.uid(), made.gid()), (101, 102));
}

#[test]
fn links_lead_nowhere_else() {
    let Some(world) = World::new() else { return };
    let data = directory(&world);
    // In the sandbox, to what is the host's.
    let spec = world.shell("c", "true");
    symlink("/etc", spec.sandbox.join("evil")).unwrap();
    let volumes = vec![sandbox("evil", "/data")];
    let error = world.launch(ContainerSpec { volumes, ..spec }).unwrap_err().to_string();
    assert!(error.starts_with("open ") && error.contains("/evil: "), "{error}");
    // In the image, through the kernel's own links.
    let image = Image::new(&world.config.image_dir, "links");
    image.layer(busybox().symlink("out", "/proc/1/root")).tag("latest");
    let spec = ContainerSpec {
        image: Some("links".into()),
        share_pid_namespace: true,
        volumes: vec![host(&data, "/out/muster-test-of-links")],
        ..world.shell("d", "true")
    };
    let error = world.launch(spec).unwrap_err().to_string();
    assert!(error.starts_with("open /out/muster-test-of-links"), "{error}");
    assert!(!Path::new("/muster-test-of-links").exists());
    for id in ["c", "d"] {
        assert_eq!(world.remains(id), NOTHING);
    }
}

#[test]
fn mounts_of_the_host_come_in_if_wanted() {
    let Some(world) = World::new() else { return };
    let shared = Shared::at(directory(&world));
    fs::create_dir(shared.0.join("below")).unwrap();
    let line = "echo ready; while [ ! -e /data/go ]; do sleep 0.01; done; ls /data/below";
    for (id, propagation) in [("c", Propagation::HostToContainer), ("d", Propagation::Private)] {
        let volumes = vec![spreading(&shared.0, "/data", propagation)];
        world.launch(ContainerSpec { volumes, ..world.shell(id, line) }).unwrap();
        world.await_output(id, "ready");
    }
    let below = shared.0.join("below");
    mount("tmpfs", &below, "tmpfs", MountFlags::empty(), c"size=1m").unwrap();
    fs::write(below.join("seen"), "").unwrap();
    fs::write(shared.0.join("go"), "").unwrap();
    assert_eq!(
        (world.wait("c"), world.wait("d")),
        (Termination::Exited(0), Termination::Exited(0))
    );
    assert_eq!((world.stdout("c"), world.stdout("d")), ("ready\nseen\n".into(), "ready\n".into()));
}

#[test]
fn mounts_of_the_container_go_out_if_wanted() {
    let Some(mut world) = World::new() else { return };
    let docker_and_mount = "CHOWN,DAC_OVERRIDE,SYS_ADMIN".parse().unwrap();
    world.restart_with(|isolation| isolation.bounding_capabilities = docker_and_mount);
    let shared = Shared::at(directory(&world));
    fs::create_dir(shared.0.join("below")).unwrap();
    let line =
        "mount -t tmpfs tmpfs /data/below && echo x > /data/below/seen; echo ready; sleep 1000";
    let spec = |id: &str, propagation| ContainerSpec {
        effective_capabilities: Some(docker_and_mount),
        volumes: vec![spreading(&shared.0, "/data", propagation)],
        ..world.shell(id, line)
    };
    world.launch(spec("c", Propagation::HostToContainer)).unwrap();
    world.await_output("c", "ready");
    assert!(!shared.0.join("below/seen").exists());
    world.launch(spec("d", Propagation::Bidirectional)).unwrap();
    world.await_output("d", "ready");
    assert!(shared.0.join("below/seen").exists());
}

#[test]
fn mounts_that_cannot_propagate_are_refused() {
    let Some(world) = World::new() else { return };
    let data = directory(&world);
    mount("tmpfs", &data, "tmpfs", MountFlags::empty(), c"size=1m").unwrap();
    mount_change(&data, MountPropagationFlags::PRIVATE).unwrap();
    let volumes = vec![spreading(&data, "/data", Propagation::Bidirectional)];
    let launched = world.launch(ContainerSpec { volumes, ..world.shell("c", "true") });
    unmount(&data, UnmountFlags::DETACH).unwrap();
    let error = launched.unwrap_err().to_string();
    assert!(error.contains("run: mount --make-shared "), "{error}");
}

/// Whether any file below `directory` has `text` in it.
fn found_below(directory: &Path, text: &[u8]) -> bool {
    fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        if found.is_dir() {
            return found_below(&path, text);
        }
        let has = |bytes: Vec<u8>| bytes.windows(text.len()).any(|window| window == text);
        found.is_file() && fs::read(&path).is_ok_and(has)
    })
}

#[test]
fn secrets_are_in_memory_and_for_the_commands_user() {
    let Some(mut world) = World::new() else { return };
    let secret = |path: &str, text: &[u8]| Volume {
        container_path: path.into(),
        source: VolumeSource::Secret(SecretData::new(text.to_vec())),
        read_only: false,
    };
    let line = "md5sum /etc/token token | cut -d' ' -f1; stat -c '%a %u %s' /etc/token token
        grep ' /etc/token ' /proc/mounts | cut -d' ' -f3,4; (echo x > token) 2>/dev/null || echo no
        echo ready; exec sleep 1000";
    let spec = ContainerSpec {
        user: Some("1234:1234".into()),
        volumes: vec![
            secret("/etc/token", b"unlikely-to-be-elsewhere"),
            secret("token", b"\xff\0"),
        ],
        ..world.shell("c", line)
    };
    world.launch(spec).unwrap();
    world.await_output("c", "ready");
    let text = world.stdout("c");
    let expected = [
        // As md5sum has it on the host.
        "68d477653820fa4c38e19f491f98449a",
        "e0e8bfafbb0689563b2fba789c97b3cc",
        "400 1234 24",
        "400 1234 2",
    ];
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..4], expected);
    assert!(lines[4].starts_with("ramfs ro,nosuid,nodev,noexec"), "{text}");
    assert_eq!(lines[5], "no");
    // Neither the checkpoint nor the sandbox nor what the image became has it.
    let directory = world.directory.path().to_owned();
    assert!(!found_below(&directory, b"unlikely-to-be-elsewhere"));
    assert!(!found_below(&directory, b"dW5saWtlbHktdG8tYmUtZWxzZXdoZXJl"), "nor in base64");
    world.restart();
    world.run(world.containerizer().recover()).unwrap();
    let command = muster_containerizer::CommandSpec::Shell("grep -q unlikely /etc/token".into());
    let read = world.run(world.containerizer().exec("c", command, super::world::PATIENCE)).unwrap();
    assert_eq!(read, muster_containerizer::ExecStatus::Exited(0));
    world.run(world.containerizer().destroy("c")).unwrap();
    assert!(world.remains("c").is_empty());
}
