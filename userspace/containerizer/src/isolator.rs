//! Isolators: each keeps a container within one kind of limit, or gives it one kind of thing
//! of its own. What a container is comes out of what all of them say.
//!
//! Their life cycle is Mesos'. Each has a file whose path is its name, and a row in
//! [`table`], which is also their order: they work strictly one after the other.

mod cgroups;
mod chain;
mod disk;
mod docker;
mod draft;
mod environment_secret;
mod external;
mod filesystem;
mod gpu;
mod isolation;
mod linux;
mod namespaces;
mod posix;
mod subject;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod volume;

use std::pin::Pin;
use std::sync::Arc;

use crate::cgroup::{Controller, Hierarchies};
use crate::{Error, Limitation, Resources, Status, Usage};

pub(crate) use cgroups::exceeded;
pub(crate) use chain::Isolators;
pub use disk::ProjectRange;
use draft::PATH;
pub(crate) use draft::{Draft, Places};
pub use gpu::nvidia::gpus;
pub use isolation::Isolation;
pub(crate) use subject::{Request, Subject};

/// Comes to an end when a container goes over a limit that the kernel does not enforce.
/// Holds nothing of the containerizer.
pub(crate) type Watch = Pin<Box<dyn Future<Output = Limitation> + Send>>;

/// One kind of isolation. All but [`Self::watch`] may block.
pub(crate) trait Isolator: Send + Sync {
    /// Whether this machine can do it. Asked once, if it is chosen.
    fn check(&self, _hierarchies: &Hierarchies) -> Result<(), Error> {
        Ok(())
    }

    /// The cgroup controllers that containers have to be under for it.
    fn controllers(&self) -> &'static [Controller] {
        &[]
    }

    /// Decides: adds to the draft what the container gets. Nothing is made yet, and nothing
    /// remembered but what [`Self::forget`] forgets: there may be no container in the end.
    fn prepare(&self, _request: &Request<'_>, _draft: &mut Draft) -> Result<(), Error> {
        Ok(())
    }

    /// Makes what has to be there before the helper starts. The checkpoint is on disk and the
    /// cgroups are there, still empty. Should this fail, [`Self::cleanup`] follows.
    fn isolate(&self, _subject: &Subject) -> Result<(), Error> {
        Ok(())
    }

    /// What is to be waited for while the container runs, in this run of the agent or the
    /// next: if it comes, the container is killed. Within a runtime.
    fn watch(&self, _subject: &Arc<Subject>) -> Option<Watch> {
        None
    }

    /// Other resources for a running container. They are on disk by now; after a crash this
    /// is called again.
    fn update(&self, _subject: &Subject, _resources: &Resources) -> Result<(), Error> {
        Ok(())
    }

    /// Adds what a running container has used.
    fn usage(&self, _subject: &Subject, _usage: &mut Usage) -> Result<(), Error> {
        Ok(())
    }

    /// Adds what there is to tell of a running container.
    fn status(&self, _subject: &Subject, _status: &mut Status) -> Result<(), Error> {
        Ok(())
    }

    /// Removes what [`Self::isolate`] made, or may have made: whatever of it is there. No
    /// process is left in the container, and its cgroups are gone. May be called again.
    fn cleanup(&self, _subject: &Subject) -> Result<(), Error> {
        Ok(())
    }

    /// There is no container `id`, though it was prepared, or no longer: what was set aside for
    /// it is free.
    fn forget(&self, _id: &str) {}

    /// The containers of earlier runs of the agent that it prepared. Called once, before any
    /// other is launched. There are no others that anything could be left of, but those whose
    /// checkpoint cannot be read.
    fn recover(&self, _known: &[Arc<Subject>]) -> Result<(), Error> {
        Ok(())
    }
}
