//! Containers, as isolators see them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::image::Image;
use crate::launch::plan::Plan;
use crate::{ContainerSpec, Error, Resources};

/// A container that is wanted.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    /// What the caller wants.
    pub(crate) spec: &'a ContainerSpec,
    /// Its image, which is ready to be mounted.
    pub(crate) image: Option<&'a Image>,
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
}

/// A container that has been decided on. All of it is in its checkpoint, so that every step
/// after a crash is taken with what the steps before it were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    /// Its id.
    pub(crate) id: String,
    /// The container that it is nested in.
    pub(crate) parent: Option<String>,
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
    /// What `isolator` noted with [`super::Draft::note`].
    pub(crate) fn note<T: DeserializeOwned>(&self, isolator: &str) -> Result<Option<T>, Error> {
        let note = self.notes.get(isolator).cloned().map(serde_json::from_value).transpose();
        note.map_err(|error| Error::Checkpoint {
            path: self.plan.checkpoint.clone(),
            reason: format!("the note of {isolator}: {error}"),
        })
    }
}
