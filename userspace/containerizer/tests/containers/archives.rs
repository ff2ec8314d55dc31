//! Images from archives that others' tools wrote, and from plain directories.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use muster_containerizer::{
    ContainerSpec, Error, ImageBackend as Backend, ImageLimits, Registries, Termination,
};
use rustix::process::{Pid, Signal, kill_process};

use super::image::{Image, Layer, busybox};
use super::registry::run;
use super::world::World;

/// What a shell line prints in a container of `image`.
fn printed(world: &World, id: &str, image: &str, line: &str) -> String {
    let spec = ContainerSpec { image: Some(image.into()), ..world.shell(id, line) };
    let (termination, output) = world.finish(spec);
    assert_eq!(termination, Termination::Exited(0), "{image}: {output}");
    world.run(world.containerizer().destroy(id)).unwrap();
    // Output is appended to what is there.
    fs::remove_dir_all(world.sandbox(id)).unwrap();
    output
}

fn refused(world: &World, image: &str) -> String {
    let spec = ContainerSpec { image: Some(image.into()), ..world.shell("refused", "true") };
    let error = world.launch(spec).unwrap_err();
    assert!(matches!(error, Error::Image(_)), "{error:?}");
    assert!(world.remains("refused").is_empty());
    error.to_string()
}

fn layers(world: &World) -> usize {
    fs::read_dir(world.config.image_dir.join(".layers/sha256")).unwrap().count()
}

/// A layout of two layers, the second with the file `/which`.
fn layout(at: &Path, which: &str) -> String {
    let second = Layer::new().file("which", 0o644, which);
    Image::new(at, "layout").layer(busybox()).layer(second).tag("t");
    format!("oci:{}:t", at.join("layout").display())
}

fn skopeo(from: &str, to: &str) {
    run(Command::new("skopeo").args(["--insecure-policy", "copy", from, to]));
}

#[test]
fn archives_of_skopeo() {
    let Some(world) = World::new() else { return };
    let images = &world.config.image_dir;
    let from = layout(images, "one\n");
    let at = |name: &str| images.join(name).display().to_string();
    skopeo(&from, &format!("docker-archive:{}:team/docker:1", at("docker.tar")));
    skopeo(&from, &format!("oci-archive:{}:oci:1", at("oci.tar")));
    fs::create_dir(images.join("team")).unwrap();
    fs::rename(images.join("docker.tar"), images.join("team/docker.tar")).unwrap();
    let packed = super::image::gzip(&fs::read(images.join("team/docker.tar")).unwrap());
    fs::write(images.join("packed:7.tar"), packed).unwrap();

    assert_eq!(printed(&world, "c", "layout:t", "cat /which"), "one\n");
    assert_eq!(layers(&world), 2);
    // Its blobs are those of the layout.
    assert_eq!(printed(&world, "c", "oci:1", "cat /which"), "one\n");
    assert_eq!(layers(&world), 2);
    // Its layers are not compressed, and so others.
    assert_eq!(printed(&world, "c", "team/docker:1", "cat /which"), "one\n");
    assert_eq!(layers(&world), 4);
    assert_eq!(printed(&world, "c", "packed:7", "cat /which"), "one\n");
    assert_eq!(layers(&world), 4);

    let error = refused(&world, "oci:2");
    assert!(error.starts_with("image oci:2: no such tag; there is oci:1 in "), "{error}");
    let error = refused(&world, "packed:8");
    assert!(error.starts_with("image packed:8: not in the image store"), "{error}");
}

