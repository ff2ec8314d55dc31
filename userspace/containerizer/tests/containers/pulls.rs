//! Images from a registry.

use std::fs;
use std::path::PathBuf;

use muster_containerizer::{ContainerSpec, Registries, Secret, Termination};
use serde_json::json;

use super::image::{Image, Layer, busybox, noise};
use super::registry::{Line, Options, Registry};
use super::world::World;

/// `user:pass` in base64.
const AUTH: &str = "dXNlcjpwYXNz";

pub(crate) fn of(id: &str, image: &str, world: &World) -> ContainerSpec {
    ContainerSpec { image: Some(image.into()), ..world.shell(id, "cat /etc/which") }
}

/// A layout outside the store: busybox, and a file that says which image this is.
pub(crate) fn layout(world: &World, which: &str, more: &[Vec<u8>]) -> PathBuf {
    let directory = world.directory.path().join("layouts");
    let mut image = Image::new(&directory, which).layer(busybox()).layer(Layer::new().file(
        "etc/which",
        0o644,
        which,
    ));
    for (number, content) in more.iter().enumerate() {
        image = image.layer(Layer::new().file(&format!("big{number}"), 0o644, content));
    }
    image.tag("t");
    directory.join(which)
}

pub(crate) fn plain(hosts: &[&str]) -> Registries {
    let insecure = hosts.iter().map(|&host| host.to_owned()).collect();
    Registries { default: Some(format!("http://{}", hosts[0])), insecure, ..Registries::default() }
}

fn refused(world: &World, image: &str) -> String {
    let error = world.launch(of("refused", image, world)).unwrap_err().to_string();
    assert!(world.remains("refused").is_empty());
    error
}

