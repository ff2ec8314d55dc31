//! Garbage collection of images.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use muster_containerizer::{
    CommandSpec, ContainerSpec, Error, ExecStatus, ImageError, ImageVolume, Registries,
    StoredImage, Termination, Volume, VolumeSource,
};

use super::image::{Image, Layer, busybox, noise};
use super::registry::{Options, Registry, run};
use super::stepping::{self, End, POINTS_MAX};
use super::world::{PATIENCE, World};

const NOTHING: [PathBuf; 0] = [];

/// A layout outside the store: busybox, a file that says which image this is, and another so
/// large.
fn layout(world: &World, which: &str, size: usize) -> PathBuf {
    let directory = world.directory.path().join("layouts");
    let own = Layer::new().file("which", 0o644, which).file("large", 0o644, noise(which, size));
    Image::new(&directory, which).layer(busybox()).layer(own).tag("t");
    directory.join(which)
}

/// An archive in the store, of docker save's kind.
fn archive(world: &World, which: &str, size: usize) {
    let from = format!("oci:{}:t", layout(world, which, size).display());
    let to = world.config.image_dir.join(format!("{which}.tar"));
    let to = format!("docker-archive:{}:{which}:latest", to.display());
    run(Command::new("skopeo").args(["--insecure-policy", "copy", &from, &to]));
}

fn of(world: &World, id: &str, image: &str, line: &str) -> ContainerSpec {
    ContainerSpec { image: Some(image.into()), ..world.shell(id, line) }
}

/// Runs a container of the image to its end, and destroys it.
fn which(world: &World, image: &str) -> String {
    let id = format!("which-{image}").replace([':', '/', '.'], "-");
    let (termination, output) = world.finish(of(world, &id, image, "cat /which"));
    assert_eq!(termination, Termination::Exited(0), "{image}");
    world.run(world.containerizer().destroy(&id)).unwrap();
    fs::remove_dir_all(world.sandbox(&id)).unwrap();
    output
}

fn images(world: &World) -> Vec<StoredImage> {
    world.containerizer().images().unwrap()
}

fn names(world: &World) -> Vec<String> {
    images(world).into_iter().map(|image| image.name).collect()
}

fn prune(world: &World, excluded: &[&str]) -> Vec<String> {
    let excluded: Vec<String> = excluded.iter().map(|name| (*name).to_owned()).collect();
    let mut pruned = world.containerizer().prune_images(&excluded).unwrap().images;
    pruned.sort();
    pruned
}