#[test]
fn an_archive_that_changes_is_read_again_and_one_that_does_not_is_not() {
    let Some(world) = World::new() else { return };
    let images = &world.config.image_dir;
    let elsewhere = tempfile::tempdir().unwrap();
    let archive = images.join("app.tar");
    let write = |which| {
        let from = layout(elsewhere.path(), which);
        let _ = fs::remove_file(&archive);
        skopeo(&from, &format!("docker-archive:{}:app:latest", archive.display()));
    };
    write("one\n");
    assert_eq!(printed(&world, "c", "app", "cat /which"), "one\n");
    // What was made of it: were it read again, this would be mended.
    let records = images.join(".registry/images/_archives");
    let record = || fs::read_dir(&records).unwrap().next().unwrap().unwrap().path();
    let before = fs::metadata(record()).unwrap().modified().unwrap();
    assert_eq!(printed(&world, "c", "app", "cat /which"), "one\n");
    assert_eq!(fs::metadata(record()).unwrap().modified().unwrap(), before);
    write("two\n");
    assert_eq!(printed(&world, "c", "app", "cat /which"), "two\n");
    assert_eq!(layers(&world), 3);
}

#[test]
fn a_registry_may_be_a_directory() {
    let Some(mut world) = World::new() else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let from = layout(elsewhere.path(), "local\n");
    let to = elsewhere.path().join("app:1.0.tar");
    // The name that it has inside does not matter.
    skopeo(&from, &format!("docker-archive:{}:other:7", elsewhere.path().join("x").display()));
    fs::rename(elsewhere.path().join("x"), to).unwrap();
    let default = elsewhere.path().canonicalize().unwrap().display().to_string();
    world.pull_from(Registries { default: Some(default), ..Registries::default() });
    assert_eq!(printed(&world, "c", "app:1.0", "cat /which"), "local\n");
    assert_eq!(printed(&world, "c", "busybox", "echo store"), "store\n");
    let error = refused(&world, "app:2.0");
    assert!(error.starts_with("image app:2.0: not in the image store"), "{error}");
}

#[test]
fn damaged_archives_are_named() {
    let Some(world) = World::new() else { return };
    let images = &world.config.image_dir;
    let from = layout(images, "whole\n");
    let archive = images.join("app.tar");
    skopeo(&from, &format!("docker-archive:{}:app:latest", archive.display()));
    let mut bytes = fs::read(&archive).unwrap();
    let at = bytes.windows(6).position(|window| window == b"whole\n").unwrap();
    bytes[at..at + 6].copy_from_slice(b"broken");
    fs::write(&archive, &bytes).unwrap();
    let error = refused(&world, "app");
    assert!(
        error.contains("app.tar: ") && error.contains("should have the digest sha256:"),
        "{error}"
    );
    let left = fs::read_dir(images.join(".registry/partial")).unwrap().count();
    assert_eq!(left, 0);
    bytes.truncate(bytes.len() / 2);
    fs::write(&archive, &bytes).unwrap();
    let error = refused(&world, "app");
    assert!(error.starts_with("image app:latest: archive "), "{error}");
    fs::write(&archive, "no archive").unwrap();
    assert!(refused(&world, "app").starts_with("image app:latest: archive "));
    fs::write(&archive, Layer::new().file("file", 0o644, "").bytes()).unwrap();
    let error = refused(&world, "app");
    assert!(error.ends_with("neither manifest.json (docker save) nor index.json (OCI) is in it"));
    let manifest = r#"[{"Config":"c.json","RepoTags":["app:latest"],"Layers":["../l.tar"]}]"#;
    let config = r#"{"architecture":"amd64","os":"linux",
        "rootfs":{"type":"layers","diff_ids":["sha256:0"]}}"#;
    let bytes = Layer::new().file("manifest.json", 0o644, manifest).file("c.json", 0o644, config);
    fs::write(&archive, bytes.bytes()).unwrap();
    let error = refused(&world, "app");
    assert!(error.ends_with("the layer ../l.tar is not in it"), "{error}");
}

