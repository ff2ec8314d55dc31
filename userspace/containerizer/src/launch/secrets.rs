//! Files of secrets: in memory only, and never in swap.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::mounts;
use super::plan::{Mount, What};
use crate::SetupError;
use crate::error::Step as _;

/// Makes a file for every secret among `wanted`, readable by its owner alone, and puts a mount
/// of each, which is attached nowhere yet, to its place in `taken`. Returns the files, still
/// root's, for the command's user to be given.
///
/// They are in a ramfs of their own, which is not swapped out. It is mounted at `scratch` until
/// this returns: in this process' own mounts, which nobody else sees.
pub(super) fn take(
    wanted: &[Mount],
    scratch: &Path,
    taken: &mut [Option<OwnedFd>],
) -> Result<Vec<File>, SetupError> {
    let mut secrets = Vec::new();
    for (mount, taken) in wanted.iter().zip(taken) {
        if let What::Secret(secret) = &mount.what {
            secrets.push((secret, taken));
        }
    }
    if secrets.is_empty() {
        return Ok(Vec::new());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("secret", scratch, "ramfs", flags, c"mode=0700").step(|| "mount ramfs".into())?;
    let mut files = Vec::new();
    for (index, (secret, taken)) in secrets.into_iter().enumerate() {
        let path = scratch.join(index.to_string());
        let step = || "write a secret".to_owned();
        let mut file =
            File::options().write(true).create_new(true).mode(0o400).open(&path).step(step)?;
        file.write_all(secret.reveal()).step(step)?;
        let set = libc::MOUNT_ATTR_RDONLY
            | libc::MOUNT_ATTR_NOSUID
            | libc::MOUNT_ATTR_NODEV
            | libc::MOUNT_ATTR_NOEXEC;
        *taken = Some(mounts::detached(&path, false, set, 0)?);
        files.push(file);
    }
    unmount(scratch, UnmountFlags::DETACH).step(|| "unmount the ramfs of secrets".into())?;
    Ok(files)
}
