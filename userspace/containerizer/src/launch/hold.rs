//! A pod's only process, which runs no program: it holds the pod's namespaces and collects
//! what is left to it as process 1.

use std::convert::Infallible;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::system;
use crate::SetupError;
use crate::error::Step as _;

/// Holds until SIGTERM or SIGINT comes. To be called with no descriptor but the standard
/// streams in use any more.
pub(super) fn hold() -> Result<Infallible, SetupError> {
    let mut awaited = SigSet::empty();
    awaited.extend([Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD]);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&awaited), None).step(|| "sigprocmask".into())?;
    // Not sigwait: while that waits the signals do not show as blocked, and it is by that that
    // who asks this process to end sees that it will.
    let signals =
        SignalFd::with_flags(&awaited, SfdFlags::SFD_CLOEXEC).step(|| "signalfd".into())?;
    // Where descriptors are kept.
    rustix::stdio::dup2_stdin(&signals).step(|| "dup stdin".into())?;
    // The helper takes this as an exec: the pod is there.
    system::close_from(3).step(|| "close_range".into())?;
    loop {
        // What ended before the signal was blocked is collected in any case.
        while !matches!(
            waitpid(None, Some(WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::StillAlive) | Err(_)
        ) {}
        let mut signal = [0_u8; size_of::<libc::signalfd_siginfo>()];
        match nix::unistd::read(std::io::stdin(), &mut signal) {
            // The first member is the signal's number.
            Ok(_) if !signal.starts_with(&libc::SIGCHLD.to_ne_bytes()) => system::exit(0),
            Ok(_) | Err(Errno::EINTR) => {}
            // Nobody can be told any more.
            Err(_) => system::exit(127),
        }
    }
}
