//! What containers may take of a disk.

use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use muster_containerizer::{
    Cause, ContainerSpec, DeviceNumber, ImageBackend as Backend, Resources, Termination,
};

use rustix::io::Errno;

use super::world::{World, resources};

const MB: u64 = 1 << 20;

/// A filesystem on a device of its own.
pub(crate) struct Loop {
    device: PathBuf,
    pub(crate) at: PathBuf,
}

impl Loop {
    /// A new one of `size` bytes, of the `kind` that mkfs knows.
    pub(crate) fn new(world: &World, kind: &str, size: u64) -> Self {
        Self::with(world, kind, size, &[], c"").unwrap()
    }

    /// The same with project quotas; `None` if the kernel has none for it.
    pub(crate) fn with_projects(world: &World, kind: &str, size: u64) -> Option<Self> {
        let make: &[_] = match kind {
            "ext4" => &["-O", "project,quota", "-E", "quotatype=prjquota"],
            _ => &[],
        };
        match Self::with(world, kind, size, make, c"prjquota") {
            Err(Errno::INVAL) => {
                eprintln!("skipped: this kernel has no quotas of {kind}");
                None
            }
            disk => Some(disk.unwrap()),
        }
    }

    /// Made and mounted with options; the kernel's error if it does not know them.
    fn with(
        world: &World,
        kind: &str,
        size: u64,
        make: &[&str],
        options: &CStr,
    ) -> Result<Self, Errno> {
        let (image, at) = (world.work().join("disk"), world.work().join("mounted"));
        fs::create_dir_all(&at).unwrap();
        let disk = fs::File::create(&image).unwrap();
        disk.set_len(size).unwrap();
        let output = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().unwrap();
            assert!(output.status.success(), "{program}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        output(&format!("mkfs.{kind}"), &[&["-q"], make, &[image.to_str().unwrap()]].concat());
        let device = output("losetup", &["--find", "--show", image.to_str().unwrap()]);
        let device = PathBuf::from(device.trim());
        let mounted = Self { device, at };
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount(&mounted.device, &mounted.at, kind, flags, options)?;
        Ok(mounted)
    }

    pub(crate) fn number(&self) -> DeviceNumber {
        let number = fs::metadata(&self.device).unwrap().rdev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        DeviceNumber { major, minor }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // As far as it got.
        let _ = rustix::mount::unmount(&self.at, rustix::mount::UnmountFlags::DETACH);
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
    }
}

/// With this promised.
fn promised(disk_bytes: u64) -> Resources {
    Resources { disk_bytes: Some(disk_bytes), ..resources(500, 64 << 20) }
}

/// A world that looks at disks often.
fn world(enforce: bool) -> Option<World> {
    let mut world = World::new()?;
    world.restart_with(|isolation| {
        isolation.names = "cgroups,filesystem/linux,docker/runtime,disk/du".into();
        isolation.enforce_disk_quota = enforce;
        isolation.disk_watch_interval = Duration::from_millis(50);
    });
    Some(world)
}

fn write(path: &str, megabytes: u64) -> String {
    format!("dd if=/dev/zero of={path} bs=1M count={megabytes} 2>&1 && echo written")
}

#[test]
fn who_fills_the_disk_is_killed_if_that_is_enforced() {
    let Some(mut world) = world(true) else { return };
    // In the sandbox, and in the image's own files: both count.
    for (id, path, backend) in [
        ("c", "/mnt/mesos/sandbox/file", Backend::Overlay),
        ("d", "/var/file", Backend::Overlay),
        ("e", "/var/file", Backend::Copy),
    ] {
        world.restart_with(|isolation| isolation.image_backends = backend.into());
        let line = format!("mkdir -p /var; {}; exec sleep 1000", write(path, 8));
        let spec = ContainerSpec { resources: promised(4 * MB), ..world.shell(id, &line) };
        world.launch(spec).unwrap();
        let Termination::Limited(limitation) = world.wait(id) else { panic!("not killed") };
        assert_eq!(limitation.cause, Cause::Disk);
        let message = &limitation.message;
        assert!(message.starts_with("Disk usage (") && message.ends_with("exceeds quota (4MB)"));
        assert_eq!(limitation.resources[0].milli, 4000);
        world.run(world.containerizer().destroy(id)).unwrap();
        assert!(world.remains(id).is_empty());
    }
}

#[test]
fn otherwise_it_is_counted_also_after_a_restart() {
    let Some(mut world) = world(false) else { return };
    let line = format!("{}; exec sleep 1000", write("file", 8));
    let spec = ContainerSpec { resources: promised(4 * MB), ..world.shell("c", &line) };
    world.launch(spec).unwrap();
    world.await_output("c", "written");
    let usage = |world: &World| world.containerizer().usage("c").unwrap();
    let counted = |world: &World| {
        world.await_that("what was written is counted", || {
            usage(world).disk_used_bytes.is_some_and(|used| (8 * MB..9 * MB).contains(&used))
        });
    };
    counted(&world);
    assert_eq!(usage(&world).disk_limit_bytes, Some(4 * MB));
    world.run(world.containerizer().update("c", promised(16 * MB))).unwrap();
    world.restart();
    world.run(world.containerizer().recover()).unwrap();
    counted(&world);
    assert_eq!(usage(&world).disk_limit_bytes, Some(16 * MB));
}

/// A btrfs that counts subvolumes.
pub(crate) fn btrfs(world: &World) -> Loop {
    let disk = Loop::new(world, "btrfs", 160 << 20);
    btrfs_program(&["quota", "enable"], &disk.at);
    disk
}

fn btrfs_program(arguments: &[&str], at: &Path) -> String {
    let output = Command::new("btrfs").args(arguments).arg(at).output().unwrap();
    assert!(output.status.success(), "btrfs {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn on(disk: &Loop, id: &str, spec: ContainerSpec) -> ContainerSpec {
    let sandbox = disk.at.join(id);
    fs::create_dir(&sandbox).unwrap();
    ContainerSpec { sandbox, resources: promised(8 * MB), ..spec }
}

#[test]
fn btrfs_refuses_what_is_too_much() {
    let Some(mut world) = world(true) else { return };
    let disk = btrfs(&world);
    let outside = write("/var/file", 4);
    // What it prints is in its sandbox too, so that it has to make room for that.
    let line = format!(
        "mkdir -p /var; {}; {outside}; why=$(dd if=/dev/zero of=more bs=1M count=16 2>&1) || true
         rm more; until sync && echo \"$why\" && echo refused; do sleep 0.1; done 2>/dev/null
         exec sleep 1000",
        write("file", 1),
    );
    world.launch(on(&disk, "c", world.shell("c", &line))).unwrap();
    let sandbox = disk.at.join("c");
    let text = || fs::read_to_string(sandbox.join("stdout")).unwrap_or_default();
    world.await_that("it goes on", || text().contains("refused"));
    let text = text();
    assert_eq!(text.matches("written").count(), 2, "{text}");
    assert!(text.contains("Disk quota exceeded"), "{text}");
    world.restart();
    world.run(world.containerizer().recover()).unwrap();
    let usage = world.containerizer().usage("c").unwrap();
    assert_eq!(usage.disk_limit_bytes, Some(8 * MB));
    assert!(usage.disk_used_bytes.is_some_and(|used| used <= 8 * MB), "{usage:?}");
    // With more promised it can go on.
    world.run(world.containerizer().update("c", promised(64 * MB))).unwrap();
    let command = format!("cd $MESOS_SANDBOX && {} && sync", write("again", 16));
    let command = muster_containerizer::CommandSpec::Shell(command);
    let done = world.run(world.containerizer().exec("c", command, super::world::PATIENCE)).unwrap();
    assert_eq!(done, muster_containerizer::ExecStatus::Exited(0));
    let used = world.containerizer().usage("c").unwrap().disk_used_bytes.unwrap();
    assert!(used > 16 * MB, "{used}");
    world.run(world.containerizer().destroy("c")).unwrap();
    assert!(sandbox.join("file").exists() && !disk.at.join(".c.rootfs").exists());
    assert_eq!(fs::metadata(&sandbox).unwrap().ino(), 256, "a subvolume");
    let groups = btrfs_program(&["qgroup", "show"], &disk.at);
    assert!(!groups.lines().any(|line| line.starts_with("1/")), "{groups}");
    // As the agent removes old sandboxes.
    fs::remove_dir_all(&sandbox).unwrap();
}

#[test]
fn on_btrfs_what_is_in_the_sandbox_already_comes_along() {
    let Some(world) = world(true) else { return };
    let disk = btrfs(&world);
    // What it prints is in its sandbox too, so that it has to make room for that.
    let line = "cat fetched; rm fetched; why=$(dd if=/dev/zero of=file bs=1M count=16 2>&1) || true
        rm file; until sync && echo \"$why\"; do sleep 0.1; done 2>/dev/null; exec sleep 1000";
    let spec = on(&disk, "c", world.shell("c", line));
    let fetched = spec.sandbox.join("fetched");
    fs::write(&fetched, "kept").unwrap();
    std::os::unix::fs::chown(&fetched, Some(7), Some(8)).unwrap();
    fs::hard_link(&fetched, spec.sandbox.join("again")).unwrap();
    fs::create_dir(spec.sandbox.join("directory")).unwrap();
    world.launch(spec).unwrap();
    let text = || fs::read_to_string(disk.at.join("c/stdout")).unwrap_or_default();
    world.await_that("it is refused", || text().contains("Disk quota exceeded"));
    assert!(text().starts_with("kept"), "{}", text());
    let again = fs::metadata(disk.at.join("c/again")).unwrap();
    assert_eq!((again.uid(), again.gid(), again.nlink()), (7, 8, 1), "there were two links");
    assert!(disk.at.join("c/directory").is_dir());
    assert_eq!(fs::metadata(disk.at.join("c")).unwrap().ino(), 256, "a subvolume");
    world.run(world.containerizer().destroy("c")).unwrap();
    assert!(disk.at.join("c/again").exists() && !disk.at.join(".c.rootfs").exists());
    let groups = btrfs_program(&["qgroup", "show"], &disk.at);
    assert!(!groups.lines().any(|line| line.starts_with("1/")), "{groups}");
}
