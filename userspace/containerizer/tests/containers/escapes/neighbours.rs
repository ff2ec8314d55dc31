//! Links that change while somebody else looks.

use std::fs;

use muster_containerizer::{ContainerSpec, Volume, VolumeSource};

use super::super::world::World;
use super::world;

const ROUNDS: usize = 40;

/// A container in the sandbox of the next one, that makes `name` there a directory and a link to
/// `target` in turn.
fn swapper(world: &World, name: &str, target: &str) {
    let line =
        format!("cd $MESOS_SANDBOX && exec /escape swap-links $MESOS_SANDBOX/stop {name} {target}");
    let spec = ContainerSpec { image: Some("escape".into()), ..world.shell("swapper", &line) };
    world.launch(spec).unwrap();
    world.await_output("swapper", "swapping");
}

fn stop(world: &World) {
    fs::write(world.sandbox("swapper").join("stop"), "").unwrap();
    world.wait("swapper");
}

#[test]
fn a_volume_of_a_sandbox_is_of_that_sandbox_whatever_links_are_there() {
    let Some(world) = world() else { return };
    let host = world.work().join("host");
    fs::create_dir_all(&host).unwrap();
    fs::write(host.join("marker"), "the host's\n").unwrap();
    swapper(&world, "data", host.to_str().unwrap());
    let mut outcomes = [0, 0];
    for round in 0..ROUNDS {
        let id = format!("c{round}");
        let volume = Volume {
            container_path: "/data".into(),
            source: VolumeSource::SandboxPath { path: "data".into(), parent: false },
            read_only: false,
        };
        // Of the same sandbox, as a pod's tasks are.
        let sandbox = world.sandbox("swapper");
        let line = "ls -A /data | busybox sed 's/^/found: /' >> /mnt/mesos/sandbox/found; true";
        let spec = ContainerSpec { volumes: vec![volume], sandbox, ..world.shell(&id, line) };
        match world.launch(spec) {
            Ok(_) => {
                world.wait(&id);
                outcomes[0] += 1;
            }
            Err(error) => {
                assert!(error.to_string().starts_with("open "), "{error}");
                outcomes[1] += 1;
            }
        }
        world.run(world.containerizer().destroy(&id)).unwrap();
    }
    let found = fs::read_to_string(world.sandbox("swapper").join("found")).unwrap_or_default();
    stop(&world);
    assert!(!found.contains("marker"), "{found}");
    assert!(outcomes.iter().sum::<usize>() == ROUNDS, "{outcomes:?}");
    assert!(host.join("marker").exists());
}

#[test]
fn a_log_is_written_into_no_file_of_the_host() {
    let Some(world) = world() else { return };
    let host = world.directory.path().join("precious");
    fs::write(&host, "the host's\n").unwrap();
    for name in ["stdout", "stderr"] {
        let spec = world.shell(name, "echo overwritten; echo overwritten >&2");
        std::os::unix::fs::symlink(&host, spec.sandbox.join(name)).unwrap();
        let error = world.launch(spec).unwrap_err().to_string();
        assert!(error.starts_with("open ") && error.contains(name), "{error}");
    }
    assert_eq!(fs::read_to_string(&host).unwrap(), "the host's\n");
}
