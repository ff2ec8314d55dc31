//! Root directories as images: somebody else's, who may change them at any time.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::ImageLimits;
use super::limits::{Budget, Measure};

/// Those that were found to be within the limits since this process started.
#[derive(Debug, Default)]
pub(crate) struct Roots(Mutex<BTreeSet<PathBuf>>);

impl Roots {
    /// Checks the directory `root` against `limits`: once, or each time if it is `copied`.
    ///
    /// # Errors
    /// [`super::limits::Exceeded`] within, or something cannot be read.
    pub(crate) fn check(&self, root: &Path, limits: ImageLimits, copied: bool) -> io::Result<()> {
        // Nothing is ever half done under this lock.
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !copied && known().contains(root) {
            return Ok(());
        }
        measure(root, limits)?;
        known().insert(root.to_owned());
        Ok(())
    }
}

/// Goes over all in `root` until a limit is exceeded. No link is followed, and what is mounted
/// there is no part of the image. A file counts once, whatever names it has.
fn measure(root: &Path, limits: ImageLimits) -> io::Result<()> {
    let budget = Budget::new(limits);
    let device = fs::metadata(root)?.dev();
    let mut linked = HashSet::new();
    let mut left = vec![(root.to_owned(), 1)];
    while let Some((directory, depth)) = left.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let found = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                found => found?,
            };
            if found.dev() != device {
                continue;
            }
            let counts = found.is_file() && (found.nlink() < 2 || linked.insert(found.ino()));
            let bytes = if counts { found.len() } else { 0 };
            budget.take(Measure { bytes, entries: 1 }).map_err(io::Error::other)?;
            limits.depth(depth).map_err(io::Error::other)?;
            if found.is_dir() {
                left.push((entry.path(), depth + 1));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_found_out() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("a/b")).unwrap();
        fs::write(top.path().join("a/b/file"), vec![1; 60]).unwrap();
        fs::hard_link(top.path().join("a/b/file"), top.path().join("again")).unwrap();
        std::os::unix::fs::symlink("/", top.path().join("link")).unwrap();
        let limits = ImageLimits { size: 60, entries: 5, depth: 3, ..ImageLimits::default() };
        let roots = Roots::default();
        roots.check(top.path(), limits, false).unwrap();
        for (small, flag) in [
            (ImageLimits { size: 59, ..limits }, "size"),
            (ImageLimits { entries: 4, ..limits }, "entries"),
            (ImageLimits { depth: 2, ..limits }, "depth"),
        ] {
            let error = Roots::default().check(top.path(), small, false).unwrap_err().to_string();
            assert!(error.ends_with(&format!("--image-max-{flag} allows")), "{error}");
            // It is known, unless it would be copied now.
            roots.check(top.path(), small, false).unwrap();
            assert!(roots.check(top.path(), small, true).is_err());
        }
    }
}
