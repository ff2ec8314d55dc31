//! `linux/nnp`: no exec gives a command more than it has, whatever set-user-ID programs and
//! file capabilities there are (prctl(2), `PR_SET_NO_NEW_PRIVS`).

use crate::Error;
use crate::isolator::{Draft, Isolator, Request};

/// The isolator.
pub(in crate::isolator) struct Nnp;

impl Isolator for Nnp {
    fn prepare(&self, _request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        draft.no_new_privs();
        Ok(())
    }
}