#[test]
fn a_directory_is_an_image() {
    let Some(world) = World::new() else { return };
    let root = world.config.image_dir.join("team/root");
    fs::create_dir_all(&root).unwrap();
    tar::Archive::new(busybox().bytes().as_slice()).unpack(&root).unwrap();
    assert_eq!(printed(&world, "c", "team/root", "echo x > /new; cat /new"), "x\n");
    assert!(!root.join("new").exists() && !root.join("mnt").exists());
    // It is the owner's to change.
    fs::write(root.join("which"), "later\n").unwrap();
    assert_eq!(printed(&world, "c", "team/root", "cat /which; ls /new || true"), "later\n");
    let error = refused(&world, "team/root:2");
    assert!(error.starts_with("image team/root:2: not in the image store"), "{error}");
    assert!(refused(&world, "team").starts_with("image team:latest: not in the image store"));
}

#[test]
fn archives_of_buildah() {
    let Some(world) = World::new() else { return };
    let work = world.directory.path().to_owned();
    let root = work.join("context");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("root.tar"), busybox().bytes()).unwrap();
    fs::write(root.join("which"), "buildah\n").unwrap();
    fs::write(root.join("Dockerfile"), "FROM scratch\nADD root.tar /\nCOPY which /which\n")
        .unwrap();
    let buildah = |arguments: &[&str]| {
        let mut command = Command::new("buildah");
        command.args(["--storage-driver", "vfs", "--root"]).arg(work.join("storage"));
        command.arg("--runroot").arg(work.join("runroot")).args(arguments);
        run(&mut command);
    };
    buildah(&["bud", "--layers", "--isolation", "chroot", "-t", "built:1", root.to_str().unwrap()]);
    for kind in ["docker-archive", "oci-archive"] {
        let to = world.config.image_dir.join(format!("{kind}.tar"));
        buildah(&["push", "built:1", &format!("{kind}:{}:{kind}:1", to.display())]);
        assert_eq!(printed(&world, "c", &format!("{kind}:1"), "cat /which"), "buildah\n");
    }
}

/// A Docker engine with a network of its own, which needs nothing of it.
struct Engine {
    process: Child,
    socket: String,
}

impl Engine {
    fn start(directory: &Path) -> Self {
        let at = |name: &str| directory.join(name).display().to_string();
        let socket = format!("unix://{}", at("d.sock"));
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "dockerd", "--bridge=none", "--iptables=false"]);
        command.args(["--data-root", &at("data"), "--exec-root", &at("exec")]);
        command.args(["--pidfile", &at("pid"), "-H", &socket, "--storage-driver=vfs"]);
        let log = fs::File::create(directory.join("log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self { process: command.spawn().unwrap(), socket }
    }

    fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(["-H", &self.socket]).args(arguments);
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It ends what it has started.
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn archives_of_docker() {
    let Some(world) = World::new() else { return };
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { work.path().join(name) };
    let mut engine = Engine::start(work.path());
    world.await_that("Docker runs", || {
        let ended = engine.process.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}: {}", fs::read_to_string(at("log")).unwrap());
        engine.docker(&["version"]).output().is_ok_and(|output| output.status.success())
    });
    fs::write(at("root.tar"), busybox().bytes()).unwrap();
    fs::write(at("which"), "docker\n").unwrap();
    let docker = |arguments: &[&str]| run(&mut engine.docker(arguments));
    docker(&["import", at("root.tar").to_str().unwrap(), "base:1"]);
    docker(&["create", "--name", "made", "base:1", "/bin/sh"]);
    docker(&["cp", at("which").to_str().unwrap(), "made:/which"]);
    docker(&["commit", "made", "app:1"]);
    let images = &world.config.image_dir;
    let to = images.join("app.tar");
    // Both have the same first layer, which is in the archive once.
    docker(&["save", "-o", to.to_str().unwrap(), "base:1", "app:1"]);
    fs::copy(&to, images.join("base.tar")).unwrap();
    assert_eq!(printed(&world, "c", "app:1", "cat /which"), "docker\n");
    assert_eq!(printed(&world, "c", "base:1", "ls /which || echo none"), "none\n");
    assert_eq!(layers(&world), 2);
}

