//! SIGINT, SIGTERM and SIGHUP end whatever the harness is waiting for, so that clusters are
//! removed on the way out. A second signal ends the process at once.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

use crate::error::{Error, Result};

struct Signals {
    seen: Arc<AtomicBool>,
    /// Becomes readable at the first signal and is never drained: every waiter wakes.
    readable: UnixStream,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

/// Registers the handlers, once per process.
///
/// # Errors
/// [`Error::System`] when the kernel refuses a handler or a socket pair.
pub fn install() -> Result<()> {
    if SIGNALS.get().is_some() {
        return Ok(());
    }
    let signals = register().map_err(Error::system("sigaction", "SIGINT, SIGTERM, SIGHUP"))?;
    // Lost only against another thread that registered the same at the same time.
    let _ = SIGNALS.set(signals);
    Ok(())
}

fn register() -> io::Result<Signals> {
    let seen = Arc::new(AtomicBool::new(false));
    let (readable, writable) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Order matters: the first signal finds the flag unset and only sets it.
        flag::register_conditional_default(signal, Arc::clone(&seen))?;
        flag::register(signal, Arc::clone(&seen))?;
        pipe::register(signal, writable.try_clone()?)?;
    }
    Ok(Signals { seen, readable })
}

/// Whether a signal has come.
pub fn seen() -> bool {
    SIGNALS.get().is_some_and(|signals| signals.seen.load(Ordering::SeqCst))
}

/// Fails when a signal has come.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn check() -> Result<()> {
    if seen() { Err(Error::Interrupted) } else { Ok(()) }
}

/// Waits for `length`, or until a signal comes.
///
/// # Errors
/// [`Error::Interrupted`] when a signal came; [`Error::System`] when `poll` fails.
pub fn pause(length: Duration) -> Result<()> {
    let Some(signals) = SIGNALS.get() else {
        install()?;
        return pause(length);
    };
    wait(Some(signals), length)?;
    check()
}

/// Waits for `length` whatever signals come: for teardown, which must finish.
///
/// # Errors
/// [`Error::System`] when `poll` fails.
pub fn pause_regardless(length: Duration) -> Result<()> {
    wait(None, length)
}

fn wait(signals: Option<&Signals>, length: Duration) -> Result<()> {
    let end = Instant::now() + length;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut sources: Vec<PollFd<'_>> = signals
            .iter()
            .map(|signals| PollFd::new(signals.readable.as_fd(), PollFlags::POLLIN))
            .collect();
        match poll(&mut sources, timeout) {
            Ok(_) | Err(Errno::EINTR) if signals.is_some() && seen() => return Ok(()),
            Ok(_) | Err(Errno::EINTR) if Instant::now() >= end => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::system("poll", "the signal pipe")(errno)),
        }
    }
}
