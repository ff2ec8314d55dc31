//! Programs as isolators: the example of docs/isolator-programs.md.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use muster_containerizer::{Cause, CommandSpec, ExecStatus, Termination};

use super::world::{PATIENCE, World};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/scratch.py");

/// Puts the example into a directory of isolators, with a place and a limit of its own.
fn install(world: &World, root: &Path) -> PathBuf {
    let text = fs::read_to_string(EXAMPLE).unwrap();
    let changed = text
        .replace("\"/var/lib/muster-scratch\"", &format!("{:?}", root.to_str().unwrap()))
        .replace("LIMIT = 64 << 20", "LIMIT = 1 << 20");
    assert!(!changed.contains("muster-scratch") && !changed.contains("64 <<"), "{changed}");
    let directory = world.config.image_dir.with_file_name("isolators");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("scratch");
    fs::write(&path, changed).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

#[test]
fn the_example_gives_containers_a_scratch_directory() {
    let Some(mut world) = World::new() else { return };
    let root = world.config.image_dir.with_file_name("scratches");
    let directory = install(&world, &root);
    world.restart_with(|isolation| {
        isolation.names = "cgroups,filesystem/linux,docker/runtime,external/scratch".into();
        isolation.isolator_dir = Some(directory);
        // Python takes its time on a loaded machine.
        isolation.isolator_timeout = PATIENCE;
    });
    let line = "echo hello > $SCRATCH/file; echo ready; exec sleep 1000";
    world.launch(world.shell("c", line)).unwrap();
    world.await_output("c", "ready");
    assert_eq!(fs::read_to_string(root.join("c/file")).unwrap(), "hello\n");
    let used = |world: &World| world.containerizer().usage("c").unwrap();
    assert_eq!(used(&world).disk_limit_bytes, Some(1 << 20));
    assert!(used(&world).disk_used_bytes.is_some_and(|used| used < 1 << 20));
    // A container that does not come to be leaves nothing.
    let mut failing = world.shell("d", "");
    failing.command = Some(CommandSpec::Argv(vec!["/nowhere".into()]));
    world.launch(failing).unwrap_err();
    assert!(!root.join("d").exists());
    // The next agent has it watched again, and what is nobody's removed.
    fs::create_dir(root.join("orphan")).unwrap();
    world.restart_with(|isolation| isolation.names = String::new());
    world.run(world.containerizer().recover()).unwrap();
    assert!(!root.join("orphan").exists() && root.join("c").exists());
    let command = CommandSpec::Shell("head -c 2000000 /dev/zero > $SCRATCH/much".into());
    let done = world.run(world.containerizer().exec("c", command, PATIENCE)).unwrap();
    assert!(matches!(done, ExecStatus::Exited(0) | ExecStatus::Signaled(9)), "{done:?}");
    let Termination::Limited(limitation) = world.wait("c") else { panic!("not killed") };
    assert_eq!(limitation.cause, Cause::Disk);
    assert!(limitation.message.starts_with("Scratch space ("), "{limitation}");
    assert_eq!(
        (limitation.resources[0].name.as_str(), limitation.resources[0].milli),
        ("disk", 1000)
    );
    world.run(world.containerizer().destroy("c")).unwrap();
    assert!(!root.join("c").exists() && world.remains("c").is_empty());
}