/// Files and directories that the store has made, but for those that say who uses it.
fn derived(world: &World) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for below in [".layers/sha256", ".layers/joined", ".layers/places", ".layers/sizes"] {
        found.extend(entries(&world.config.image_dir.join(below)));
    }
    for below in [".layers/implied", ".layers/unsynced", ".registry/blobs/sha256", ".uses/trash"] {
        found.extend(entries(&world.config.image_dir.join(below)));
    }
    found.extend(entries(&world.config.image_dir.join(".registry/partial")));
    found.extend(entries(&world.config.image_dir.join(".registry/images/_archives")));
    let staged = entries(&world.config.image_dir.join(".layers/staging"));
    found.extend(staged.into_iter().filter(|path| !path.ends_with("probe.lock")));
    found.extend(entries(&world.config.image_dir.join(".uses/images")));
    found
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_is_used_stays_and_what_is_not_goes() {
    let Some(mut world) = World::new() else { return };
    let registry = Registry::start(Options::default());
    let (host, insecure) = (registry.host.clone(), vec![registry.host.clone()]);
    let default = Some(format!("http://{host}"));
    world.pull_from(Registries { default, insecure, ..Registries::default() });
    for name in ["used", "idle", "spared", "volume"] {
        let layout = layout(&world, name, 10_000);
        registry.push(&layout, "t", &format!("{name}:1"), &[]);
    }
    archive(&world, "packed", 10_000);
    for name in ["used:1", "idle:1", "spared:1", "packed"] {
        assert_eq!(format!("{}:1", which(&world, name)).replace("packed:1", "packed"), name);
    }
    let image = ImageVolume { name: "volume:1".into(), config: None, force_pull: false };
    let volume = Volume {
        container_path: "/mnt".into(),
        read_only: false,
        source: VolumeSource::Image(image),
    };
    let spec = ContainerSpec {
        volumes: vec![volume],
        ..of(&world, "box", "used:1", "cat /mnt/which; exec sleep 1000")
    };
    world.launch(spec).unwrap();
    world.await_output("box", "volume");
    world.output("base", "true");
    world.run(world.containerizer().destroy("base")).unwrap();

    let listed = images(&world);
    let all = ["busybox:latest", "idle:1", "packed:latest", "spared:1", "used:1", "volume:1"];
    assert_eq!(names(&world), all);
    for image in &listed {
        let by = matches!(image.name.as_str(), "used:1" | "volume:1").then(|| "box".to_owned());
        assert_eq!(image.used_by, by.into_iter().collect::<Vec<_>>(), "{}", image.name);
        assert!(image.bytes > 10_000, "{image:?}");
        let digest = image.digest.as_deref().unwrap();
        assert!(digest.starts_with("sha256:") && digest.len() == 71, "{image:?}");
    }
    for name in ["used:1", &format!("{host}/used:1"), "volume:1"] {
        let error = world.containerizer().remove_image(name).unwrap_err();
        assert!(matches!(error, Error::Image(ImageError::InUse { .. })), "{error}");
        assert!(error.to_string().contains("is in use by container box"), "{error}");
    }
    let error = world.containerizer().remove_image("nowhere").unwrap_err().to_string();
    assert_eq!(error, "image nowhere: not in the image store");

    // By an agent that knows of no container, since it was not told to take them over.
    world.restart();
    assert_eq!(prune(&world, &["spared:1"]), ["busybox:latest", "idle:1", "packed:latest"]);
    assert_eq!(names(&world), ["spared:1", "used:1", "volume:1"]);
    world.run(world.containerizer().recover()).unwrap();
    let line = "grep -q used /which && grep -q volume /mnt/which && /bin/busybox true";
    let command = CommandSpec::Shell(line.into());
    let ended = world.run(world.containerizer().exec("box", command, PATIENCE)).unwrap();
    assert_eq!(ended, ExecStatus::Exited(0), "all of it is still there");
    // Everything is to be had again: from the registry, the archive, the layout.
    assert_eq!(which(&world, "idle:1"), "idle");
    assert_eq!(which(&world, "packed"), "packed");
    assert_eq!(world.output("again", "echo again"), "again\n");
    world.run(world.containerizer().destroy("again")).unwrap();

    let removed = world.containerizer().remove_image(&format!("{host}/idle:1")).unwrap();
    assert_eq!(removed.images, ["idle:1"]);
    assert!(removed.bytes > 20_000, "its blob and its layer: {removed:?}");
    world.run(world.containerizer().destroy("box")).unwrap();
    prune(&world, &[]);
    assert_eq!(derived(&world), NOTHING);
    assert!(world.config.image_dir.join("packed.tar").is_file());
    assert!(world.config.image_dir.join("busybox/index.json").is_file());
}

