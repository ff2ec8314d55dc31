//! How a container, or a command in it, ended.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Limitation;

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Termination {
    /// Its command returned this code, 0 to 255.
    Exited(i32),
    /// Its command died of this signal.
    Signaled(i32),
    /// It went over a limit, and all of it was killed.
    Limited(Limitation),
    /// It is gone and nobody saw how; the text says why.
    Lost(String),
}

impl fmt::Display for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with status {code}"),
            Self::Signaled(signal) => write!(f, "terminated by signal {}", signal_name(*signal)),
            Self::Limited(limitation) => write!(f, "{limitation}"),
            Self::Lost(reason) => write!(f, "lost: {reason}"),
        }
    }
}

/// How a command that was run inside a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecStatus {
    /// It returned this code, 0 to 255.
    Exited(i32),
    /// It died of this signal.
    Signaled(i32),
    /// It ran longer than it may and was killed.
    TimedOut,
}

/// `SIGTERM (15)`; only the number for signals without a name.
fn signal_name(signal: i32) -> String {
    match nix::sys::signal::Signal::try_from(signal) {
        Ok(known) => format!("{} ({signal})", known.as_str()),
        Err(_) => signal.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cause;

    #[test]
    fn reads_as_an_operator_would_say_it() {
        assert_eq!(Termination::Exited(3).to_string(), "exited with status 3");
        assert_eq!(Termination::Signaled(9).to_string(), "terminated by signal SIGKILL (9)");
        assert_eq!(Termination::Signaled(40).to_string(), "terminated by signal 40");
        let limitation =
            Limitation { cause: Cause::Other, message: "too much".into(), resources: Vec::new() };
        assert_eq!(Termination::Limited(limitation).to_string(), "too much");
    }
}
