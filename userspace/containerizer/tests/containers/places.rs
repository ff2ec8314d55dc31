//! Places for mounts, made once for an image.

use std::fs;
use std::path::PathBuf;

use super::image::{Image, Layer, busybox};
use super::world::World;
use muster_containerizer::ContainerSpec;

fn of(world: &World, id: &str, image: &str, line: &str) -> ContainerSpec {
    ContainerSpec { image: Some(image.into()), ..world.shell(id, line) }
}

fn entries(path: PathBuf) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_container_makes_none_of_its_own() {
    let Some(world) = World::new() else { return };
    world.launch(world.shell("c", "sleep 1000")).unwrap();
    let upper = world.work().join(".c.rootfs/upper");
    assert_eq!(entries(upper), [""; 0]);
    let places = world.config.image_dir.join(".layers/places");
    assert_eq!(entries(places.clone()).len(), 1);
    world.output("d", "true");
    assert_eq!(entries(places).len(), 1, "the same for both");
    world.run(world.containerizer().destroy("c")).unwrap();
}

#[test]
fn directories_and_links_of_the_image_stay_as_they_are() {
    let Some(world) = World::new() else { return };
    let layer = busybox()
        .directory("media/", 0o700)
        .directory("etc/", 0o711)
        .file("etc/hosts", 0o600, "image\n")
        .symlink("mnt", "media");
    Image::new(&world.config.image_dir, "odd").layer(layer).tag("latest");
    let line = "stat -c '%a %n' /media /etc /media/mesos; readlink /mnt; ls /media/mesos/sandbox";
    let (_, output) = world.finish(of(&world, "c", "odd", line));
    assert_eq!(output, "700 /media\n711 /etc\n755 /media/mesos\nmedia\nstderr\nstdout\n");
}

#[test]
fn a_whole_image_of_hidden_directories_is_no_trouble() {
    let Some(world) = World::new() else { return };
    let top = Layer::new()
        .directory("etc/", 0o750)
        .file("etc/.wh..wh..opq", 0, "")
        .file(".wh.mnt", 0, "");
    let low = busybox().directory("mnt/", 0o700).file("etc/old", 0o644, "");
    Image::new(&world.config.image_dir, "hidden").layer(low).layer(top).tag("latest");
    let line = "ls /etc; stat -c %a /etc /mnt; ls /mnt/mesos/sandbox";
    let (_, output) = world.finish(of(&world, "c", "hidden", line));
    let output = output.replace("resolv.conf\n", "").replace("hosts\n", "");
    assert_eq!(output.replace("hostname\n", ""), "750\n755\nstderr\nstdout\n");
}
