//! GPUs of a tree that has the nodes of a driver, but no driver.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use muster_containerizer::{ContainerSpec, Resources};
use rustix::fs::{CWD, FileType, makedev, mknodat};

use super::image::{Image, busybox};
use super::world::{World, resources};

/// Nodes of the driver's numbers: to open one fails for want of the driver (ENXIO), unless it is
/// refused before that (EPERM).
fn tree(world: &World) -> PathBuf {
    let root = world.config.image_dir.with_file_name("driver");
    fs::create_dir_all(root.join("dev")).unwrap();
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::write(root.join("usr/bin/nvidia-smi"), "the driver's\n").unwrap();
    for (name, minor) in [("nvidia0", 0), ("nvidia1", 1), ("nvidiactl", 255)] {
        let (kind, mode) = (FileType::CharacterDevice, 0o666.into());
        mknodat(CWD, root.join("dev").join(name), kind, mode, makedev(195, minor)).unwrap();
    }
    root
}

#[test]
fn gpus_are_for_those_who_are_promised_some() {
    let Some(mut world) = World::new() else { return };
    let root = tree(&world);
    world.restart_with(|isolation| {
        isolation.names =
            "cgroups,cgroups/devices,filesystem/linux,docker/runtime,gpu/nvidia".into();
        isolation.nvidia_root = root;
    });
    assert_eq!(muster_containerizer::gpus(&world.config.isolation).unwrap(), Some(2));
    let label = serde_json::json!({"Labels": {"com.nvidia.volumes.needed": "nvidia_driver"}});
    Image::new(&world.config.image_dir, "cuda").layer(busybox()).config(label).tag("latest");
    // The last one is a node that it makes itself, of a GPU that is another's.
    let line = "ls /dev/ | grep nvidia; for node in /dev/nvidia0 /dev/nvidia1 /dev/nvidiactl; do
            head -c 1 $node 2>&1 | sed 's/.*: //'; done
        mknod /root-of-it c 195 0 2>/dev/null; head -c 1 /root-of-it 2>&1 | sed 's/.*: //'
        cat /usr/local/nvidia/bin/nvidia-smi; echo ready; exec sleep 1000";
    let launch = |world: &World, id: &str, image: &str, gpus| {
        let resources = Resources { gpus, ..resources(100, 64 << 20) };
        let image = Some(image.into());
        world.launch(ContainerSpec { resources, image, ..world.shell(id, line) })?;
        world.await_output(id, "ready");
        Ok::<_, muster_containerizer::Error>(world.stdout(id))
    };
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let first = launch(&world, "first", "cuda", 1).unwrap();
    let (missing, open) = ("No such file or directory", "No such device or address");
    let expected = ["nvidia0", "nvidiactl", open, missing, open];
    assert_eq!(lines(&first)[..5], expected);
    assert!(first.contains("the driver's"), "{first}");
    // Kept over a restart.
    world.restart();
    world.run(world.containerizer().recover()).unwrap();
    let second = launch(&world, "second", "busybox", 1).unwrap();
    let shown: BTreeSet<String> = lines(&second).into_iter().take(2).collect();
    assert_eq!(shown, ["nvidia1", "nvidiactl"].map(str::to_owned).into());
    assert!(!second.contains("the driver's"), "nobody asked for it");
    let error = launch(&world, "third", "busybox", 1).unwrap_err().to_string();
    assert!(error.ends_with("of the 2 of this machine 0 are free"), "{error}");
    let none = launch(&world, "none", "busybox", 0).unwrap();
    assert!(!none.contains("nvidia0") && !none.contains(open), "{none}");
    world.run(world.containerizer().destroy("first")).unwrap();
    assert_eq!(lines(&launch(&world, "third", "cuda", 1).unwrap())[0], "nvidia0");
    // One that does not come to be takes nothing with it.
    world.run(world.containerizer().destroy("second")).unwrap();
    let resources = Resources { gpus: 1, ..resources(100, 64 << 20) };
    let command = Some(muster_containerizer::CommandSpec::Argv(vec!["/nowhere".into()]));
    let spec = ContainerSpec { resources, command, ..world.shell("fourth", "") };
    world.launch(spec).unwrap_err();
    launch(&world, "fifth", "busybox", 1).unwrap();
}
