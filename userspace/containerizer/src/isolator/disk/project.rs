//! Project quotas: files carry the number of a project, what is made in a directory of one
//! belongs to it, and the filesystem counts and limits what a project takes. XFS, ext4 and
//! f2fs have them where they are mounted with `prjquota`.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Statx, openat};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, Setter, ioctl, opcode};

use super::walk::{self, Used};
use crate::Error;
use crate::error::At as _;

/// `PRJQUOTA`, the type of quota that goes by project.
const PROJECTS: u32 = 2;
/// `Q_XGETQSTAT`: which kinds of quota are on (quotactl(2)).
const STATE: u32 = 0x5805;
/// `FS_QUOTA_PDQ_ACCT` and `FS_QUOTA_PDQ_ENFD`: projects are counted, and limited.
const COUNTED: u16 = 1 << 4;
const LIMITED: u16 = 1 << 5;
/// The unit of limits.
const BLOCK: u64 = 1024;
/// `FS_XFLAG_PROJINHERIT`: what is made in the directory belongs to its project.
const INHERIT: u32 = 0x200;

/// `struct fsxattr` (linux/fs.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Attributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    copy_extent_size: u32,
    padding: [u8; 8],
}

/// `FS_IOC_FSGETXATTR`, `FS_IOC_FSSETXATTR`.
const GET: Opcode = opcode::read::<Attributes>(b'X', 31);
const SET: Opcode = opcode::write::<Attributes>(b'X', 32);

/// `struct fs_quota_stat` (`linux/dqblk_xfs.h`).
#[repr(C)]
#[derive(Clone, Copy)]
struct State {
    version: i8,
    flags: u16,
    padding: i8,
    rest: [u64; 10],
}

/// What a filesystem does about projects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quotas {
    /// It counts what they take.
    pub(super) counted: bool,
    /// It refuses more than their limits.
    pub(super) limited: bool,
}

/// What the filesystem of `path` does about projects. One that knows nothing of quotas, or a
/// kernel without them, does nothing.
pub(super) fn quotas(path: &Path) -> Result<Quotas, Error> {
    let directory = File::open(path).at("open", path)?;
    // SAFETY: all zero is a value of every field.
    let mut state: State = unsafe { zeroed() };
    match quotactl(directory.as_fd(), STATE, 0, &mut state) {
        Ok(()) => {
            Ok(Quotas { counted: state.flags & COUNTED != 0, limited: state.flags & LIMITED != 0 })
        }
        // In turn: no quotas in the kernel, in the filesystem, none switched on, no such call.
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ENOSYS | libc::EOPNOTSUPP | libc::ESRCH | libc::EINVAL | libc::ENOTTY)
            ) =>
        {
            Ok(Quotas { counted: false, limited: false })
        }
        Err(error) => Err(error).at("quotactl_fd", path),
    }
}

/// Limits `project` in the filesystem of `path` to so many bytes and files; 0 is no limit.
pub(super) fn limit(path: &Path, project: u32, most: Used) -> Result<(), Error> {
    let directory = File::open(path).at("open", path)?;
    // SAFETY: all zero is a value of every field.
    let mut quota: libc::dqblk = unsafe { zeroed() };
    (quota.dqb_bhardlimit, quota.dqb_bsoftlimit) = (blocks(most.bytes), blocks(most.bytes));
    (quota.dqb_ihardlimit, quota.dqb_isoftlimit) = (most.inodes, most.inodes);
    quota.dqb_valid = libc::QIF_BLIMITS | libc::QIF_ILIMITS;
    let command = libc::Q_SETQUOTA.cast_unsigned();
    quotactl(directory.as_fd(), command, project, &mut quota).at("quotactl_fd", path)
}

/// What `project` takes in the filesystem of `path`.
pub(super) fn used(path: &Path, project: u32) -> Result<Used, Error> {
    let directory = File::open(path).at("open", path)?;
    // SAFETY: all zero is a value of every field.
    let mut quota: libc::dqblk = unsafe { zeroed() };
    let command = libc::Q_GETQUOTA.cast_unsigned();
    match quotactl(directory.as_fd(), command, project, &mut quota) {
        // Of a project that never had anything nothing is kept.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {
            Ok(Used::default())
        }
        asked => {
            asked.at("quotactl_fd", path)?;
            Ok(Used { bytes: quota.dqb_curspace, inodes: quota.dqb_curinodes })
        }
    }
}

/// Has all files of the tree `root` belong to `project`, and what will be made in it; 0 is to
/// none. What is no file or directory belongs to none in any case.
pub(super) fn assign(root: &Path, project: u32) -> Result<(), Error> {
    walk::visit(root, &mut |directory, name, found| {
        let Some((file, is_directory)) = open(directory, name, found)? else { return Ok(()) };
        let mut attributes = get(file.as_fd())?;
        attributes.project = project;
        if is_directory {
            attributes.flags &= !INHERIT;
            attributes.flags |= if project == 0 { 0 } else { INHERIT };
        }
        set(file.as_fd(), attributes)
    })
}