#[test]
fn what_is_too_large_is_not_copied_out_of_its_archive() {
    let Some(mut world) = World::new() else { return };
    let images = world.config.image_dir.clone();
    let from = layout(&images, "one\n");
    for kind in ["docker-archive", "oci-archive"] {
        skopeo(&from, &format!("{kind}:{}:{kind}:1", images.join(kind).display()));
        fs::rename(images.join(kind), images.join(format!("{kind}.tar"))).unwrap();
    }
    let large = || {
        let blobs = fs::read_dir(images.join(".registry/blobs/sha256")).into_iter().flatten();
        blobs.filter(|blob| blob.as_ref().unwrap().metadata().unwrap().len() > 100_000).count()
    };
    let usual = ImageLimits::default();
    for kind in ["docker-archive", "oci-archive"] {
        world.limit_images(ImageLimits { layers: 1, ..usual });
        let error = refused(&world, &format!("{kind}:1"));
        assert!(
            error.ends_with("2 layers: more than the 1 that --image-max-layers allows"),
            "{error}"
        );
        world.limit_images(ImageLimits { size: 100_000, ..usual });
        let error = refused(&world, &format!("{kind}:1"));
        assert!(error.ends_with("more than the 100000 that --image-max-size allows"), "{error}");
        assert_eq!(large(), 0, "{kind}");
    }
    world.limit_images(usual);
    assert_eq!(printed(&world, "c", "oci-archive:1", "cat /which"), "one\n");
    assert_eq!(large(), 1);
}

#[test]
fn a_packed_archive_is_unpacked_no_further_than_the_limits() {
    let Some(mut world) = World::new() else { return };
    let images = world.config.image_dir.clone();
    let from = layout(&images, "one\n");
    skopeo(&from, &format!("docker-archive:{}:bomb:1", images.join("bomb").display()));
    let archive = fs::read(images.join("bomb")).unwrap();
    fs::remove_file(images.join("bomb")).unwrap();
    // Behind the image, where nobody has to look, much that weighs little.
    let end = archive.len() - 1024;
    let much = Layer::new().file("zeros", 0o644, vec![0; 24 << 20]).bytes();
    fs::write(images.join("bomb.tar"), [&archive[..end], much.as_slice()].concat()).unwrap();
    run(Command::new("gzip").arg("-1").arg(images.join("bomb.tar")));
    fs::rename(images.join("bomb.tar.gz"), images.join("bomb.tar")).unwrap();
    let usual = ImageLimits::default();
    for (limits, flag) in [
        (ImageLimits { size: 9 << 20, ..usual }, "size"),
        (ImageLimits { entries: 4, ..usual }, "entries"),
    ] {
        world.limit_images(limits);
        let error = refused(&world, "bomb:1");
        assert!(error.contains("bomb.tar: "), "{error}");
        assert!(error.ends_with(&format!("--image-max-{flag} allows")), "{error}");
    }
    world.limit_images(usual);
    assert_eq!(printed(&world, "c", "bomb:1", "cat /which"), "one\n");
}

#[test]
fn a_root_directory_that_is_too_large_is_refused() {
    let Some(mut world) = World::new() else { return };
    let root = world.config.image_dir.join("plain");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy("/bin/busybox", root.join("bin/sh")).unwrap();
    fs::write(root.join("file"), vec![7; 4 << 20]).unwrap();
    let usual = ImageLimits::default();
    for backend in [Backend::Overlay, Backend::Copy] {
        world.restart_with(|isolation| isolation.image_backends = backend.into());
        for (limits, flag) in [
            (ImageLimits { size: 4 << 20, ..usual }, "size"),
            (ImageLimits { entries: 2, ..usual }, "entries"),
            (ImageLimits { depth: 1, ..usual }, "depth"),
        ] {
            world.limit_images(limits);
            let error = refused(&world, "plain");
            assert!(error.starts_with("image plain:latest: "), "{error}");
            assert!(error.ends_with(&format!("--image-max-{flag} allows")), "{error}");
        }
        world.limit_images(usual);
        assert_eq!(printed(&world, "c", "plain", "echo here"), "here\n");
    }
}
