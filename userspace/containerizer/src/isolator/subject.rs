//! Containers, as isolators see them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::image::Image;
use crate::launch::plan::{Plan, Root, Spread, What};
use crate::spec::SANDBOX;
use crate::{ContainerSpec, Error, Origin, Resources, SecretData};

/// A container that is wanted.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    /// What the caller wants.
    pub(crate) spec: &'a ContainerSpec,
    /// The container that it is nested in.
    pub(crate) parent: Option<&'a Subject>,
    /// Its image, which is ready to be mounted.
    pub(crate) image: Option<&'a Image>,
    /// The images of its volumes that are images, in their order, as ready.
    pub(crate) volume_images: &'a [Image],
    /// The names of all isolators that it gets.
    pub(crate) isolators: &'a [&'static str],
    /// The directory that will be for what only this container needs: whoever makes something
    /// in it makes it in `isolate`, after `filesystem/linux` has made the directory.
    pub(crate) scratch: &'a Path,
}

impl Request<'_> {
    /// Whether it gets the isolator `name` too.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.isolators.contains(&name)
    }

    /// Whether its root filesystem is an image's, its own or its parent's, and not the host's.
    pub(crate) fn in_image(&self) -> bool {
        self.image.is_some() || self.parent.is_some_and(|parent| parent.plan.root.is_image())
    }

    /// Its root filesystem if it has no image.
    pub(crate) fn root_without_image(&self) -> Root {
        match self.parent {
            Some(parent) => Root::Parent { image: parent.plan.root.is_image() },
            None => Root::Host,
        }
    }

    /// Where its sandbox is inside.
    pub(crate) fn sandbox_inside(&self) -> PathBuf {
        if self.in_image() { SANDBOX.into() } else { self.spec.sandbox.clone() }
    }

    /// The directory above its sandbox, or itself, to which no container can write a link.
    pub(crate) fn sandbox_top(&self) -> &Path {
        self.parent.map_or(&self.spec.sandbox, |parent| &parent.plan.sandbox_top)
    }

    /// The file or directory `path`, which is its sandbox or in it or in its parent's.
    pub(crate) fn sandboxed(&self, path: &Path) -> What {
        let top = self.sandbox_top();
        let beneath = path.strip_prefix(top).ok().filter(|below| !below.as_os_str().is_empty());
        What::Host {
            path: top.to_owned(),
            beneath: beneath.map(Path::to_owned),
            recursive: true,
            propagation: Spread::None,
        }
    }
}

/// A container that has been decided on. All of it is in its checkpoint, so that every step
/// after a crash is taken with what the steps before it were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    /// Its name (see [`crate::nested_id`]).
    pub(crate) id: String,
    /// The name of the container that it is nested in.
    pub(crate) parent: Option<String>,
    /// Who it is there for.
    #[serde(default)]
    pub(crate) origin: Origin,
    /// The isolators that it was prepared by, in their order: only these have to do with it,
    /// whatever the agent is told to use by now.
    pub(crate) isolators: Vec<String>,
    /// What isolators noted about it for themselves, by their names.
    pub(crate) notes: BTreeMap<String, Value>,
    /// What it may use, as it was launched.
    pub(crate) resources: Resources,
    /// What its helper carries out.
    pub(crate) plan: Plan,
}

impl Subject {
    /// The same without what is in files of secrets: only the helper is told that.
    pub(crate) fn without_secrets(&self) -> Self {
        let mut kept = self.clone();
        for mount in &mut kept.plan.mounts {
            if let What::Secret(secret) = &mut mount.what {
                *secret = SecretData::default();
            }
        }
        kept
    }

    /// What `isolator` noted with [`super::Draft::note`].
    pub(crate) fn note<T: DeserializeOwned>(&self, isolator: &str) -> Result<Option<T>, Error> {
        let note = self.notes.get(isolator).cloned().map(serde_json::from_value).transpose();
        note.map_err(|error| Error::Checkpoint {
            path: self.plan.checkpoint.clone(),
            reason: format!("the note of {isolator}: {error}"),
        })
    }
}
