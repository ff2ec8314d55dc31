//! Pulls by processes of their own: killed in the middle, and two at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::image::noise;
use super::pulls::{layout, of};
use super::registry::{Line, Options, Registry};
use super::world::{World, example};

const MEGABYTE: u64 = 1 << 20;

/// A process that pulls an image.
struct Puller(Child);

impl Puller {
    fn start(world: &World, runtime: &str, image: &str) -> Self {
        let puller = Command::new(example("supervisor"))
            .arg(&world.config.image_dir)
            .arg(world.directory.path().join(runtime))
            .arg(format!("{}-{runtime}", world.config.cgroups_root))
            .arg(&world.config.helper)
            .arg(world.work())
            .args(["pull", image])
            .stdout(Stdio::null())
            .spawn();
        Self(puller.unwrap())
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn succeed(mut self) {
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Puller {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Its cgroups, which a puller makes and has nothing in.
fn remove_cgroups(world: &World, runtime: &str) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let trees = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    for tree in trees.filter(|fields| fields[2].starts_with("cgroup")) {
        let root = format!("{}-{runtime}", world.config.cgroups_root);
        let path = Path::new(tree[1]).join(root);
        if path.exists() {
            fs::remove_dir(&path).unwrap();
        }
    }
}

fn partials(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.config.image_dir.join(".registry/partial"));
    entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

fn size(paths: &[PathBuf]) -> u64 {
    paths.iter().filter_map(|path| fs::metadata(path).ok()).map(|found| found.len()).sum()
}

#[test]
fn what_a_killed_process_has_pulled_another_does_not_pull_again() {
    let Some(world) = World::new() else { return };
    let registry = Registry::start(Options::default());
    let source = layout(&world, "big", &[noise("", 4 << 20)]);
    registry.push(&source, "t", "library/big", &[]);
    let line = Line::held(&registry, 3 * MEGABYTE);
    let image = format!("{}/library/big", line.host);
    let puller = Puller::start(&world, "first", &image);
    // Not the layer of busybox, which is smaller, and may be whole when the puller is killed.
    let most = |paths: Vec<PathBuf>| paths.into_iter().map(|path| size(&[path])).max();
    world.await_that("a part of the layer is there", || {
        most(partials(&world)) > Some(MEGABYTE + MEGABYTE / 2)
    });
    puller.kill();
    let partial = partials(&world);
    let have = size(&partial);
    let blobs = fs::read_dir(world.config.image_dir.join(".registry/blobs/sha256")).unwrap();
    let finished: Vec<_> = blobs.map(|blob| blob.unwrap().file_name()).collect();
    line.release();
    let before = line.passed();

    Puller::start(&world, "second", &image).succeed();
    let passed = line.passed() - before;
    for path in &partial {
        let length = fs::metadata(path).map_or(0, |found| found.len());
        assert_eq!(length, 0, "{} is finished", path.display());
    }
    assert!(!line.asked("range: bytes=").is_empty());
    for blob in finished {
        let digest = blob.to_str().unwrap();
        let asked = line.asked(&format!("blobs/sha256:{digest}"));
        assert!(asked.len() <= 1, "{asked:?}");
    }
    let blobs = fs::read_dir(world.config.image_dir.join(".registry/blobs/sha256")).unwrap();
    let all: u64 = blobs.map(|blob| blob.unwrap().metadata().unwrap().len()).sum();
    // Heads of answers, the manifest once more, and what was not yet written when it was killed.
    let slack = 128 << 10;
    assert!(passed + have <= all + slack, "{passed} after {have}, of {all}");
    for runtime in ["first", "second"] {
        remove_cgroups(&world, runtime);
    }
    // And it is whole: what is here is used as it is.
    drop(registry);
    assert_eq!(world.finish(of("c", &image, &world)).1, "big");
}

#[test]
fn two_processes_pull_an_image_once() {
    let Some(world) = World::new() else { return };
    let registry = Registry::start(Options::default());
    let source = layout(&world, "app", &[noise("", 2 << 20), noise("", 200_000)]);
    registry.push(&source, "t", "library/app", &[]);
    let line = Line::held(&registry, MEGABYTE);
    let image = format!("{}/library/app", line.host);
    let pullers = ["one", "two"].map(|runtime| Puller::start(&world, runtime, &image));
    // Both are at it, and neither can have all.
    let leases = world.config.image_dir.join(".uses/leases");
    let wants = |path: PathBuf| {
        fs::read_to_string(path).is_ok_and(|text| text.contains("library/app/_tags/latest.json"))
    };
    world.await_that("both want the image", || {
        let entries = fs::read_dir(&leases).into_iter().flatten();
        entries.filter(|entry| wants(entry.as_ref().unwrap().path())).count() == 2
    });
    // Nothing that they need goes meanwhile.
    assert_eq!(world.containerizer().prune_images(&[]).unwrap().images, [""; 0]);
    line.release();
    pullers.into_iter().for_each(Puller::succeed);
    assert_eq!(line.asked("get /v2/library/app/manifests/").len(), 1);
    // Config and four layers.
    assert_eq!(line.asked("get /v2/library/app/blobs/").len(), 5);
    for runtime in ["one", "two"] {
        remove_cgroups(&world, runtime);
    }
    assert_eq!(world.finish(of("c", &image, &world)).1, "app");
}
