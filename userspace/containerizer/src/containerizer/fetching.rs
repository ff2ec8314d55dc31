//! What a container wants in its sandbox.

use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::Arc;

use super::entry::Entry;
use super::{Containerizer, Inner, blocking};
use crate::fetcher::{Cancel, Files, Wanted};
use crate::isolator::Subject;
use crate::launch::make_beneath;
use crate::{ContainerSpec, Error, FetchingUri};

impl Containerizer {
    /// What fetches files, for containers that others run: its cache is this one's.
    pub fn files(&self) -> Files {
        self.inner.files.clone()
    }

    /// The file that is on its way into the sandbox of a container that is being launched; `None`
    /// if there is none.
    pub fn fetching(&self, id: &str) -> Option<FetchingUri> {
        self.inner.known(id).ok()?.fetching.now()
    }
}

/// Fetches what `spec` wants, and notes in the plan what has come, so that it becomes its
/// user's. Of the container nothing is made yet: a launch that ends here, whoever or whatever
/// ends it, leaves only files in the sandbox.
pub(super) async fn fetch(
    inner: &Arc<Inner>,
    entry: &Entry,
    spec: ContainerSpec,
    mut subject: Subject,
) -> Result<Subject, Error> {
    let cancel = Cancel::default();
    let progress = entry.fetching.clone();
    let work = blocking({
        let (inner, cancel) = (Arc::clone(inner), cancel.clone());
        move || {
            let plan = &subject.plan;
            // A container around this one could lead its path elsewhere meanwhile.
            let below = plan.sandbox.strip_prefix(&plan.sandbox_top).unwrap_or(Path::new(""));
            let held = make_beneath(&plan.sandbox_top, below)?;
            let sandbox = format!("/proc/self/fd/{}", held.as_raw_fd());
            let wanted = Wanted {
                container: &subject.id,
                uris: &spec.uris,
                user: &plan.process.user,
                sandbox: Path::new(&sandbox),
            };
            subject.plan.fetched = inner.files.fetcher().fetch(&wanted, &cancel, &progress)?;
            Ok(subject)
        }
    });
    tokio::select! {
        fetched = work => fetched,
        () = entry.cancelled() => {
            cancel.cancel();
            Err(Error::Cancelled { id: entry.id().to_owned() })
        }
    }
}
