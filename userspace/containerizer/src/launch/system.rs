//! System calls without a safe form elsewhere.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::mem::size_of;
use std::os::fd::{
    AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd,
};
use std::path::Path;

use nix::sys::signal::{SigSet, SigmaskHow};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::SetupError;
use crate::error::Step as _;

/// `CLONE_INTO_CGROUP`, which does not fit the C library's type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// The assurance that this process has one thread: only then may a forked child do more
/// than exec.
#[derive(Clone, Copy)]
pub(super) struct SingleThreaded(());

/// Both ends of a fork.
pub(super) enum Forked {
    /// In the parent: the child, by number and by descriptor.
    Parent {
        /// Its number in the parent's pid namespace.
        pid: u32,
        /// Its descriptor, readable when it has ended.
        pidfd: OwnedFd,
    },
    /// In the child.
    Child,
}

impl SingleThreaded {
    /// Counts the threads.
    pub(super) fn check() -> Result<Self, SetupError> {
        let threads =
            std::fs::read_dir("/proc/self/task").step(|| "read /proc/self/task".into())?;
        match threads.count() {
            1 => Ok(Self(())),
            count => Err(SetupError::new(
                "fork",
                format!("this process has {count} threads; call launch::main first of all"),
            )),
        }
    }
}

/// Forks a child into new namespaces (`CLONE_NEW…` flags) and into the v2 cgroup whose
/// directory is `cgroup` (clone3, Linux 5.7): it is there from its first instruction.
///
/// If this process has `joined` another pid namespace for its children, a new one is made in
/// that: which only a process in it can do. One comes between for as long as that takes.
pub(super) fn fork(
    alone: SingleThreaded,
    namespaces: i32,
    joined: bool,
    cgroup: BorrowedFd<'_>,
) -> io::Result<Forked> {
    let flags = u64::from(namespaces.cast_unsigned()) | CLONE_INTO_CGROUP;
    let (signal, cgroup) =
        (u64::from(libc::SIGCHLD.cast_unsigned()), u64::from(cgroup.as_raw_fd().cast_unsigned()));
    if !joined || namespaces & libc::CLONE_NEWPID == 0 {
        return clone(alone, flags, signal, cgroup);
    }
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let shared = u64::from(libc::CLONE_FILES.cast_unsigned());
    let between = match clone(alone, shared, signal, 0)? {
        Forked::Parent { pidfd, .. } => pidfd,
        Forked::Child => {
            // With the parent of this process as its own, and the signal that it gets.
            let brother = flags | u64::from(libc::CLONE_PARENT.cast_unsigned());
            let answer = match clone(alone, brother, 0, cgroup) {
                Ok(Forked::Child) => return Ok(Forked::Child),
                // Its descriptors are those of its parent, too.
                Ok(Forked::Parent { pidfd, .. }) => pidfd.into_raw_fd(),
                Err(error) => -error.raw_os_error().unwrap_or(libc::EIO),
            };
            let sent = rustix::io::write(&writer, &answer.to_ne_bytes());
            exit(i32::from(sent.is_err()));
        }
    };
    // Not before it has ended: what is closed here is closed there.
    waitid(WaitId::PidFd(between.as_fd()), WaitIdOptions::EXITED)?;
    drop(writer);
    let mut answer = [0; 4];
    File::from(reader).read_exact(&mut answer)?;
    match i32::from_ne_bytes(answer) {
        errno @ ..0 => Err(io::Error::from_raw_os_error(-errno)),
        pidfd => {
            // SAFETY: the process between has opened it in the descriptors of both, and is gone.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Forked::Parent { pid: number(&pidfd)?, pidfd })
        }
    }
}

/// The number, in this process' pid namespace, of the process that is open as `pidfd`.
pub(super) fn number(pidfd: &OwnedFd) -> io::Result<u32> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let number = text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
    number.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

/// Forks a child of this process' parent (`CLONE_PARENT`). That is who is told of its end.
pub(super) fn fork_sibling(alone: SingleThreaded) -> io::Result<Forked> {
    clone(alone, u64::from(libc::CLONE_PARENT.cast_unsigned()), 0, 0)
}

/// Forks a child into a user namespace of its own.
pub(super) fn fork_user(alone: SingleThreaded) -> io::Result<Forked> {
    let user = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    clone(alone, user, u64::from(libc::SIGCHLD.cast_unsigned()), 0)
}

