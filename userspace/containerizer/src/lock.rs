//! Locks that a process holds for as long as it lives.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::Error;
use crate::error::At as _;

/// How long another one may take to let go: a killed agent's lock lives on in a helper that
/// was just being started, until its exec.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often that is looked at.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Locks `file`, which is at `path`; `false` if a process that lives has it.
pub(crate) fn lock_for_life(file: &File, path: &Path) -> Result<bool, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => {
                // Nothing to wait for but time: locks have no events.
                poll(&mut [], Some(&PAUSE)).at("poll", path)?;
            }
            Err(Errno::WOULDBLOCK) => return Ok(false),
            locked => return locked.at("flock", path).map(|()| true),
        }
    }
}
