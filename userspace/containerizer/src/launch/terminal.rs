//! A container's terminal, of its own /dev/pts: opened in the container, held outside.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, fcntl_setfl, openat};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::ioctl_tiocsctty;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::nursery::{receive_descriptors, send_descriptors};
use crate::error::Step as _;
use crate::{SetupError, WindowSize};

/// The way of the terminal from the container to its helper: the helper's end and the other.
pub(super) fn channel() -> Result<(OwnedFd, OwnedFd), SetupError> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .step(|| "socketpair".into())
}

/// Opens a terminal in the container, as this process' controlling one, and sends its master
/// to the helper. This process leads a session without one.
pub(super) fn open(size: WindowSize, channel: &OwnedFd) -> Result<File, SetupError> {
    let path = "/dev/ptmx";
    // Whatever is there in a container that is joined, it is not waited for.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let master = openat(CWD, path, flags, Mode::empty()).step(|| format!("open {path}"))?;
    unlockpt(&master).step(|| "unlock the terminal".into())?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = ioctl_tiocgptpeer(&master, flags).step(|| "open the terminal".into())?;
    resize(&master, size)?;
    ioctl_tiocsctty(&terminal).step(|| "set the controlling terminal".into())?;
    send_descriptors(channel.as_fd(), b"t", &[master.as_fd()])
        .step(|| "send the terminal to the helper".into())?;
    Ok(terminal.into())
}

/// The terminal that has been sent.
pub(super) fn receive(channel: &OwnedFd) -> Result<OwnedFd, SetupError> {
    let step = || "receive the terminal".to_owned();
    let (_, descriptors) = receive_descriptors(channel.as_fd(), &mut [0]).step(step)?;
    let master = descriptors.into_iter().next();
    let master = master.ok_or_else(|| SetupError::new(step(), "there is none"))?;
    fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK).step(|| "fcntl".into())?;
    Ok(master)
}

/// Gives the terminal another size; who is on it gets SIGWINCH.
pub(super) fn resize(master: &OwnedFd, size: WindowSize) -> Result<(), SetupError> {
    let WindowSize { rows, columns } = size;
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).step(|| "set the terminal's size".into())
}
