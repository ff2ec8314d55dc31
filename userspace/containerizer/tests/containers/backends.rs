//! Root filesystems without overlayfs, and images as volumes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use muster_containerizer::{
    ContainerSpec, Error, ImageBackend, ImageError, ImageVolume, Termination, Volume, VolumeSource,
};

use super::image::{Image, Layer, busybox};
use super::world::World;

fn with(backend: ImageBackend) -> Option<World> {
    let mut world = World::new()?;
    world.restart_with(|isolation| isolation.image_backends = backend.into());
    Some(world)
}

fn of(world: &World, id: &str, image: &str, line: &str) -> ContainerSpec {
    ContainerSpec { image: Some(image.into()), ..world.shell(id, line) }
}

/// Three layers with everything in them that overlayfs has a mark for.
fn stack(world: &World, name: &str) {
    let middle = Layer::new()
        .directory("srv/", 0o1751)
        .directory("srv/kept/", 0o700)
        .file("srv/kept/old", 0o640, "old")
        .file("srv/gone", 0o644, "")
        .directory("srv/all/", 0o755)
        .file("srv/all/hidden", 0o644, "")
        .file("srv/one", 0o4755, "linked")
        .link(tar::EntryType::Link, "srv/two", "srv/one")
        .file("srv/file", 0o644, "")
        .symlink("srv/link", "one");
    let top = Layer::new()
        .file("srv/.wh.gone", 0, "")
        .file("srv/kept/new", 0o600, "new")
        .directory("srv/all/", 0o755)
        .file("srv/all/.wh..wh..opq", 0, "")
        .file("srv/all/shown", 0o644, "")
        .directory("srv/file/", 0o711);
    let image = Image::new(&world.config.image_dir, name).layer(busybox());
    image.layer(middle).layer(top).tag("latest");
}

/// One layer in which nothing has to be made.
fn whole(world: &World, name: &str) {
    let mut layer = busybox().file("etc/hosts", 0o644, "");
    for name in ["dev/", "proc/", "sys/", "mnt/", "mnt/mesos/", "mnt/mesos/sandbox/"] {
        layer = layer.directory(name, 0o755);
    }
    Image::new(&world.config.image_dir, name).layer(layer).tag("latest");
}

const LOOK: &str = "cd /srv; ls -R . | grep -v :; stat -c '%n %a %h %Y' kept one two file all kept/old; \
     readlink link; cat two kept/old kept/new";

#[test]
fn a_copy_is_what_an_overlay_is() {
    let Some(mut world) = with(ImageBackend::Overlay) else { return };
    stack(&world, "stack");
    let (ended, overlay) = world.finish(of(&world, "a", "stack", LOOK));
    assert_eq!(ended, Termination::Exited(0));
    world.restart_with(|isolation| isolation.image_backends = ImageBackend::Copy.into());
    let (ended, copy) = world.finish(of(&world, "b", "stack", LOOK));
    assert_eq!(ended, Termination::Exited(0));
    let links = |text: &str, from: &str, to: &str| {
        let lines =
            text.lines().filter(|line| !line.starts_with("all") && !line.starts_with("kept "));
        lines.map(|line| line.replace(from, to)).collect::<Vec<_>>()
    };
    // How many links a directory has is the file system's business.
    assert_eq!(links(&overlay, " 711 1 ", " 711 2 "), links(&copy, " 711 1 ", " 711 2 "));
    assert!(copy.contains("one 4755 2 ") && copy.ends_with("one\nlinkedoldnew"), "{copy}");
    assert!(!copy.contains("gone") && !copy.contains("hidden"), "{copy}");
}

#[test]
fn a_copy_is_its_own_and_goes_with_its_container() {
    let Some(mut world) = with(ImageBackend::Copy) else { return };
    let line = "echo own > /file; cat /file; mount | grep ' / ' | grep -c overlay; sleep 1000";
    world.launch(of(&world, "c", "busybox", line)).unwrap();
    world.await_output("c", "own\n0\n");
    let root = world.work().join(".c.rootfs/root");
    assert!(root.join("file").is_file());
    assert_eq!(world.output("d", "ls /file 2>/dev/null || echo none"), "none\n");
    // The next run knows of it.
    world.restart();
    world.run(world.containerizer().recover()).unwrap();
    for id in ["c", "d"] {
        world.run(world.containerizer().destroy(id)).unwrap();
    }
    assert!(world.leftovers().is_empty(), "{:?}", world.leftovers());
}

