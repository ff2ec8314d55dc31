//! Directories of a sandbox that become links to the host's while the agent works in them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use muster_containerizer::{CommandSpec, ContainerSpec, Uri, Volume, VolumeSource};

use super::super::world::World;
use super::{trying, world};

/// For how long the agent is let into a race at most until it has met both: a directory, and a link.
const MOST: Duration = Duration::from_mins(1);
/// And at least: most of it is between two steps of the agent.
const LEAST: usize = 30;

/// The host's directory, to which the container has links.
struct Outside(PathBuf);

impl Outside {
    fn new(world: &World) -> Self {
        let path = world.directory.path().join("outside");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("marker"), "the host's\n").unwrap();
        Self(path)
    }

    /// As it was made.
    fn is_untouched(&self) -> bool {
        let names: Vec<_> =
            fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name()).collect();
        names == ["marker"] && fs::read(self.0.join("marker")).unwrap() == b"the host's\n"
    }
}

/// A container that has `directory` and a link to the outside change places in its sandbox.
fn swapping(world: &World, id: &str, directory: &str, outside: &Outside) -> PathBuf {
    let sandbox = world.sandbox(id);
    fs::create_dir_all(&sandbox).unwrap();
    symlink(&outside.0, sandbox.join("link")).unwrap();
    let attempt = format!("swap /mnt/mesos/sandbox/{directory} /mnt/mesos/sandbox/link");
    world.launch(trying(world, id, &[attempt.as_str()])).unwrap();
    sandbox
}

/// Launches containers, made by `spec`, until some were let through and some refused, and gives
/// what is in the sandboxes of the former to `look`.
fn race(
    world: &World,
    spec: impl Fn(usize) -> ContainerSpec,
    outside: &Outside,
    look: impl Fn(&Path),
) {
    let (mut through, mut refused) = (0, 0);
    let began = Instant::now();
    for round in 0.. {
        let spec = spec(round);
        let name = format!("{}/{}", spec.parent.as_ref().unwrap(), spec.id);
        match world.launch(spec) {
            Ok(_) => {
                through += 1;
                world.wait(&name);
                look(Path::new(&name));
                world.run(world.containerizer().destroy(&name)).unwrap();
            }
            // By whatever step came first upon what it did not expect.
            Err(_) => refused += 1,
        }
        assert!(outside.is_untouched(), "round {round}");
        if round >= LEAST && through > 0 && refused > 0 {
            return;
        }
        assert!(
            began.elapsed() < MOST,
            "{through} let through, {refused} refused: there was no race"
        );
    }
}

fn nested(parent: &str, id: String, line: &str) -> ContainerSpec {
    ContainerSpec {
        id,
        parent: Some(parent.into()),
        image: Some("escape".into()),
        command: Some(CommandSpec::Shell(line.into())),
        ..ContainerSpec::default()
    }
}

#[test]
fn a_volume_of_a_sandbox_is_nothing_of_the_hosts() {
    let Some(world) = world() else { return };
    let outside = Outside::new(&world);
    fs::create_dir_all(world.sandbox("p").join("data/below")).unwrap();
    let sandbox = swapping(&world, "p", "data", &outside);
    let volume = |path: &str| Volume {
        container_path: "/volume".into(),
        source: VolumeSource::SandboxPath { path: path.into(), parent: true },
        read_only: false,
    };
    let spec = |round: usize| ContainerSpec {
        // The last part of the path, one before it, and one that has to be made.
        volumes: vec![volume(["data", "data/below", "data/new/one"][round % 3])],
        ..nested("p", format!("n{round}"), "cat /volume/marker; echo x > /volume/mark; true")
    };
    race(&world, spec, &outside, |name| {
        let own = sandbox.join("containers").join(name.file_name().unwrap());
        assert_eq!(fs::read_to_string(own.join("stdout")).unwrap(), "");
    });
}

#[test]
fn what_is_fetched_goes_nowhere_else() {
    let Some(world) = world() else { return };
    let outside = Outside::new(&world);
    let source = world.directory.path().join("source");
    fs::create_dir_all(source.join("pack/deep")).unwrap();
    for number in 0..50 {
        fs::write(source.join(format!("pack/deep/{number}")), "packed").unwrap();
    }
    let archive = source.join("a.tar");
    let mut tar = Command::new("tar");
    let packed = tar.arg("-cf").arg(&archive).arg("-C").arg(&source).arg("pack").status();
    assert!(packed.unwrap().success());
    let spec = |id: &str| ContainerSpec {
        uris: vec![Uri {
            value: archive.to_str().unwrap().into(),
            executable: false,
            extract: true,
            cache: false,
            output_file: None,
        }],
        ..nested("p", id.into(), "true")
    };
    // In the sandbox of the container that is launched.
    swapping(&world, "p", "containers/n/pack", &outside);
    race(&world, |_| spec("n"), &outside, |_| ());
    world.run(world.containerizer().destroy("p")).unwrap();
    fs::remove_dir_all(world.sandbox("p")).unwrap();
    // The directory in which all of them are.
    fs::create_dir_all(world.sandbox("p").join("containers")).unwrap();
    swapping(&world, "p", "containers", &outside);
    race(&world, |round| spec(&format!("n{round}")), &outside, |_| ());
}
