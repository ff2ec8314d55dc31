//! `namespaces/pid`: a container's own numbers of processes. Its command is process 1, and
//! everything ends with it.

use crate::Error;
use crate::isolator::{Draft, Isolator, Request};
use crate::launch::plan::Namespace;

/// The isolator.
pub(in crate::isolator) struct Pid;

impl Isolator for Pid {
    fn prepare(&self, _request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        draft.namespace(Namespace::Pid);
        Ok(())
    }
}
