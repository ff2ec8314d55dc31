//! The terminal that a person sits at.

use std::io::{self, stdin};

use muster_api::mesos::tty_info::WindowSize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Its size, if standard input is one.
pub(super) fn size() -> Option<WindowSize> {
    let size = tcgetwinsize(stdin()).ok()?;
    Some(WindowSize { rows: size.ws_row.into(), columns: size.ws_col.into() })
}

/// Standard input as it is typed, key for key: nothing is echoed, and no key is a signal. It is
/// as before when this is dropped.
pub(super) struct Raw(Termios);

impl Raw {
    pub(super) fn make() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _: rustix::io::Result<()> = tcsetattr(stdin(), OptionalActions::Drain, &self.0);
    }
}