fn open(
    directory: BorrowedFd<'_>,
    name: &CStr,
    found: &Statx,
) -> Result<Option<(OwnedFd, bool)>, Errno> {
    let kind = FileType::from_raw_mode(found.stx_mode.into());
    if !kind.is_file() && !kind.is_dir() {
        return Ok(None);
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match openat(directory, name, flags, Mode::empty()) {
        // Another one by now.
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
        opened => Ok(Some((opened?, kind.is_dir()))),
    }
}

fn get(file: BorrowedFd<'_>) -> Result<Attributes, Errno> {
    // SAFETY: the call fills in a structure of this layout, of the size in its number.
    unsafe { ioctl(file, Getter::<GET, Attributes>::new()) }
}

fn set(file: BorrowedFd<'_>, attributes: Attributes) -> Result<(), Errno> {
    // SAFETY: the call reads a structure of this layout, of the size in its number.
    unsafe { ioctl(file, Setter::<SET, Attributes>::new(attributes)) }
}

/// The unit of limits, rounded up: a limit of less than one would be none.
fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK)
}

/// `quotactl_fd(2)`, Linux 5.14.
fn quotactl<T>(
    directory: BorrowedFd<'_>,
    command: u32,
    project: u32,
    argument: &mut T,
) -> io::Result<()> {
    // What the kernel writes with these commands is not larger than what is handed over.
    debug_assert!(size_of::<T>() >= size_of::<libc::dqblk>());
    let command = command << 8 | PROJECTS;
    // SAFETY: the argument is the structure that the command wants, and lives until the call
    // returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            directory.as_raw_fd(),
            command,
            project,
            std::ptr::from_mut(argument),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn calls_have_the_kernels_numbers_and_sizes() {
        assert_eq!((GET, SET), (0x801c_581f, 0x401c_5820));
        assert_eq!(size_of::<Attributes>(), 28);
        assert_eq!(std::mem::offset_of!(Attributes, project), 12);
        assert!(size_of::<State>() >= 80 && std::mem::offset_of!(State, flags) == 2);
        assert_eq!(size_of::<libc::dqblk>(), 72);
        assert_eq!([0, 1, 1024, 1025].map(blocks), [0, 1, 1, 2]);
    }

    #[test]
    fn a_filesystem_without_quotas_does_nothing() {
        let top = tempfile::tempdir().unwrap();
        let nothing = Quotas { counted: false, limited: false };
        assert_eq!(quotas(top.path()).unwrap(), nothing);
        assert_eq!(quotas(Path::new("/proc")).unwrap(), nothing);
    }

    /// A filesystem that keeps projects, on a device of its own.
    struct Disk(tempfile::TempDir);

    impl Disk {
        fn new() -> Option<Self> {
            if !crate::testing::is_root() {
                return None;
            }
            let disk = Self(tempfile::tempdir().unwrap());
            fs::create_dir(disk.0.path().join("at")).unwrap();
            let image = disk.0.path().join("image");
            File::create(&image).unwrap().set_len(512 << 20).unwrap();
            let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
                let status = Command::new(program).args(arguments).status().unwrap();
                assert!(status.success(), "{program}");
            };
            run("mkfs.xfs", &["-q".as_ref(), image.as_ref()]);
            run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), disk.at().as_ref()]);
            Some(disk)
        }

        fn at(&self) -> std::path::PathBuf {
            self.0.path().join("at")
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            let _ = rustix::mount::unmount(self.at(), rustix::mount::UnmountFlags::empty());
        }
    }

    fn project(path: &Path) -> u32 {
        get(File::open(path).unwrap().as_fd()).unwrap().project
    }

    #[test]
    fn files_belong_to_a_project_and_are_taken_out_of_it() {
        let Some(disk) = Disk::new() else { return };
        let root = disk.at().join("sandbox");
        fs::create_dir_all(root.join("a")).unwrap();
        fs::write(root.join("a/before"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.join("link")).unwrap();
        assign(&root, 5001).unwrap();
        fs::write(root.join("a/after"), "x").unwrap();
        fs::create_dir(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/deep"), "x").unwrap();
        for path in ["", "a", "a/before", "a/after", "a/b", "a/b/deep"] {
            assert_eq!(project(&root.join(path)), 5001, "{path}");
        }
        assert_eq!(project(Path::new("/etc/passwd")), 0);
        assign(&root, 0).unwrap();
        fs::write(root.join("a/b/last"), "x").unwrap();
        for path in ["", "a", "a/before", "a/b/deep", "a/b/last"] {
            assert_eq!(project(&root.join(path)), 0, "{path}");
        }
        // This kernel counts no projects; the answer is a clear one.
        if !quotas(&root).unwrap().limited {
            let error =
                limit(&root, 5001, Used { bytes: 1 << 20, inodes: 0 }).unwrap_err().to_string();
            assert!(error.starts_with("quotactl_fd "), "{error}");
        }
    }
}
