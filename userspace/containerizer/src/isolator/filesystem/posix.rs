//! `filesystem/posix`: no view of files of its own. A container sees the host's, with the
//! host's devices, and works in its sandbox.

use crate::Error;
use crate::isolator::{Draft, Isolator, Request};

/// The isolator.
pub(in crate::isolator) struct Posix;

impl Isolator for Posix {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        draft.root(request.root_without_image())
    }
}
