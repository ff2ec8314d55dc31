//! The BPF file system, where links and maps are pinned.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::error::{Error, Result};
use crate::mounts;

/// Where it is mounted by custom.
pub const DIRECTORY: &str = "/sys/fs/bpf";

/// Whether it is mounted at [`DIRECTORY`].
///
/// # Errors
/// [`Error::System`] when the mount table can not be read.
pub fn is_mounted() -> Result<bool> {
    Ok(mounts::all()?
        .iter()
        .any(|mount| mount.kind == "bpf" && mount.target == Path::new(DIRECTORY)))
}

/// Mounts it unless it is; true when that was needed.
///
/// # Errors
/// [`Error::System`] when the kernel refuses.
pub fn mount_if_missing() -> Result<bool> {
    if is_mounted()? {
        return Ok(false);
    }
    mount(Some("bpf"), DIRECTORY, Some("bpf"), MsFlags::empty(), None::<&str>)
        .map_err(Error::system("mount", DIRECTORY))?;
    Ok(true)
}

/// Unmounts it if nothing is pinned in it; true when it was unmounted.
///
/// # Errors
/// [`Error::System`] when the kernel refuses.
pub fn unmount_if_empty() -> Result<bool> {
    if !is_mounted()? || !pins("")?.is_empty() {
        return Ok(false);
    }
    umount2(DIRECTORY, MntFlags::empty()).map_err(Error::system("umount2", DIRECTORY))?;
    Ok(true)
}

/// Folders of agents, `/sys/fs/bpf/muster/<name>`, whose names begin with `prefix`; with an
/// empty prefix whatever is in the file system's root.
///
/// # Errors
/// [`Error::System`] when a directory can not be read; a missing one is empty.
pub fn pins(prefix: &str) -> Result<Vec<PathBuf>> {
    let directory = Path::new(DIRECTORY);
    let directory = if prefix.is_empty() { directory.to_owned() } else { directory.join("muster") };
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(Error::system("opendir", directory.display().to_string())(error));
        }
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix)))
        .collect();
    found.sort();
    Ok(found)
}

/// Removes a folder of pins: programs and links without another holder end with it.
///
/// # Errors
/// [`Error::System`] when the kernel refuses.
pub fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::system("unlink", folder.display().to_string())(error))
        }
        _ => Ok(()),
    }
}
