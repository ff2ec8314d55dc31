//! News of a container's memory running out.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::{EventfdFlags, PollFlags, eventfd};

use crate::SetupError;
use crate::cgroup::{Controller, Group, Version, file, oom};
use crate::error::Step as _;

/// A descriptor that the kernel makes ready when a container's memory has run out.
pub(super) enum OomWatch {
    /// v1: an eventfd that counts.
    V1(OwnedFd),
    /// v2: `memory.events`, marked at every change, and the group that it is of.
    V2(File, PathBuf),
}

impl OomWatch {
    /// Watches the memory of `group`.
    pub(super) fn new(group: &Group) -> Result<Self, SetupError> {
        let place = group.place(Controller::Memory)?;
        if place.version == Version::V2 {
            let path = place.directory.join("memory.events");
            let events = File::open(&path).step(|| format!("open {}", path.display()))?;
            return Ok(Self::V2(events, place.directory.to_owned()));
        }
        let path = place.directory.join("memory.oom_control");
        let control = File::open(&path).step(|| format!("open {}", path.display()))?;
        let event = eventfd(0, EventfdFlags::CLOEXEC).step(|| "eventfd".into())?;
        let path = place.directory.join("cgroup.event_control");
        file::write(&path, &format!("{} {}", event.as_raw_fd(), control.as_raw_fd()))
            .map_err(|error| SetupError::new("watch memory", error.to_string()))?;
        Ok(Self::V1(event))
    }

    /// What to poll.
    pub(super) fn poll(&self) -> (BorrowedFd<'_>, PollFlags) {
        match self {
            Self::V1(event) => (event.as_fd(), PollFlags::IN),
            Self::V2(events, _) => (events.as_fd(), PollFlags::PRI),
        }
    }

    /// Whether the news that made it ready is that memory has run out. Makes it unready.
    pub(super) fn take(&mut self) -> bool {
        match self {
            Self::V1(event) => rustix::io::read(event, &mut [0; 8]).is_ok(),
            Self::V2(events, directory) => {
                let mut text = String::new();
                let read =
                    events.seek(SeekFrom::Start(0)).and_then(|_| events.read_to_string(&mut text));
                // A group that cannot be asked is being removed.
                read.is_ok() && oom::ran_out(directory).unwrap_or(false)
            }
        }
    }
}
