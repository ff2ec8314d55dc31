//! A cgroup, by the number that the kernel gives of it.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::libc;

/// A cgroup of the v2 tree.
#[derive(Debug)]
pub(crate) struct Cgroup {
    /// Its directory.
    pub(crate) path: PathBuf,
    /// True if a process is in it, or in one below.
    pub(crate) is_populated: bool,
}

/// `struct file_handle` with that of kernfs.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    id: u64,
}

/// Looks for the cgroup with an inode number, in the tree that `any` is in. Linux 5.5.
///
/// # Errors
///
/// Of `open_by_handle_at(2)`, `ESTALE` if it is gone, `EPERM` without `CAP_DAC_READ_SEARCH`; of reading.
pub(crate) fn open(any: &Path, id: u64) -> io::Result<Cgroup> {
    const FILEID_KERNFS: i32 = 0xfe;
    let mount = File::open(any)?;
    let mut handle = Handle { bytes: 8, kind: FILEID_KERNFS, id };
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: the handle begins as `struct file_handle` and has as many bytes after that as it says; it
    // lives until the call returns.
    let fd = unsafe { libc::open_by_handle_at(mount.as_raw_fd(), (&raw mut handle).cast(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    let directory = unsafe { OwnedFd::from_raw_fd(fd) };
    let own = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    let events = fs::read_to_string(own.join("cgroup.events"))?;
    let is_populated = !events.lines().any(|line| line == "populated 0");
    Ok(Cgroup { path: fs::read_link(own)?, is_populated })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_no_cgroup_is_an_error() {
        let Some(root) = crate::cgroup2_mount() else { return };
        open(&root, u64::MAX).unwrap_err();
    }
}
