//! A place where files may be made, with something beside it that must stay as it is.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use muster_containerizer::ImageLimits;
use tempfile::TempDir;

/// What an image may have here: little, so that little is made.
pub(crate) const LIMITS: ImageLimits =
    ImageLimits { size: 128 << 10, entries: 64, layers: 4, depth: 8, ratio: 50 };

/// In memory where that can be, as it is made for every input.
const MEMORY: &str = "/dev/shm";

/// Tries something in a place made for it, which is checked afterwards; nothing without root.
pub(crate) fn on_ground(tried: impl FnOnce(&Ground) -> io::Result<()>) {
    let made = Ground::new().and_then(|ground| match ground {
        Some(ground) => tried(&ground).and_then(|()| ground.check()),
        None => Ok(()),
    });
    if let Err(error) = made {
        unreachable!("there is no place to try it in: {error}");
    }
}

/// The place, and a file and a directory beside it.
pub(crate) struct Ground {
    top: TempDir,
    before: Vec<[i64; 8]>,
}

impl Ground {
    /// `None` if this process is not root, who alone can extract layers.
    pub(crate) fn new() -> io::Result<Option<Self>> {
        if !rustix::process::getuid().is_root() {
            return Ok(None);
        }
        let place = if Path::new(MEMORY).is_dir() { MEMORY.into() } else { std::env::temp_dir() };
        let top = tempfile::Builder::new().prefix("muster-fuzz-").tempdir_in(place)?;
        DirBuilder::new().mode(0o700).create(top.path().join("root"))?;
        fs::write(top.path().join("beside"), "untouched")?;
        fs::create_dir(top.path().join("a"))?;
        let mut ground = Self { top, before: Vec::new() };
        ground.before = ground.beside()?;
        Ok(Some(ground))
    }

    /// The place.
    pub(crate) fn root(&self) -> PathBuf {
        self.top.path().join("root")
    }

    /// Fails if anything but the place was changed.
    pub(crate) fn check(&self) -> io::Result<()> {
        assert_eq!(self.beside()?, self.before, "something beside the root was touched");
        assert_eq!(fs::read(self.top.path().join("beside"))?, b"untouched");
        assert_eq!(fs::read_dir(self.top.path())?.count(), 3);
        assert_eq!(fs::read_dir(self.top.path().join("a"))?.count(), 0);
        Ok(())
    }

    /// What must not change; the place itself only its entry here.
    fn beside(&self) -> io::Result<Vec<[i64; 8]>> {
        let of = |path: PathBuf| fs::symlink_metadata(path).map(|found| figures(&found));
        let top = self.top.path();
        [top.to_owned(), top.join("beside"), top.join("a")].into_iter().map(of).collect()
    }
}

fn figures(found: &Metadata) -> [i64; 8] {
    let unsigned = [found.ino(), found.nlink(), found.len()].map(u64::cast_signed);
    let [inode, links, length] = unsigned;
    let owner = i64::from(found.uid()) << 32 | i64::from(found.gid());
    let (modified, changed) = (found.mtime(), found.ctime());
    let nanoseconds = found.mtime_nsec() << 32 | found.ctime_nsec();
    [inode, links, length, owner, found.mode().into(), modified, changed, nanoseconds]
}

/// What is in a tree.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// Names of files, directories, links and the rest, but for the root itself.
    pub(crate) names: u64,
    /// Names in each other.
    pub(crate) deepest: u64,
    /// Bytes of files, once each.
    pub(crate) bytes: u64,
}

/// Counts what is in `root`, no link followed.
pub(crate) fn census(root: &Path) -> io::Result<Census> {
    let mut census = Census::default();
    let mut seen = std::collections::BTreeSet::new();
    let mut left = vec![(root.to_owned(), 0)];
    while let Some((directory, depth)) = left.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let found = entry.metadata()?;
            census.names += 1;
            census.deepest = census.deepest.max(depth + 1);
            if found.is_dir() {
                left.push((entry.path(), depth + 1));
            } else if found.is_file() && seen.insert(found.ino()) {
                census.bytes += found.len();
            }
        }
    }
    Ok(census)
}
