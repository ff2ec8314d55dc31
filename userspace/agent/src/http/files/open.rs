//! Opening what a container may have put anything in place of.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;

use super::Refusal;

/// What was found.
pub(super) enum Opened {
    /// Open for reading.
    File(File),
    /// Open as an anchor.
    Directory(File),
}

/// Opens what is at `below` in `sandbox`. No link leads out of that (openat2(2), Linux 5.6),
/// and nothing else than files and directories is opened: that of a device alone can have
/// effects.
pub(super) fn open(sandbox: &Path, below: &Path) -> Result<Opened, Refusal> {
    let anchor = OFlags::PATH | OFlags::CLOEXEC;
    let root = openat(CWD, sandbox, anchor | OFlags::DIRECTORY, Mode::empty()).map_err(refuse)?;
    let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(&root, below, anchor, Mode::empty(), resolve).map_err(refuse)?;
    match FileType::from_raw_mode(fstat(&found).map_err(io::Error::from)?.st_mode) {
        FileType::Directory => Ok(Opened::Directory(found.into())),
        FileType::RegularFile => {
            Ok(Opened::File(File::open(format!("/proc/self/fd/{}", found.as_raw_fd()))?))
        }
        _ => Err(Refusal::Bad("Neither a file nor a directory.\n".into())),
    }
}

fn refuse(error: Errno) -> Refusal {
    match error {
        // The last two: a link leads out, or in circles.
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::XDEV | Errno::LOOP => {
            Refusal::Missing
        }
        Errno::INVAL => Refusal::Bad("Not a path.\n".into()),
        error => Refusal::Failed(error.into()),
    }
}