#[test]
fn by_tag_by_digest_and_by_dockers_short_names() {
    let Some(mut world) = World::new() else { return };
    let registry = Registry::start(Options::default());
    let host = registry.host.clone();
    world.pull_from(plain(&[&host]));
    let one = layout(&world, "one", &[]);
    registry.push(&one, "t", "app:latest", &["--format=v2s2"]);
    registry.push(&one, "t", "team/app:1", &["--format=oci"]);
    for (id, image) in
        [("a", "app".to_owned()), ("b", format!("{host}/app")), ("c", "team/app:1".into())]
    {
        assert_eq!(world.finish(of(id, &image, &world)).1, "one", "{image}");
    }
    let index = fs::read_to_string(one.join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    assert_eq!(world.finish(of("d", &format!("team/app@{digest}"), &world)).1, "one");

    // A tag that was moved is only looked at when asked to; what a digest names stays.
    registry.push(&layout(&world, "two", &[]), "t", "team/app:1", &[]);
    assert_eq!(world.finish(of("e", "team/app:1", &world)).1, "one");
    let forced = ContainerSpec { force_pull: true, ..of("f", "team/app:1", &world) };
    assert_eq!(world.finish(forced).1, "two");
    assert_eq!(world.finish(of("g", &format!("team/app@{digest}"), &world)).1, "one");
    // Nothing is asked about what is here, nor of what has a layout.
    drop(registry);
    assert_eq!(world.finish(of("h", "team/app:1", &world)).1, "two");
    world.output("i", "true");
    let error = refused(&world, "team/other:1");
    assert!(error.starts_with(&format!("image team/other:1: registry {host}: get man")), "{error}");
}

#[test]
fn refusals_name_registry_step_status_and_remedy() {
    let Some(mut world) = World::new() else { return };
    let registry = Registry::start(Options::default());
    world.pull_from(plain(&[&registry.host]));
    assert_eq!(
        refused(&world, "none:9"),
        format!(
            "image none:9: registry {}: get manifest 9: 404 Not Found; there is no such \
             repository, tag or digest: check the name",
            registry.host
        )
    );
    world.pull_from(Registries::default());
    let error = refused(&world, &format!("{}/none", registry.host));
    assert!(error.contains("get manifest latest: "), "TLS with one that has none: {error}");
}

#[test]
fn mirrors_come_first_and_may_lack_it() {
    let Some(mut world) = World::new() else { return };
    let (registry, mirror) =
        (Registry::start(Options::default()), Registry::start(Options::default()));
    let mirrors = vec![format!("http://{}", mirror.host)];
    world.pull_from(Registries { mirrors, ..plain(&[&registry.host, &mirror.host]) });
    registry.push(&layout(&world, "far", &[]), "t", "both", &[]);
    registry.push(&layout(&world, "far", &[]), "t", "single", &[]);
    mirror.push(&layout(&world, "near", &[]), "t", "both", &[]);
    assert_eq!(world.finish(of("a", "both", &world)).1, "near");
    assert_eq!(world.finish(of("b", "single", &world)).1, "far");
}

#[test]
fn passwords_and_certificates() {
    let Some(mut world) = World::new() else { return };
    let registry = Registry::start(Options { password: true, tls: true });
    let host = registry.host.clone();
    registry.push(&layout(&world, "secret", &[]), "t", "app", &[]);
    let image = format!("{host}/app");
    world.pull_from(Registries::default());
    let error = refused(&world, &image);
    assert!(error.contains("certificate"), "{error}");

    let certificates = Some(registry.certificate());
    let registries = Registries { certificates, ..Registries::default() };
    world.pull_from(registries.clone());
    let error = refused(&world, &image);
    assert!(error.contains("401 Unauthorized; give credentials in --docker-config"), "{error}");
    let config = |auth: &str| json!({"auths": {&host: {"auth": auth}}}).to_string();
    let secret = |auth| Some(Secret::new(config(auth)));
    let wrong = ContainerSpec { image_config: secret("dXNlcjp4"), ..of("w", &image, &world) };
    let error = world.launch(wrong).unwrap_err().to_string();
    assert!(error.contains("401 Unauthorized; the credentials of"), "{error}");
    let own = ContainerSpec { image_config: secret(AUTH), ..of("a", &image, &world) };
    assert_eq!(world.finish(own).1, "secret");

    fs::remove_dir_all(world.config.image_dir.join(".registry")).unwrap();
    world.pull_from(Registries { config: Some(config(AUTH)), ..registries });
    assert_eq!(world.finish(of("b", &image, &world)).1, "secret");
}

#[test]
fn broken_connections_and_killed_agents_do_not_start_over() {
    let Some(mut world) = World::new() else { return };
    let registry = Registry::start(Options::default());
    let source = layout(&world, "big", &[noise("", 3 << 20)]);
    registry.push(&source, "t", "big", &[]);
    let line = Line::to(&registry, 1 << 20);
    world.pull_from(plain(&[&line.host]));
    assert_eq!(world.finish(of("a", "big", &world)).1, "big");
    assert!(line.asked("range: bytes=").len() >= 3, "{:?}", line.asked("range"));

    // As a killed agent leaves it: half a layer, and another half of something else.
    let store = world.config.image_dir.join(".registry");
    let big = fs::read_dir(store.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let big = big.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let name = big.file_name().unwrap();
    for (id, spoilt) in [("b", false), ("c", true)] {
        let mut half = fs::read(&big).unwrap();
        half.truncate(2_000_000);
        half[0] ^= u8::from(spoilt);
        fs::rename(&big, store.join("partial").join(name)).unwrap();
        fs::write(store.join("partial").join(name), half).unwrap();
        fs::remove_dir_all(world.config.image_dir.join(".layers")).unwrap();
        assert_eq!(world.finish(of(id, "big", &world)).1, "big");
        assert!(!line.asked("range: bytes=2000000-").is_empty());
    }
}

#[test]
fn many_tasks_pull_once() {
    let Some(mut world) = World::new() else { return };
    let registry = Registry::start(Options::default());
    let source =
        layout(&world, "app", &[noise("", 100_000), noise("", 200_000), noise("", 300_000)]);
    registry.push(&source, "t", "app", &[]);
    let line = Line::to(&registry, u64::MAX);
    world.pull_from(plain(&[&line.host]));
    let specs: Vec<_> = (0..8).map(|n| of(&format!("c{n}"), "app", &world)).collect();
    world.launch_all(specs);
    for number in 0..8 {
        assert_eq!(world.wait(&format!("c{number}")), Termination::Exited(0));
    }
    assert_eq!(line.asked("get /v2/app/manifests/").len(), 1);
    // Config and five layers.
    assert_eq!(line.asked("get /v2/app/blobs/").len(), 6);
}

#[test]
fn damaged_blobs_are_refused() {
    let Some(mut world) = World::new() else { return };
    let registry = Registry::start(Options::default());
    registry.push(&layout(&world, "app", &[noise("", 50_000)]), "t", "app", &[]);
    let last = Image::new(&world.directory.path().join("layouts"), "x").layer(Layer::new().file(
        "big0",
        0o644,
        noise("", 50_000),
    ));
    let digest = last.last_layer();
    registry.damage(&digest);
    world.pull_from(plain(&[&registry.host]));
    let error = refused(&world, "app");
    assert!(error.contains(&format!("get blob {digest}: what it gives has another")), "{error}");
    let shelf = world.config.image_dir.join(".registry");
    assert!(!shelf.join("blobs").join(digest.replace(':', "/")).exists());
}
