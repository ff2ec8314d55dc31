//! Who uses what of the store: `<image_dir>/.uses/`.
//!
//! | file | what |
//! |---|---|
//! | `gate` | locked, shared, while something is noted as needed; whole, while it is decided what goes |
//! | `collecting` | locked while what goes is removed |
//! | `agents/<digest>` | the runtime directory of an agent, whose checkpoints tell what containers use |
//! | `leases/<digest>` | what that agent is about to use, locked while it lives |
//! | `images/<digest>.json` | an image that was provisioned; its time is that of its last use |
//! | `trash/` | what is being removed |

mod item;
mod lease;
mod record;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};

use super::digest::Digest;
use crate::Error;
use crate::error::At as _;
use crate::lock::lock_for_life;

pub(crate) use item::Item;
pub(crate) use lease::Lease;
pub(super) use record::Used;

use lease::Needs;

/// The directories of it.
const DIRECTORIES: [&str; 4] = ["agents", "leases", "images", "trash"];

/// What agents use of a store.
#[derive(Debug)]
pub(crate) struct Uses {
    directory: PathBuf,
    needs: Mutex<Needs>,
}

impl Uses {
    /// Those of the store in `image_dir`, by the agent with this runtime directory, which
    /// nobody else has.
    pub(super) fn open(image_dir: &Path, runtime_dir: &Path) -> Result<Arc<Self>, Error> {
        let directory = image_dir.join(".uses");
        for name in DIRECTORIES {
            let path = directory.join(name);
            // Closed to others, as all of the store.
            DirBuilder::new().recursive(true).mode(0o700).create(&path).at("mkdir", &path)?;
        }
        let runtime_dir = runtime_dir.canonicalize().at("open", runtime_dir)?;
        let bytes = runtime_dir.as_os_str().as_bytes();
        let name = Digest::of(bytes);
        let _gate = gate(&directory, FlockOperation::LockShared)?;
        let path = directory.join("leases").join(name.hex());
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(&path).at("open", &path)?;
        if !lock_for_life(&file, &path)? {
            let reason = format!(
                "{} is used by another agent whose --runtime-dir has the same path",
                image_dir.display()
            );
            return Err(Error::Config { field: "image_dir", reason });
        }
        // An earlier one's.
        file.set_len(0).at("truncate", &path)?;
        let path = directory.join("agents").join(name.hex());
        write(&path, bytes, true).at("write", &path)?;
        Ok(Arc::new(Self { directory, needs: Mutex::new(Needs::new(file)) }))
    }

    /// Nothing is needed by the lease yet.
    pub(crate) fn lease(self: &Arc<Self>) -> Lease {
        Lease::new(Arc::clone(self))
    }

    /// Where it is.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Until the file is dropped, nothing of the store goes.
    pub(super) fn hold(&self) -> Result<File, Error> {
        hold(&self.directory)
    }

    /// Until the file is dropped, nobody takes anything of the store to be there.
    pub(super) fn close(&self) -> Result<File, Error> {
        gate(&self.directory, FlockOperation::LockExclusive)
    }

    /// Held by who removes something, one at a time.
    pub(super) fn collecting(&self) -> Result<File, Error> {
        let path = self.directory.join("collecting");
        let file = File::create(&path).at("open", &path)?;
        flock(&file, FlockOperation::LockExclusive).at("flock", &path)?;
        Ok(file)
    }

    /// The runtime directories of all agents that have used the store and have not been
    /// removed.
    pub(super) fn agents(&self) -> Result<Vec<PathBuf>, Error> {
        let directory = self.directory.join("agents");
        let mut found = Vec::new();
        for entry in fs::read_dir(&directory).at("read", &directory)? {
            let path = entry.at("read", &directory)?.path();
            if path.extension().is_some() {
                continue;
            }
            let text = match fs::read(&path) {
                // Another one looked, too.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                text => text.at("read", &path)?,
            };
            let runtime_dir = PathBuf::from(std::ffi::OsString::from_vec(text));
            if runtime_dir.try_exists().at("stat", &runtime_dir)? {
                found.push(runtime_dir);
            } else {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    removed => removed.at("remove", &path)?,
                }
            }
        }
        Ok(found)
    }

    fn needs(&self) -> MutexGuard<'_, Needs> {
        // What is half done under this lock keeps more than it has to, never less.
        self.needs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same, for who may outlive the agent that it works for.
pub(super) fn hold(directory: &Path) -> Result<File, Error> {
    gate(directory, FlockOperation::LockShared)
}

fn gate(directory: &Path, operation: FlockOperation) -> Result<File, Error> {
    let path = directory.join("gate");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.at("open", &path)?;
    flock(&file, operation).at("flock", &path)?;
    Ok(file)
}

/// A small file, as a whole or not at all.
fn write(path: &Path, text: &[u8], synced: bool) -> io::Result<()> {
    // Two may write it at the same time.
    let new = path.with_extension(format!("new{}", rustix::thread::gettid().as_raw_nonzero()));
    let mut file = File::create(&new)?;
    file.write_all(text)?;
    if synced {
        file.sync_all()?;
    }
    fs::rename(&new, path)?;
    match path.parent() {
        Some(parent) if synced => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}
