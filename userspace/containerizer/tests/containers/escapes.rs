//! Ways out of a container, tried from inside. That an attempt is well made is shown too: it goes
//! through, or comes further, in a container that is open.

mod calls;
mod disks;
mod files;
mod limits;
mod neighbours;
mod processes;
mod programs;
mod races;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use muster_containerizer::{ContainerSpec, Termination};

use super::image::{Image, Layer, busybox};
use super::world::{World, example};

/// Left out of what makes a container closed, so that only namespaces are there.
const OPEN: &str = "-linux/seccomp,-linux/capabilities,-linux/nnp";

/// The errors that the kernel gave to attempts, 0 for none, by their command lines.
type Errors = BTreeMap<String, i32>;

/// A world with the image `escape`: busybox and the program that tries.
pub(crate) fn world() -> Option<World> {
    let world = World::new()?;
    image(&world, "escape", Layer::new());
    Some(world)
}

/// Makes an image of busybox, the program that tries as `/escape`, and `more`.
fn image(world: &World, name: &str, more: Layer) {
    let program = example("escape");
    let mut layer = more.file("escape", 0o755, std::fs::read(&program).unwrap());
    for library in libraries(&program) {
        let path = library.to_str().unwrap().trim_start_matches('/');
        layer = layer.file(path, 0o755, std::fs::read(&library).unwrap());
    }
    let image = Image::new(&world.config.image_dir, name).layer(busybox());
    // Not compressed: it is large, and made for every test.
    image.blob("application/vnd.oci.image.layer.v1.tar", &layer.bytes()).tag("latest");
}

/// What the dynamic linker loads for `program`, and itself (`ld.so(8)`).
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new(program).env("LD_TRACE_LOADED_OBJECTS", "1").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let paths = text.lines().filter_map(|line| {
        line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from)
    });
    let found: Vec<PathBuf> = paths.collect();
    assert!(found.len() >= 2, "{text}");
    found
}

/// A container that makes `attempts` one after the other, each by a process of its own.
pub(crate) fn trying(world: &World, id: &str, attempts: &[&str]) -> ContainerSpec {
    let lines: Vec<String> = attempts.iter().map(|attempt| format!("/escape {attempt}")).collect();
    ContainerSpec { image: Some("escape".into()), ..world.shell(id, &lines.join("\n")) }
}

/// Runs `spec`, made by [`trying`], and reads what became of the attempts.
fn errors(world: &World, spec: ContainerSpec, attempts: &[&str]) -> Errors {
    let id = spec.id.clone();
    let (termination, output) = world.finish(spec);
    let complaints = std::fs::read_to_string(world.sandbox(&id).join("stderr")).unwrap();
    assert_eq!(termination, Termination::Exited(0), "{output}{complaints}");
    assert_eq!(output.lines().count(), attempts.len(), "{output}{complaints}");
    let read = |(attempt, line): (&&str, &str)| {
        let errno = line.split(' ').nth(1).unwrap().parse().unwrap();
        ((*attempt).to_owned(), errno)
    };
    attempts.iter().zip(output.lines()).map(read).collect()
}

/// Checks that attempts fail with these errors, and with others or none where all is open.
fn assert_only_open(world: &mut World, attempts: &[(&str, i32)]) {
    let names: Vec<&str> = attempts.iter().map(|(name, _)| *name).collect();
    let closed = errors(world, trying(world, "closed", &names), &names);
    let usual = world.config.isolation.names.clone();
    world.restart_with(|isolation| isolation.names = OPEN.into());
    let open = errors(world, trying(world, "open", &names), &names);
    world.restart_with(|isolation| isolation.names = usual);
    for (name, errno) in attempts {
        assert_eq!(closed[*name], *errno, "{name}, in a closed container");
        assert_ne!(open[*name], *errno, "{name}: it would fail anywhere");
    }
}
