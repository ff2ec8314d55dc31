//! Containers for tests of isolators.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::draft::Places;
use super::{Draft, Isolator, Request, Subject};
use crate::cgroup::{Group, Version, fake};
use crate::image::Image;
use crate::launch::plan::Plan;
use crate::{CommandSpec, ContainerSpec, Error, Resources};

/// A specification with nothing special.
pub(crate) fn spec() -> ContainerSpec {
    ContainerSpec {
        id: "c".into(),
        command: Some(CommandSpec::Argv(vec!["c".into()])),
        sandbox: "/work/sandbox".into(),
        ..ContainerSpec::default()
    }
}

/// An image with the given `config` (image-spec's), and one layer.
pub(crate) fn image(config: &str) -> Image {
    let text = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}},
            "config":{config}}}"#
    );
    Image {
        config: serde_json::from_str(&text).unwrap(),
        layers: vec!["/layer".into()],
        places: Some("/places".into()),
        backend: crate::image::Backend::Overlay,
    }
}

/// What `isolators`, one after the other, plan for `spec`.
pub(crate) fn plan(
    isolators: &[(&'static str, &dyn Isolator)],
    spec: &ContainerSpec,
    image: Option<&Image>,
) -> Result<Plan, Error> {
    Ok(planned(isolators, spec, image)?.0)
}

/// The same, with their notes.
pub(crate) fn planned(
    isolators: &[(&'static str, &dyn Isolator)],
    spec: &ContainerSpec,
    image: Option<&Image>,
) -> Result<(Plan, BTreeMap<String, Value>), Error> {
    planned_with(isolators, spec, image, &[])
}

/// The same, with images for its volumes.
pub(crate) fn planned_with(
    isolators: &[(&'static str, &dyn Isolator)],
    spec: &ContainerSpec,
    image: Option<&Image>,
    volume_images: &[Image],
) -> Result<(Plan, BTreeMap<String, Value>), Error> {
    let names: Vec<&str> = isolators.iter().map(|(name, _)| *name).collect();
    let request = Request {
        spec,
        parent: None,
        image,
        volume_images,
        isolators: &names,
        scratch: Path::new("/work/.c"),
    };
    let mut draft = Draft::new(&request);
    for (name, isolator) in isolators {
        draft.hand_to(name);
        isolator.prepare(&request, &mut draft)?;
    }
    let directory = tempfile::tempdir().unwrap();
    draft.finish(&request, places(directory.path(), Version::V2))
}

fn places(directory: &Path, version: Version) -> Places {
    let trees = fake::trees(directory, version);
    let group = Group::new(&trees, "c", &trees.controllers());
    Places { checkpoint: "/run/containers/c".into(), group, around: None }
}

/// A container whose cgroups are plain `files`, by path and text, below a directory of
/// [`fake::trees`].
pub(crate) fn subject(version: Version, files: &[(&str, &str)]) -> (TempDir, Subject) {
    let directory = tempfile::tempdir().unwrap();
    let places = places(directory.path(), version);
    for (path, text) in files {
        std::fs::write(directory.path().join(path), text).unwrap();
    }
    let spec = spec();
    let scratch = directory.path().join(".c.rootfs");
    let request = Request {
        spec: &spec,
        parent: None,
        image: None,
        volume_images: &[],
        isolators: &[],
        scratch: &scratch,
    };
    let (plan, notes) = Draft::new(&request).finish(&request, places).unwrap();
    let subject = Subject {
        id: "c".into(),
        parent: None,
        origin: crate::Origin::Agent,
        isolators: Vec::new(),
        notes,
        resources: Resources::default(),
        plan,
    };
    (directory, subject)
}
