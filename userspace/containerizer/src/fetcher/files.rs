//! Fetching for containers that others run.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Cancel, Fetcher, Fetching, Progress, Uri, Wanted};
use crate::Error;

/// A fetcher that several share. Cheap to clone.
#[derive(Clone)]
pub struct Files(Arc<Fetcher>);

/// Gives the work up when nobody waits for it any more.
struct GivenUp(Cancel);

impl Files {
    /// A fetcher with an empty cache, whose directory is its own; `certificates` is whom to trust,
    /// the system's if `None`.
    ///
    /// # Errors
    /// When the cache cannot be made.
    pub fn new(settings: Fetching, certificates: Option<PathBuf>) -> Result<Self, Error> {
        Ok(Self(Arc::new(Fetcher::new(settings, certificates)?)))
    }

    pub(crate) fn fetcher(&self) -> &Fetcher {
        &self.0
    }

    /// Puts what `uris` name, for `user`, into the sandbox of a container that does not run yet.
    /// Given up when the future is dropped, though not at once. Within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Fetch`] names the URI.
    pub async fn fetch(
        &self,
        container: &str,
        uris: &[Uri],
        user: &str,
        sandbox: &Path,
        progress: &Progress,
    ) -> Result<(), Error> {
        if uris.is_empty() {
            return Ok(());
        }
        let given_up = GivenUp(Cancel::default());
        let (files, progress, cancel) = (self.clone(), progress.clone(), given_up.0.clone());
        let (container, uris) = (container.to_owned(), uris.to_vec());
        let (user, sandbox) = (user.to_owned(), sandbox.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let wanted =
                Wanted { container: &container, uris: &uris, user: &user, sandbox: &sandbox };
            files.0.fetch(&wanted, &cancel, &progress).map(drop)
        });
        work.await.map_err(|_| Error::Interrupted)?
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files")
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
