//! Where things are: the repository, build results, the binary under test.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::error::{Error, Result};

/// The repository's root.
pub fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Where cargo builds: `CARGO_TARGET_DIR`, else `target` in the repository.
pub fn target() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty());
    repository().join(target.map_or_else(|| PathBuf::from("target"), PathBuf::from))
}

/// The local image store that demo and scenarios use.
pub fn images() -> PathBuf {
    target().join("images")
}

/// Where the logs of a failed cluster are kept.
pub fn logs() -> PathBuf {
    target().join("cluster-logs")
}

/// The `muster` binary: `MUSTER_BIN`, else the one that cargo builds now if it is out of date.
///
/// # Errors
/// [`Error::Missing`] when `MUSTER_BIN` names no file; [`Error::Command`] when the build fails.
pub fn muster() -> Result<PathBuf> {
    if let Some(path) = env::var_os("MUSTER_BIN").filter(|value| !value.is_empty()) {
        let path = PathBuf::from(path);
        if path.is_file() {
            return Ok(path);
        }
        return Err(Error::Missing {
            what: format!("MUSTER_BIN={}", path.display()),
            fix: "unset it to let cargo build the binary".into(),
        });
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "muster"]).current_dir(repository());
    command::output(&mut build)?;
    Ok(target().join("debug/muster"))
}
