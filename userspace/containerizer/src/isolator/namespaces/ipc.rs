//! `namespaces/ipc`: a container's own System V IPC, POSIX message queues and /dev/shm.

use std::fs;

use crate::Error;
use crate::error::At as _;
use crate::isolator::{Draft, Isolator, Request};
use crate::launch::plan::{Attributes, Mount, Namespace};

/// The isolator.
pub(in crate::isolator) struct Ipc;

impl Isolator for Ipc {
    fn prepare(&self, _request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        draft.namespace(Namespace::Ipc);
        draft.mount(Mount::new("tmpfs", "/dev/shm", Attributes::QUIET, "mode=1777,size=65536k"))?;
        let known = "/proc/filesystems";
        let known = fs::read_to_string(known).at("read", known)?;
        // A kernel may be without POSIX message queues.
        if known.lines().any(|line| line.ends_with("\tmqueue")) {
            draft.mount(Mount::new("mqueue", "/dev/mqueue", Attributes::QUIET, ""))?;
        }
        Ok(())
    }
}
