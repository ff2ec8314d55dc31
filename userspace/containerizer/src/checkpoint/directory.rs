//! All checkpoints of a containerizer.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{Checkpoint, Container, sync_directory};
use crate::Error;
use crate::error::At as _;
use crate::spec::valid_id;

/// How long another one may take to let go: a killed agent's lock lives on in a helper that
/// was just being started, until its exec.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often that is looked at.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// `<runtime_dir>/containers`, with the right to change it.
pub(crate) struct Checkpoints {
    root: PathBuf,
    /// Locked as long as this is open.
    _lock: File,
}

impl Checkpoints {
    /// Opens the checkpoints in `runtime_dir`, which is made if missing. Only one
    /// containerizer at a time gets them.
    pub(crate) fn open(runtime_dir: &Path) -> Result<Self, Error> {
        let root = runtime_dir.join("containers");
        // Environments hold secrets.
        DirBuilder::new().recursive(true).mode(0o700).create(&root).at("mkdir", &root)?;
        let path = runtime_dir.join("lock");
        let lock = File::create(&path).at("open", &path)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    // Nothing to wait for but time: locks have no events.
                    poll(&mut [], Some(&PAUSE)).at("poll", &path)?;
                }
                Err(Errno::WOULDBLOCK) => {
                    return Err(Error::InUse { path: runtime_dir.to_owned() });
                }
                locked => break locked.at("flock", &path)?,
            }
        }
        let checkpoints = Self { root, _lock: lock };
        for entry in checkpoints.entries()? {
            // Not yet a container, or no longer one, when an earlier agent was killed.
            if !entry.to_str().is_some_and(valid_id) {
                let path = checkpoints.root.join(entry);
                fs::remove_dir_all(&path).at("remove", &path)?;
            }
        }
        Ok(checkpoints)
    }

    /// The checkpoint of `id`, whether it is there or not.
    pub(crate) fn get(&self, id: &str) -> Checkpoint {
        Checkpoint::at(self.root.join(id))
    }

    /// The ids of all containers here.
    pub(crate) fn ids(&self) -> Result<Vec<String>, Error> {
        let mut ids: Vec<String> =
            self.entries()?.into_iter().filter_map(|entry| entry.into_string().ok()).collect();
        ids.retain(|id| valid_id(id));
        ids.sort();
        Ok(ids)
    }

    fn entries(&self) -> Result<Vec<OsString>, Error> {
        let entries = fs::read_dir(&self.root).at("read", &self.root)?;
        entries.map(|entry| Ok(entry.at("read", &self.root)?.file_name())).collect()
    }

    /// Writes a new checkpoint: there as a whole and on disk, or not at all.
    pub(crate) fn create(&self, id: &str, container: &Container) -> Result<Checkpoint, Error> {
        let draft = self.root.join(format!(".new-{id}"));
        let checkpoint = self.get(id);
        let created = fill(&draft, container).and_then(|()| {
            // Fails if there is one already: a directory that is not empty is not replaced.
            fs::rename(&draft, checkpoint.directory()).at("rename", checkpoint.directory())
        });
        if let Err(error) = created {
            remove(&draft)?;
            return Err(error);
        }
        sync_directory(&self.root)?;
        Ok(checkpoint)
    }

    /// Removes a checkpoint, at once as a whole; nothing if it is not there.
    pub(crate) fn remove(&self, id: &str) -> Result<(), Error> {
        let doomed = self.root.join(format!(".old-{id}"));
        let checkpoint = self.get(id);
        match fs::rename(checkpoint.directory(), &doomed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed.at("rename", checkpoint.directory())?,
        }
        remove(&doomed)
    }
}

/// Makes a checkpoint's directory.
fn fill(directory: &Path, container: &Container) -> Result<(), Error> {
    DirBuilder::new().mode(0o700).create(directory).at("mkdir", directory)?;
    let path = directory.join("container.json");
    let text = serde_json::to_vec(container).map_err(io::Error::from).at("encode", &path)?;
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&path).at("create", &path)?;
    file.write_all(&text).at("write", &path)?;
    file.sync_all().at("fsync", &path)?;
    sync_directory(directory)
}

/// Removes a directory and all in it, if it is there.
fn remove(directory: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.at("remove", directory),
    }
}
