//! All checkpoints of a containerizer.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{Checkpoint, Container, sync_directory};
use crate::Error;
use crate::error::At as _;
use crate::id;
use crate::lock::lock_for_life;
use crate::removal::remove_tree;

/// Where in a container's checkpoint those of what is nested in it are.
const NESTED: &str = "containers";

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
        if !lock_for_life(&lock, &path)? {
            return Err(Error::InUse { path: runtime_dir.to_owned() });
        }
        let checkpoints = Self { root, _lock: lock };
        tidy(&checkpoints.root)?;
        Ok(checkpoints)
    }

    /// The checkpoint of the container with this name, whether it is there or not: those of
    /// nested ones are in a directory of the one around them.
    pub(crate) fn get(&self, name: &str) -> Checkpoint {
        let mut parts = name.split('/');
        let top = self.root.join(parts.next().unwrap_or_default());
        Checkpoint::at(parts.fold(top, |path, id| path.join(NESTED).join(id)))
    }

    /// The names of all containers here, each after the one that it is nested in.
    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        let mut names = ids(&self.root)?;
        let mut next = 0;
        while let Some(name) = names.get(next).cloned() {
            names.extend(self.nested(&name)?);
            next += 1;
        }
        Ok(names)
    }

    /// The names of the containers that are nested in the one with this name, but not those
    /// in these.
    pub(crate) fn nested(&self, name: &str) -> Result<Vec<String>, Error> {
        let ids = ids(&self.get(name).directory().join(NESTED))?;
        Ok(ids.into_iter().map(|id| id::nested(name, &id)).collect())
    }

    /// Writes a new checkpoint: there as a whole and on disk, or not at all.
    pub(crate) fn create(&self, name: &str, container: &Container) -> Result<Checkpoint, Error> {
        let checkpoint = self.get(name);
        let (parent, id) = id::split(name);
        let among = checkpoint.directory().with_file_name("");
        if parent.is_some() {
            // In the directory of the one around it, which is there; or else that is gone.
            match DirBuilder::new().mode(0o700).create(&among) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.at("mkdir", &among)?,
            }
        }
        let draft = among.join(format!(".new-{id}"));
        let created = fill(&draft, container).and_then(|()| {
            // Fails if there is one already: a directory that is not empty is not replaced.
            fs::rename(&draft, checkpoint.directory()).at("rename", checkpoint.directory())
        });
        if let Err(error) = created {
            remove(&draft)?;
            return Err(error);
        }
        sync_directory(&among)?;
        Ok(checkpoint)
    }

    /// Removes a checkpoint, at once as a whole; nothing if it is not there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let checkpoint = self.get(name);
        let doomed = checkpoint.directory().with_file_name(format!(".old-{}", id::split(name).1));
        match fs::rename(checkpoint.directory(), &doomed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed.at("rename", checkpoint.directory())?,
        }
        remove(&doomed)
    }
}

/// Removes what in `directory` is not yet a container, or no longer one, since an earlier
/// agent was killed; and what in those that are.
fn tidy(directory: &Path) -> Result<(), Error> {
    for entry in entries(directory)? {
        let path = directory.join(&entry);
        if entry.to_str().is_some_and(id::valid) {
            tidy(&path.join(NESTED))?;
        } else {
            remove(&path)?;
        }
    }
    Ok(())
}

/// The containers of `directory`, by their ids; none if it is not there.
fn ids(directory: &Path) -> Result<Vec<String>, Error> {
    let entries = entries(directory)?;
    let mut ids: Vec<_> = entries.into_iter().filter_map(|id| id.into_string().ok()).collect();
    ids.retain(|id| id::valid(id));
    ids.sort();
    Ok(ids)
}

fn entries(directory: &Path) -> Result<Vec<OsString>, Error> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at("read", directory)?,
    };
    entries.map(|entry| Ok(entry.at("read", directory)?.file_name())).collect()
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
    remove_tree(directory).at("remove", directory)
}