#[test]
fn the_least_recently_used_go_first_also_after_a_restart() {
    let Some(mut world) = World::new() else { return };
    let megabyte = 1 << 20;
    world.use_small_store(40 * megabyte);
    let registry = Registry::start(Options::default());
    let default = Some(format!("http://{}", registry.host));
    let insecure = vec![registry.host.clone()];
    world.pull_from(Registries { default, insecure, ..Registries::default() });
    for name in ["one", "two", "three"] {
        let layout = layout(&world, name, 4 * megabyte);
        registry.push(&layout, "t", name, &[]);
        assert_eq!(which(&world, name), name);
    }
    // Used again, the first is not the oldest any more.
    assert_eq!(which(&world, "one"), "one");
    world.restart();
    let make_room = |headroom| world.containerizer().make_room(headroom, &[]).unwrap().images;
    assert_eq!(make_room(0.1), [""; 0], "there is room");
    assert_eq!(make_room(0.4), ["two:latest"]);
    assert_eq!(make_room(0.4), [""; 0], "there is room now");
    world.launch(of(&world, "box", "three", "exec sleep 1000")).unwrap();
    assert_eq!(make_room(0.99), ["one:latest"], "as much as can be");
    let excluded = ["three".to_owned()];
    world.run(world.containerizer().destroy("box")).unwrap();
    let removed = world.containerizer().make_room(0.99, &excluded).unwrap();
    assert_eq!(removed.images, [""; 0]);
    assert_eq!(which(&world, "two"), "two");
}

#[test]
fn agents_that_share_a_store_respect_each_others_containers() {
    let Some(world) = World::new() else { return };
    let other = World::sharing(&world.config.image_dir);
    other.launch(other.shell("theirs", "exec sleep 1000")).unwrap();
    assert_eq!(prune(&world, &[]), [""; 0]);
    let error = world.containerizer().remove_image("busybox").unwrap_err().to_string();
    assert!(error.contains("in use by container theirs"), "{error}");
    other.run(other.containerizer().destroy("theirs")).unwrap();
    assert_eq!(prune(&world, &[]), ["busybox:latest"]);
    assert_eq!(other.output("after", "echo after"), "after\n");
}

#[test]
fn a_collector_killed_at_every_step_leaves_whole_images_or_none() {
    let Some(mut world) = World::new() else { return };
    let images = world.config.image_dir.clone();
    let layouts = world.directory.path().join("layouts");
    let layer = |name: &str| Layer::new().file(&format!("of/{name}"), 0o644, name);
    // Without an entry for its directory: a thin layer settles what that is like.
    let base = Layer::new().directory("of", 0o750);
    Image::new(&layouts, "packed").layer(base).layer(layer("one")).layer(layer("two")).tag("t");
    let from = format!("oci:{}:t", layouts.join("packed").display());
    let to = format!("docker-archive:{}:packed:latest", images.join("packed.tar").display());
    run(Command::new("skopeo").args(["--insecure-policy", "copy", &from, &to]));
    let base = Layer::new().directory("of", 0o750);
    Image::new(&images, "plain").layer(base).layer(layer("one")).tag("latest");
    let check = |world: &World, when: &str| {
        for image in ["packed", "plain"] {
            world.containerizer().pull_image(image, false).unwrap();
        }
        let mut content: Vec<String> = Vec::new();
        for layer in entries(&images.join(".layers/sha256")) {
            for file in entries(&layer.join("of")) {
                content.push(fs::read_to_string(file).unwrap());
            }
            // What is said of a layer is there with it.
            let name = layer.file_name().unwrap();
            assert!(images.join(".layers/sizes").join(name).exists(), "{when}: {layer:?}");
        }
        content.sort();
        assert_eq!(content, ["one", "one", "two"], "{when}");
        for kind in ["joined", "places"] {
            let found = entries(&images.join(".layers").join(kind));
            assert_eq!(found.len(), 2, "{when}: {found:?}");
            for directory in found.iter().filter(|_| kind == "joined") {
                let mode = fs::metadata(directory.join("of")).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o750, "{when}: {directory:?}");
            }
        }
    };
    for point in 1..POINTS_MAX {
        check(&world, &format!("killed before {point}"));
        world.stop();
        let end = stepping::run(&world, &["prune"], point);
        world.restart();
        if matches!(end, End::Done(..)) {
            assert_eq!(derived(&world), NOTHING);
            eprintln!("{point} points");
            assert!(point > 10, "only {point}");
            return;
        }
    }
    panic!("it never comes to an end");
}