fn clone(_alone: SingleThreaded, flags: u64, exit_signal: u64, cgroup: u64) -> io::Result<Forked> {
    let mut pidfd: i32 = -1;
    let arguments = libc::clone_args {
        flags: flags | u64::from(libc::CLONE_PIDFD.cast_unsigned()),
        pidfd: (&raw mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup,
    };
    // SAFETY: without CLONE_VM and with no stack this is fork(2): the child goes on in a
    // copy of this address space. `_alone` says that there is no other thread, so no lock
    // is held in that copy. The arguments live until the call returns.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>())
    };
    match pid {
        ..0 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        _ => {
            // SAFETY: the kernel has just stored a new descriptor there, which nobody
            // else knows of.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Forked::Parent { pid: u32::try_from(pid).map_err(io::Error::other)?, pidfd })
        }
    }
}

/// Runs the child's part after a fork: it ends in another program, or with a failure that
/// is written into `failures`. Never returns into the parent's code, not even by a panic.
pub(super) fn child(failures: OwnedFd, part: impl FnOnce() -> Result<Infallible, SetupError>) -> ! {
    struct Exit;
    impl Drop for Exit {
        fn drop(&mut self) {
            exit(127)
        }
    }
    let _exit_on_panic = Exit;
    let Err(error) = part();
    let text = serde_json::to_vec(&error).unwrap_or_default();
    // Who should read this is the parent; if it is gone, so is the reason to tell.
    let _ = File::from(failures).write_all(&text);
    exit(127)
}

/// Ends this forked process with `code`.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: ends the process without running the parent's exit handlers a second time.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor from `first` on (Linux 5.9): for a process that uses none of them
/// any more, whoever holds them.
pub(super) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: the caller is about to hold still for good; whatever owns a descriptor is neither
    // used nor dropped after this.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives this process a copy of its mounts.
pub(super) fn unshare_mounts() -> io::Result<()> {
    // SAFETY: changes what paths mean, and no memory or descriptor.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Marks every descriptor from `first` on to be closed by exec (Linux 5.11).
pub(super) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: changes a flag of descriptors; none becomes invalid.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Closes every descriptor from 3 on but `kept`, whoever has it (Linux 5.9).
///
/// Only for a child of a fork that never returns to who has one of these.
pub(super) fn close_all_but(mut kept: Vec<RawFd>) -> io::Result<()> {
    kept.sort_unstable();
    let mut first = 3;
    for kept in kept.into_iter().map(RawFd::cast_unsigned).chain([u32::MAX]) {
        if first < kept {
            // SAFETY: descriptors become invalid that nobody uses any more, as the caller says.
            let closed = unsafe { libc::syscall(libc::SYS_close_range, first, kept - 1, 0) };
            if closed != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        first = first.max(kept.saturating_add(1));
    }
    Ok(())
}

/// Sets and clears `MOUNT_ATTR_…` flags of the mount at `path` below `directory`, and of
/// those below it if `recursive` (Linux 5.12), and its `propagation` (`MS_PRIVATE` and the
/// like), unless 0. An empty path is the directory itself.
pub(super) fn mount_setattr(
    directory: BorrowedFd<'_>,
    path: &std::ffi::CStr,
    recursive: bool,
    set: u64,
    clear: u64,
    propagation: u64,
) -> io::Result<()> {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: clear, propagation, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path and the attributes live until the call returns, and the size is theirs.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Shows the files of the detached mount `tree` with the ids of the user namespace `users`.
pub(super) fn mount_idmap(tree: BorrowedFd<'_>, users: i32) -> io::Result<()> {
    let userns_fd = u64::try_from(users).map_err(io::Error::other)?;
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd,
    };
    // SAFETY: the path and the attributes live until the call returns, and the size is theirs.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives every signal its default action and unblocks all: what is ignored or blocked stays
/// so over exec, this process ignores SIGPIPE, and who started it may have more habits.
pub(super) fn reset_signals() -> Result<(), SetupError> {
    /// The kernel's `struct sigaction`, all zero: `SIG_DFL` without flags.
    const DEFAULT: [u64; 4] = [0; 4];
    /// Bytes of the kernel's signal set.
    const SET: usize = 8;
    for signal in 1..=64 {
        if matches!(signal, libc::SIGKILL | libc::SIGSTOP) {
            continue;
        }
        // SAFETY: the structure is as large as the kernel's and lives until the call
        // returns; the default action runs no code of ours. The C library's form will not do:
        // it keeps two signals for itself.
        let result = unsafe {
            let old = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), old, SET)
        };
        if result != 0 {
            return Err(io::Error::last_os_error()).step(|| format!("sigaction {signal}"));
        }
    }
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
        .step(|| "sigprocmask".into())
}

/// The directory `path`, open as an anchor for other calls.
pub(super) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    Ok(open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}
