//! What is known of containers on disk: `<runtime_dir>/containers/<id>/`.
//!
//! | file | written by | when |
//! |---|---|---|
//! | `container.json` | the containerizer | before anything of the container is made |
//! | `helper.json` | the containerizer | before the helper gets its order |
//! | `resources.json` | the containerizer | before other resources are given to it |
//! | `init.json` | the helper | before the command runs |
//! | `limitation.json` | the containerizer | before it is killed for going over a limit |
//! | `outcome.json` | the helper | when the command has ended, or could not be started |
//!
//! Nested containers have theirs in `containers/<id>/` in the one of their parent.

mod directory;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::At as _;
use crate::isolator::Subject;
use crate::pid::ProcessId;
use crate::{Error, Limitation, Resources, SetupError, Termination};

pub(crate) use directory::Checkpoints;

/// Room for an outcome's JSON.
const RESERVED: u64 = 16 << 10;

/// A container as it was going to be launched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Container {
    /// The boot in which it was: none outlives it.
    pub(crate) boot_id: String,
    /// All the rest.
    pub(crate) subject: Subject,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// The command ran and ended.
    Ended(Termination),
    /// The command was never started.
    NotStarted(SetupError),
}

/// One container's directory.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    directory: PathBuf,
}

/// A file for an outcome whose room on the disk is already taken.
pub(crate) struct Reserved {
    file: File,
    path: PathBuf,
    target: PathBuf,
}

impl Checkpoint {
    /// The checkpoint in `directory`.
    pub(crate) fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Its directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether it is there.
    pub(crate) fn exists(&self) -> bool {
        self.directory.exists()
    }

    /// The container; `None` when there is none here.
    pub(crate) fn container(&self) -> Result<Option<Container>, Error> {
        self.read("container.json")
    }

    /// The helper that runs it; `None` before there is one.
    pub(crate) fn helper(&self) -> Result<Option<ProcessId>, Error> {
        self.read("helper.json")
    }

    /// Its first process; `None` before there is one.
    pub(crate) fn init(&self) -> Result<Option<ProcessId>, Error> {
        self.read("init.json")
    }

    /// How it ended; `None` before it has.
    pub(crate) fn outcome(&self) -> Result<Option<Outcome>, Error> {
        self.read("outcome.json")
    }

    /// What it may use by now; `None` when that is what it was launched with.
    pub(crate) fn resources(&self) -> Result<Option<Resources>, Error> {
        self.read("resources.json")
    }

    /// The limit that it was, or was to be, killed for.
    pub(crate) fn limitation(&self) -> Result<Option<Limitation>, Error> {
        self.read("limitation.json")
    }

    /// Notes what it is going to be given. Not synced: it is the kernel that keeps it.
    pub(crate) fn write_resources(&self, resources: &Resources) -> Result<(), Error> {
        self.write("resources.json", resources)
    }

    /// Notes the limit that it is going to be killed for. Not synced: it is ended by a loss
    /// of power as well.
    pub(crate) fn write_limitation(&self, limitation: &Limitation) -> Result<(), Error> {
        self.write("limitation.json", limitation)
    }

    /// Notes the helper. Not synced: after a loss of power neither is alive.
    pub(crate) fn write_helper(&self, helper: ProcessId) -> Result<(), Error> {
        self.write("helper.json", &helper)
    }

    /// Notes the first process. Not synced, as for the helper.
    pub(crate) fn write_init(&self, init: ProcessId) -> Result<(), Error> {
        self.write("init.json", &init)
    }

    /// Takes the room that an outcome needs.
    pub(crate) fn reserve_outcome(&self) -> Result<Reserved, Error> {
        let path = self.directory.join("outcome.json.new");
        let file = File::create(&path).at("create", &path)?;
        match fallocate(&file, FallocateFlags::KEEP_SIZE, 0, RESERVED) {
            // A filesystem that cannot promise; it may yet do.
            Err(rustix::io::Errno::OPNOTSUPP) => {}
            reserved => reserved.at("fallocate", &path)?,
        }
        let target = self.directory.join("outcome.json");
        Ok(Reserved { file, path, target })
    }

    /// What the helper said last before it died, if anything.
    pub(crate) fn last_words(&self) -> Option<String> {
        let text = fs::read_to_string(self.log()).ok()?;
        text.lines().next_back().map(str::to_owned)
    }

    /// Where the helper's standard error goes.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("helper.log")
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let path = self.directory.join(name);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.at("read", &path)?,
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| Error::Checkpoint { path, reason: error.to_string() })
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let path = self.directory.join(format!("{name}.new"));
        let text = serde_json::to_vec(value).map_err(io::Error::from).at("encode", &path)?;
        fs::write(&path, text).at("write", &path)?;
        fs::rename(&path, self.directory.join(name)).at("rename", &path)
    }
}

impl Reserved {
    /// Puts the outcome in its place: whole, and on disk when this returns.
    pub(crate) fn write(&mut self, outcome: &Outcome) -> Result<(), Error> {
        let text = serde_json::to_vec(outcome).map_err(io::Error::from).at("encode", &self.path)?;
        self.file.write_all(&text).at("write", &self.path)?;
        self.file.sync_all().at("fsync", &self.path)?;
        fs::rename(&self.path, &self.target).at("rename", &self.target)?;
        match self.target.parent() {
            Some(directory) => sync_directory(directory),
            None => Ok(()),
        }
    }
}

impl From<Outcome> for Termination {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ended(termination) => termination,
            Outcome::NotStarted(error) => Self::Lost(format!("never started: {error}")),
        }
    }
}

/// Puts a directory's entries on disk.
fn sync_directory(directory: &Path) -> Result<(), Error> {
    File::open(directory).and_then(|file| file.sync_all()).at("fsync", directory)
}
