//! From image layouts to root filesystems.

use std::fs;

use muster_containerizer::{ContainerSpec, Error, ImageError, ImageLimits, Termination};
use serde_json::json;

use super::image::{Image, Layer, busybox, gzip};
use super::world::World;

fn of(world: &World, id: &str, image: &str, line: &str) -> ContainerSpec {
    ContainerSpec { image: Some(image.into()), ..world.shell(id, line) }
}

fn refused(world: &World, image: &str) -> String {
    let error = world.launch(of(world, "refused", image, "true")).unwrap_err();
    assert!(matches!(error, Error::Image(_)), "{error:?}");
    assert!(world.remains("refused").is_empty());
    error.to_string()
}

fn layer_directories(world: &World) -> usize {
    fs::read_dir(world.config.image_dir.join(".layers/sha256")).unwrap().count()
}

#[test]
fn layers_lie_upon_each_other() {
    let Some(world) = World::new() else { return };
    let middle = Layer::new()
        .directory("srv/", 0o755)
        .file("srv/kept", 0o644, "middle")
        .file("srv/gone", 0o644, "")
        .file("srv/changed", 0o644, "middle")
        .directory("srv/all/", 0o755)
        .file("srv/all/old", 0o644, "");
    let top = Layer::new()
        .directory("srv/", 0o755)
        .file("srv/.wh.gone", 0, "")
        .file("srv/changed", 0o600, "top")
        .directory("srv/all/", 0o755)
        .file("srv/all/.wh..wh..opq", 0, "")
        .file("srv/all/new", 0o644, "");
    let zstd = ruzstd::encoding::compress_to_vec(
        middle.bytes().as_slice(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    Image::new(&world.config.image_dir, "library/stack")
        .layer(busybox())
        .blob("application/vnd.oci.image.layer.v1.tar+zstd", &zstd)
        .blob("application/vnd.oci.image.layer.v1.tar", &top.bytes())
        .tag("1.0");
    let line = "ls srv srv/all; cat srv/kept srv/changed; stat -c %a srv/changed; echo x > srv/own";
    let line = format!("cd /; {line}");
    let (termination, output) = world.finish(of(&world, "c", "library/stack:1.0", &line));
    assert_eq!(termination, Termination::Exited(0));
    assert_eq!(output, "srv:\nall\nchanged\nkept\n\nsrv/all:\nnew\nmiddletop600\n");
    // What one writes another does not see.
    let (_, output) = world.finish(of(&world, "d", "library/stack:1.0", "ls /srv"));
    assert_eq!(output, "all\nchanged\nkept\n");
}

#[test]
fn a_hundred_layers() {
    let Some(world) = World::new() else { return };
    let mut image = Image::new(&world.config.image_dir, "tall").layer(busybox());
    for number in 0..100 {
        let name = format!("n/{number}");
        image = image.layer(Layer::new().directory("n/", 0o755).file(&name, 0o644, ""));
    }
    image.tag("latest");
    let (_, output) = world.finish(of(&world, "c", "tall", "ls /n | grep -c ."));
    assert_eq!(output, "100\n");
}

#[test]
fn a_layer_that_occurs_twice_counts_where_it_is_uppermost() {
    let Some(world) = World::new() else { return };
    let layer = |content: &str| Layer::new().file("f", 0o644, content);
    Image::new(&world.config.image_dir, "twice")
        .layer(busybox())
        .layer(layer("1"))
        .layer(layer("2"))
        .layer(layer("1"))
        .tag("latest");
    assert_eq!(world.finish(of(&world, "c", "twice", "cat /f")).1, "1");
    assert_eq!(layer_directories(&world), 3);
}

#[test]
fn concurrent_launches_extract_once_and_all_succeed() {
    let Some(world) = World::new() else { return };
    let specs: Vec<_> =
        (0..8).map(|n| world.shell(&format!("c{n}"), &format!("exit {n}"))).collect();
    world.launch_all(specs);
    for code in 0..8 {
        assert_eq!(world.wait(&format!("c{code}")), Termination::Exited(code));
    }
    assert_eq!(layer_directories(&world), 1);
}

#[test]
fn what_a_killed_extraction_left_is_cleared_away() {
    let Some(world) = World::new() else { return };
    Image::new(&world.config.image_dir, "b").layer(busybox()).tag("latest");
    world.output("first", "true");
    let layers = world.config.image_dir.join(".layers");
    let [layer] =
        fs::read_dir(layers.join("sha256")).unwrap().collect::<Vec<_>>().try_into().unwrap();
    let digest = layer.unwrap().file_name();
    // As it is when the rename has not happened.
    fs::rename(layers.join("sha256").join(&digest), layers.join("staging").join(&digest)).unwrap();
    fs::write(layers.join("staging").join(&digest).join("half"), "").unwrap();
    assert!(!world.output("second", "ls /").contains("half"));
}

#[test]
fn missing_images_and_tags_are_named() {
    let Some(world) = World::new() else { return };
    let error = refused(&world, "nosuch");
    assert!(error.starts_with("image nosuch:latest: not in the image store"), "{error}");
    assert!(error.ends_with("images/nosuch"), "{error}");
    let error = refused(&world, "busybox:2");
    assert_eq!(error, "image busybox:2: no such tag; there is latest");
    let error = refused(&world, "../images/busybox");
    assert!(error.starts_with("image `../images/busybox`: "), "{error}");
}

#[test]
fn damaged_blobs_are_named() {
    let Some(world) = World::new() else { return };
    let image = Image::new(&world.config.image_dir, "bad").layer(busybox());
    let (digest, blob) = (image.last_layer(), image.last_blob());
    image.tag("latest");
    let mut bytes = fs::read(&blob).unwrap();
    let last = bytes.len() - 1;
    // Part of gzip's check sum of an archive that is otherwise fine.
    bytes[last] ^= 1;
    fs::write(&blob, &bytes).unwrap();
    let error = refused(&world, "bad");
    assert!(error.starts_with(&format!("image bad:latest: blob {digest}: its content")), "{error}");
    fs::write(&blob, &bytes[..100]).unwrap();
    let error = refused(&world, "bad");
    assert!(error.contains(&format!("blob {digest}: 100 bytes long instead of ")), "{error}");
    fs::remove_file(&blob).unwrap();
    let error = refused(&world, "bad");
    assert!(error.contains(&format!("blob {digest}: open ")), "{error}");
    let staged = fs::read_dir(world.config.image_dir.join(".layers/staging")).unwrap();
    let staged = staged.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!((staged, layer_directories(&world)), (0, 0));
}

#[test]
fn unsupported_and_hostile_layers_are_named() {
    let Some(world) = World::new() else { return };
    Image::new(&world.config.image_dir, "brotli")
        .blob("application/vnd.oci.image.layer.v1.tar+br", b"")
        .tag("latest");
    let error = refused(&world, "brotli");
    assert!(error.ends_with("unsupported media type application/vnd.oci.image.layer.v1.tar+br"));
    let hostile = Layer::new().file("../../escaped", 0o644, "");
    Image::new(&world.config.image_dir, "hostile").layer(hostile).tag("latest");
    let error = refused(&world, "hostile");
    assert!(error.contains("entry `../../escaped`: a path with `..`"), "{error}");
    Image::new(&world.config.image_dir, "garbage")
        .blob("application/vnd.oci.image.layer.v1.tar+gzip", &gzip(b"no archive").repeat(100))
        .tag("latest");
    let error = refused(&world, "garbage");
    assert!(error.starts_with("image garbage:latest: "), "{error}");
    Image::new(&world.config.image_dir, "empty").tag("latest");
    let error = refused(&world, "empty");
    assert!(error.ends_with("the manifest lists no layers"), "{error}");
}

#[test]
fn an_image_without_a_command_needs_one() {
    let Some(world) = World::new() else { return };
    Image::new(&world.config.image_dir, "mute").layer(busybox()).config(json!({})).tag("latest");
    let spec = ContainerSpec { command: None, ..of(&world, "c", "mute", "") };
    let error = world.launch(spec).unwrap_err();
    assert!(matches!(error, Error::Image(ImageError::NoCommand { .. })), "{error}");
}

#[test]
fn links_in_an_image_do_not_lead_out_of_it() {
    let Some(world) = World::new() else { return };
    let traps = Layer::new()
        .directory("etc/", 0o755)
        .symlink("etc/resolv.conf", "/mnt/mesos/sandbox/resolv")
        .symlink("etc/hostname", "../../../../../../etc/hostname")
        .symlink("mnt", "/tmp");
    Image::new(&world.config.image_dir, "links").layer(busybox()).layer(traps).tag("latest");
    let line = "cat /etc/hostname; ls -d /tmp/mesos/sandbox; ls /mnt/mesos/sandbox";
    let spec = ContainerSpec { hostname: Some("trapped".into()), ..of(&world, "c", "links", line) };
    let (_, output) = world.finish(spec);
    assert_eq!(output, "trapped\n/tmp/mesos/sandbox\nstderr\nstdout\n");
    assert!(!world.sandbox("c").join("resolv").exists());
    let traps = Layer::new().symlink("proc", "/etc");
    Image::new(&world.config.image_dir, "proc").layer(busybox()).layer(traps).tag("latest");
    let error = world.launch(of(&world, "d", "proc", "true")).unwrap_err().to_string();
    assert_eq!(error, "mount on /proc: the image has something else than a directory there");
}

#[test]
fn a_directory_without_an_entry_is_as_below() {
    let Some(world) = World::new() else { return };
    let store = &world.config.image_dir;
    let upper = || Layer::new().file("srv/deep/new", 0o644, "");
    // The same layer upon others.
    for (name, mode, other) in [("one", 0o750, 0o701), ("two", 0o1777, 0o555)] {
        let lower = Layer::new()
            .directory("./", other)
            .directory("srv/", mode)
            .directory("srv/deep/", other)
            .file("srv/deep/old", 0o644, "");
        Image::new(store, name).layer(busybox()).layer(lower).layer(upper()).tag("latest");
    }
    let gone = Layer::new().directory("srv/", 0o711).file("srv/.wh.deep", 0, "");
    let lower = Layer::new().directory("srv/", 0o700).directory("srv/deep/", 0o700);
    let image = Image::new(store, "three").layer(busybox()).layer(lower).layer(gone);
    image.layer(upper()).tag("latest");
    let seen = |name| {
        let line = "cd /; stat -c %a . srv srv/deep; ls srv/deep";
        world.finish(of(&world, name, name, line)).1
    };
    assert_eq!(seen("one"), "701\n750\n701\nnew\nold\n");
    assert_eq!(seen("two"), "555\n1777\n555\nnew\nold\n");
    // What an upper layer has hidden has no say.
    assert_eq!(seen("three"), "755\n711\n755\nnew\n");
}

#[test]
fn a_layer_that_is_not_on_the_disk_does_not_outlive_its_boot() {
    let Some(world) = World::new() else { return };
    let layers = world.config.image_dir.join(".layers");
    world.output("first", "true");
    let marks = || fs::read_dir(layers.join("unsynced")).unwrap().count();
    world.await_that("the layer is on the disk", || marks() == 0);
    let [layer] =
        fs::read_dir(layers.join("sha256")).unwrap().collect::<Vec<_>>().try_into().unwrap();
    let layer = layer.unwrap();
    // As it may be after a loss of power: files without their data, and the mark.
    fs::write(layer.path().join("bin/busybox"), "").unwrap();
    fs::write(layers.join("unsynced").join(layer.file_name()), "an earlier boot").unwrap();
    assert_eq!(world.output("second", "echo whole"), "whole\n");
    world.await_that("the layer is on the disk", || marks() == 0);
}

#[test]
fn a_bomb_leaves_nothing() {
    let Some(mut world) = World::new() else { return };
    let limits = world.config.image_limits;
    let zeros = Layer::new().file("zeros", 0o644, vec![0; 3 << 20]);
    Image::new(&world.config.image_dir, "bomb").layer(zeros).tag("latest");
    world.limit_images(ImageLimits { size: 2 << 20, ..limits });
    let refusal = refused(&world, "bomb");
    assert!(refusal.starts_with("image bomb:latest: "), "{refusal}");
    assert!(refusal.contains("the 2097152 that --image-max-size allows"), "{refusal}");
    let staging = world.config.image_dir.join(".layers/staging");
    let left = || -> Vec<_> {
        let entries = fs::read_dir(&staging).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    };
    assert_eq!((layer_directories(&world), left()), (0, Vec::new()));

    // What is there already counts, so that a second try ends as the first did.
    let half = |name: &str| Layer::new().file(name, 0o644, vec![7; 3 << 20]);
    let image = Image::new(&world.config.image_dir, "sum").layer(busybox());
    image.layer(half("a")).layer(half("b")).tag("latest");
    world.limit_images(ImageLimits { size: 7 << 20, ..limits });
    for _ in 0..2 {
        let refusal = refused(&world, "sum");
        assert!(refusal.contains("the 7340032 that --image-max-size allows"), "{refusal}");
        assert_eq!(left(), Vec::<std::path::PathBuf>::new());
    }
    world.limit_images(ImageLimits { layers: 2, ..limits });
    let refusal = refused(&world, "sum");
    assert_eq!(
        refusal,
        "image sum:latest: 3 layers: more than the 2 that --image-max-layers allows"
    );
    world.limit_images(limits);
    assert_eq!(world.finish(of(&world, "c", "sum", "ls /a /b")).1, "/a\n/b\n");
}
