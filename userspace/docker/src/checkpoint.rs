//! Which containers are to be looked for: `<runtime_dir>/docker/<id>`.
//!
//! A file is there from before a container is created until nothing is left of it but its
//! sandbox and, for a while, the ended container in the engine.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use muster_containerizer::Logger;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::position::Position;

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Where its output goes.
    pub(crate) sandbox: PathBuf,
    /// What becomes of it there.
    #[serde(default)]
    pub(crate) logger: Logger,
    /// How much of its standard output has come.
    #[serde(default)]
    pub(crate) stdout: Position,
    /// And of its standard error.
    #[serde(default)]
    pub(crate) stderr: Position,
}

impl Row {
    /// That of a container of which nothing has come.
    pub(crate) fn new(sandbox: PathBuf, logger: Logger) -> Self {
        Self { sandbox, logger, stdout: Position::default(), stderr: Position::default() }
    }
}

#[derive(Debug)]
pub(crate) struct Checkpoints {
    directory: PathBuf,
}

impl Checkpoints {
    pub(crate) fn open(runtime_dir: &Path) -> Result<Self, Error> {
        let directory = runtime_dir.join("docker");
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(Error::io("mkdir", &directory))?;
        Ok(Self { directory })
    }

    pub(crate) fn write(&self, id: &str, row: &Row) -> Result<(), Error> {
        let path = self.directory.join(id);
        // No id has a leading dot.
        let half = self.directory.join(format!(".{id}"));
        let text = serde_json::to_vec(row).map_err(|error| Error::Io {
            action: "write",
            path: path.clone(),
            source: error.into(),
        })?;
        let mut file = fs::File::create(&half).map_err(Error::io("create", &half))?;
        file.write_all(&text).map_err(Error::io("write", &half))?;
        fs::rename(&half, &path).map_err(Error::io("rename", &half))
    }

    /// The ids of all that are there.
    pub(crate) fn ids(&self) -> Result<Vec<String>, Error> {
        let failed = || Error::io("read", &self.directory);
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed())? {
            let name = entry.map_err(failed())?.file_name();
            if let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) {
                ids.push(name.to_owned());
            }
        }
        Ok(ids)
    }

    pub(crate) fn read(&self, id: &str) -> Result<Option<Row>, Error> {
        let path = self.directory.join(id);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        match serde_json::from_slice(&text) {
            Ok(row) => Ok(Some(row)),
            Err(error) => Err(Error::Checkpoint { path, reason: error.to_string() }),
        }
    }

    pub(crate) fn remove(&self, id: &str) -> Result<(), Error> {
        let path = self.directory.join(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_there_until_it_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(directory.path()).unwrap();
        let row = Row::new("/s".into(), Logger::Sandbox);
        checkpoints.write("c", &row).unwrap();
        fs::write(directory.path().join("docker/.half"), "").unwrap();
        assert_eq!(checkpoints.ids().unwrap(), ["c"]);
        assert_eq!(checkpoints.read("c").unwrap(), Some(row));
        checkpoints.remove("c").unwrap();
        checkpoints.remove("c").unwrap();
        assert_eq!(checkpoints.read("c").unwrap(), None);
        fs::write(directory.path().join("docker/bad"), "{").unwrap();
        let error = checkpoints.read("bad").unwrap_err().to_string();
        assert!(error.contains("/docker/bad: "), "{error}");
    }
}
