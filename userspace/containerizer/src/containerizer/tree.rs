//! Which containers are nested in which.

use std::collections::BTreeSet;
use std::collections::hash_map;
use std::sync::Arc;

use super::Inner;
use super::entry::{Entry, State};
use crate::{ContainerSpec, Error, id};

impl Inner {
    /// Takes a new container into the table, to be launched: if its name is free, and the
    /// container around it runs and is not being destroyed.
    pub(super) fn enlist(&self, spec: &ContainerSpec) -> Result<Arc<Entry>, Error> {
        let name = spec.name();
        let mut containers = self.containers();
        if let Some(parent) = &spec.parent {
            let around = containers.get(parent);
            let around = around.ok_or_else(|| Error::NotFound { id: parent.clone() })?;
            if around.is_closed() || !matches!(around.state(), State::Running(_)) {
                return Err(Error::NotRunning { id: parent.clone() });
            }
        }
        // One of an earlier run that has not been taken over.
        if self.checkpoints.get(&name).exists() {
            return Err(Error::Exists { id: name });
        }
        let entry = Entry::launching(&name);
        match containers.entry(name) {
            hash_map::Entry::Occupied(known) => Err(Error::Exists { id: known.key().clone() }),
            hash_map::Entry::Vacant(vacant) => Ok(Arc::clone(vacant.insert(entry))),
        }
    }

    /// Lets nothing more be launched in the container of `entry`; the names of those that are
    /// nested in it, but not of those in these.
    pub(super) fn close(&self, entry: &Entry) -> Result<BTreeSet<String>, Error> {
        let containers = self.containers();
        entry.close();
        let of_it = |name: &&String| id::split(name).0 == Some(entry.id());
        let mut nested: BTreeSet<_> = containers.keys().filter(of_it).cloned().collect();
        drop(containers);
        // Those of an earlier run that have not been taken over.
        nested.extend(self.checkpoints.nested(entry.id())?);
        Ok(nested)
    }

    /// Whether the container around the one with this name runs, if there is one.
    pub(super) fn is_held(&self, name: &str) -> bool {
        id::split(name).0.is_none_or(|parent| self.running(parent).is_ok())
    }
}
