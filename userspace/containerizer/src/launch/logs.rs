//! A container's output, taken from pipes and put into logs of limited size.
//!
//! The container's helper does it: it lives as long as the container does, whatever becomes of
//! the agent, so that no writer is ever held up or killed for want of a reader.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{Errno, read};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

use super::init;
use super::plan::Plan;
use super::streams::Ends;
use crate::error::Step as _;
use crate::{Log, Logger, Rotation, SetupError};

/// What a pipe holds.
const PIECE: usize = 64 << 10;

/// The logs that this process writes; none for a container that writes its own.
#[derive(Default)]
pub(super) struct Rotated(Vec<Stream>);

struct Stream {
    /// `None` when nobody can write into it any more.
    pipe: Option<OwnedFd>,
    log: Log,
}

impl Rotated {
    /// Opens what `plan` wants, in its sandbox.
    pub(super) fn open(plan: &Plan) -> Result<(Self, Ends), SetupError> {
        let Logger::Logrotate { stdout, stderr } = plan.logger else {
            return Ok((Self::default(), Ends::Logs));
        };
        let sandbox = || init::sandbox(plan);
        let (output, out) = Stream::open(sandbox()?, "stdout", stdout)?;
        let (errors, err) = Stream::open(sandbox()?, "stderr", stderr)?;
        Ok((Self(vec![output, errors]), Ends::Rotated { output: out, errors: err }))
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes the logs the user's that the pipes are by now.
    pub(super) fn give(&mut self) -> Result<(), SetupError> {
        for stream in &mut self.0 {
            if let Some(pipe) = &stream.pipe {
                stream.log.give_as(pipe).step(|| "chown a log".into())?;
            }
        }
        Ok(())
    }

    /// Those from which something may come, by their number.
    pub(super) fn pipes(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        let all = self.0.iter().enumerate();
        all.filter_map(|(number, stream)| Some((number, stream.pipe.as_ref()?.as_fd())))
    }

    /// Takes what is there from the one with this number.
    pub(super) fn take(&mut self, number: usize) {
        if let Some(stream) = self.0.get_mut(number) {
            stream.take();
        }
    }

    /// Takes all that is there.
    pub(super) fn drain(&mut self) {
        for stream in &mut self.0 {
            while stream.take() {}
        }
    }
}

impl Stream {
    fn open(
        sandbox: OwnedFd,
        name: &'static str,
        rotation: Rotation,
    ) -> Result<(Self, OwnedFd), SetupError> {
        let log = Log::open(sandbox, name, rotation).step(|| format!("open {name}"))?;
        let (pipe, end) = pipe_with(PipeFlags::CLOEXEC).step(|| "pipe".into())?;
        // Of this end only: who writes waits while it is full.
        fcntl_setfl(&pipe, OFlags::NONBLOCK).step(|| "fcntl".into())?;
        Ok((Self { pipe: Some(pipe), log }, end))
    }

    /// Takes a piece; whether there was one. What cannot be written is lost: it must not hold
    /// up the container.
    fn take(&mut self) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        let (log, most) = self.log.room(PIECE);
        // It stays in the kernel's pages.
        let moved = match log {
            Some(log) => splice(pipe, None, log, None, most, SpliceFlags::NONBLOCK),
            None => Err(Errno::BADF),
        };
        match moved {
            Ok(0) => {
                self.pipe = None;
                false
            }
            Ok(length) => {
                self.log.grown(length);
                true
            }
            Err(Errno::INTR) => true,
            Err(Errno::AGAIN) => false,
            // A disk that is full, or a file system that cannot.
            Err(_) => self.copy(most),
        }
    }

    fn copy(&mut self, most: usize) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        let mut buffer = vec![0; most.min(PIECE)];
        match read(pipe, &mut buffer) {
            Ok(0) => {
                self.pipe = None;
                false
            }
            Ok(length) => {
                self.log.write(&buffer[..length]);
                true
            }
            Err(Errno::INTR) => true,
            Err(Errno::AGAIN) => false,
            Err(_) => {
                self.pipe = None;
                false
            }
        }
    }
}