#[test]
fn bind_is_for_images_of_one_layer_and_read_only() {
    let Some(world) = with(ImageBackend::Bind) else { return };
    let refused = |image: &str| {
        let error = world.launch(of(&world, "refused", image, "true")).unwrap_err();
        assert!(matches!(error, Error::Image(ImageError::Backend { .. })), "{error:?}");
        assert!(world.remains("refused").is_empty());
        error.to_string()
    };
    stack(&world, "stack");
    let error = refused("stack");
    assert!(
        error.ends_with("the bind backend takes images of one layer, and this has 3"),
        "{error}"
    );
    let error = refused("busybox");
    assert!(error.ends_with("makes no directories, and it has no /dev"), "{error}");
    whole(&world, "whole");
    let line = "touch /file 2>&1; cat /etc/hosts > /mnt/mesos/sandbox/hosts; echo done";
    let (ended, output) = world.finish(of(&world, "c", "whole", line));
    assert_eq!(ended, Termination::Exited(0));
    assert_eq!(output, "touch: /file: Read-only file system\ndone\n");
    let hosts = fs::read(world.sandbox("c").join("hosts")).unwrap();
    assert_eq!(hosts, fs::read("/etc/hosts").unwrap());
}

fn volume(image: &str, read_only: bool) -> Volume {
    let image = ImageVolume { name: image.into(), config: None, force_pull: false };
    Volume { container_path: "/data".into(), source: VolumeSource::Image(image), read_only }
}

#[test]
fn an_image_is_a_volume() {
    let Some(mut world) = World::new() else { return };
    stack(&world, "stack");
    let data = Layer::new().file("file", 0o644, "data\n");
    Image::new(&world.config.image_dir, "data").layer(data).tag("latest");
    for (backend, prefix) in [(ImageBackend::Overlay, "o"), (ImageBackend::Copy, "c")] {
        world.restart_with(|isolation| isolation.image_backends = backend.into());
        for (image, read_only, look) in [
            ("data", false, "cat /data/file; echo own > /data/new; cat /data/new"),
            ("data", true, "cat /data/file; echo x 2>&1 > /data/new || echo own"),
            ("stack", false, "cat /data/srv/kept/old; echo; echo own > /data/new; cat /data/new"),
            ("stack", true, "cat /data/srv/kept/old; echo; echo x 2>&1 > /data/new || echo own"),
        ] {
            let id = format!("{prefix}-{image}-{read_only}");
            let volumes = vec![volume(image, read_only)];
            let spec = ContainerSpec { volumes, ..world.shell(&id, look) };
            let (ended, output) = world.finish(spec);
            assert_eq!(ended, Termination::Exited(0), "{id}: {output}");
            let lines: Vec<&str> = output.lines().collect();
            let first = if image == "data" { "data" } else { "old" };
            assert_eq!((lines[0], lines[lines.len() - 1]), (first, "own"), "{id}");
            world.run(world.containerizer().destroy(&id)).unwrap();
        }
    }
    assert!(world.leftovers().is_empty(), "{:?}", world.leftovers());
    // What was written is not in the image.
    let layers = fs::read_dir(world.config.image_dir.join(".layers/sha256")).unwrap();
    let layers: Vec<PathBuf> = layers.map(|layer| layer.unwrap().path()).collect();
    assert!(layers.iter().all(|layer| !layer.join("new").exists()));
    assert!(layers.iter().any(|layer| layer.join("file").metadata().is_ok_and(|f| f.size() == 5)));
    let volumes = vec![volume("nowhere", false)];
    let error = world.launch(ContainerSpec { volumes, ..world.shell("x", "true") }).unwrap_err();
    assert!(error.to_string().starts_with("image nowhere:latest: not in the image store"));
}

#[test]
fn an_image_may_have_a_backend_of_its_own() {
    let Some(mut world) = World::new() else { return };
    whole(&world, "bound");
    world.restart_with(|isolation| {
        isolation.image_backends = "copy,bound=bind,other:1=overlay".parse().unwrap();
    });
    let line = "touch /made 2>&1; stat -f -c %T /";
    let bound = world.finish(of(&world, "b", "bound", line)).1;
    assert!(bound.starts_with("touch: /made: Read-only file system\n"), "{bound}");
    let copied = world.finish(of(&world, "c", "busybox", line)).1;
    assert!(!copied.contains("touch") && !copied.contains("overlay"), "{copied}");
}
