//! Running a program for one step.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::protocol::{Step, VERSION};
use crate::Error;

/// The longest answer, in bytes.
const ANSWER: u64 = 1 << 20;
/// How much of what it says about a failure is passed on, in bytes.
const WORDS: usize = 4 << 10;
/// What programs of an isolator find others by.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program.
pub(super) struct Program {
    name: &'static str,
    path: PathBuf,
    timeout: Duration,
}

impl Program {
    /// That of the isolator `name`, which is killed after `timeout`.
    pub(super) fn new(name: &'static str, path: PathBuf, timeout: Duration) -> Self {
        Self { name, path, timeout }
    }

    /// Its file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A failed `step` of it.
    pub(super) fn failed(&self, step: Step, reason: impl Into<String>) -> Error {
        let isolator = self.name.to_owned();
        Error::Isolator { isolator, step: step.name(), reason: reason.into() }
    }

    /// Runs `step` and returns the answer; nothing said is an empty one.
    pub(super) fn run<T: DeserializeOwned>(&self, step: Step, input: Value) -> Result<T, Error> {
        let failed = |error: io::Error| self.failed(step, error.to_string());
        let mut given = memory("input").map_err(failed)?;
        given.write_all(line(step, input).as_bytes()).map_err(failed)?;
        given.rewind().map_err(failed)?;
        let mut answer = memory("answer").map_err(failed)?;
        let mut words = memory("words").map_err(failed)?;
        let mut command = command(&self.path, step);
        command
            .stdin(given)
            .stdout(answer.try_clone().map_err(failed)?)
            .stderr(words.try_clone().map_err(failed)?);
        let child = command.spawn().map_err(failed)?;
        let Some(status) = self.wait(child).map_err(failed)? else {
            let reason = format!("no answer within {} s", self.timeout.as_secs_f64());
            return Err(self.failed(step, reason));
        };
        if !status.success() {
            words.rewind().map_err(failed)?;
            return Err(self.failed(step, why(status, &mut words).map_err(failed)?));
        }
        answer.rewind().map_err(failed)?;
        self.answer(step, &mut answer)
    }

    /// Reads the answer of a step that went well.
    fn answer<T: DeserializeOwned>(&self, step: Step, answer: &mut File) -> Result<T, Error> {
        let mut text = String::new();
        let read = answer.take(ANSWER + 1).read_to_string(&mut text);
        read.map_err(|error| self.failed(step, format!("its answer: {error}")))?;
        if text.len() as u64 > ANSWER {
            return Err(self.failed(step, "its answer has more than 1 MB"));
        }
        let text = if text.trim().is_empty() { "{}" } else { &text };
        serde_json::from_str(text)
            .map_err(|error| self.failed(step, format!("its answer: {error}")))
    }

    /// Waits for its end, and kills it with all that it started if that does not come in time.
    fn wait(&self, mut child: Child) -> io::Result<Option<ExitStatus>> {
        let pid = Pid::from_child(&child);
        let deadline = Instant::now() + self.timeout;
        let ended =
            pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from).and_then(|pidfd| {
                loop {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let left = Timespec::try_from(left).map_err(io::Error::other)?;
                    match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
                        Err(Errno::INTR) => {}
                        polled => return Ok(polled? > 0),
                    }
                }
            });
        if !matches!(ended, Ok(true)) {
            // It is there until it is waited for, and leads its own group.
            kill_process_group(pid, Signal::KILL)?;
        }
        let status = child.wait()?;
        Ok(ended?.then_some(status))
    }
}

/// A program that is to be run for `step`: in a process group of its own, with nothing of the
/// agent's environment.
pub(super) fn command(path: &Path, step: Step) -> Command {
    let mut command = Command::new(path);
    command.arg(step.name()).env_clear().env("PATH", PATH).current_dir("/").process_group(0);
    command
}

/// What it is told: one line.
pub(super) fn line(step: Step, mut input: Value) -> String {
    input["version"] = VERSION.into();
    input["step"] = step.name().into();
    format!("{input}\n")
}

/// How it ended, and what it said last.
pub(super) fn why(status: ExitStatus, words: &mut impl Read) -> io::Result<String> {
    let mut said = Vec::new();
    words.read_to_end(&mut said)?;
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(WORDS)..]).into_owned();
    let how = match status.signal() {
        Some(signal) => format!("killed by signal {signal}"),
        None => status.to_string(),
    };
    Ok(match said.trim() {
        "" => how,
        said => format!("{how}: {said}"),
    })
}

/// A file in memory.
pub(super) fn memory(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC)?.into())
}
