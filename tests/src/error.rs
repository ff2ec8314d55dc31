//! What can go wrong when building, driving or removing a cluster.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Result of the harness.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the harness; each names the call, command, address or file it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("{call} {subject}: {error}")]
    System {
        /// Name of the system call.
        call: &'static str,
        /// What it was called on.
        subject: String,
        /// Its error. Not a source: a chain of causes would say it twice.
        error: io::Error,
    },
    /// A command could not be run or ended with a failure.
    #[error("`{command}` {outcome}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended, and the end of what it said.
        outcome: String,
    },
    /// Something the harness needs is not on this machine.
    #[error("{what} is missing; {fix}")]
    Missing {
        /// What is missing.
        what: String,
        /// How to get it.
        fix: String,
    },
    /// A master or an agent ended by itself.
    #[error("{process} ended with {status}; the end of {}:\n{tail}", log.display())]
    Died {
        /// `master` or the agent's name.
        process: String,
        /// Its exit status.
        status: String,
        /// Where its log is.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// An HTTP request got no answer.
    #[error("{method} {url}: {reason}")]
    Http {
        /// The method.
        method: String,
        /// The address asked.
        url: String,
        /// Why there is no answer.
        reason: String,
    },
    /// An HTTP request was answered with another status than a success.
    #[error("{method} {url}: status {status}: {body}")]
    Status {
        /// The method.
        method: String,
        /// The address asked.
        url: String,
        /// The status code.
        status: u16,
        /// The answer's body.
        body: String,
    },
    /// An answer or a file is not what it should be.
    #[error("{what}: {reason}")]
    Unexpected {
        /// What was read.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A condition has not come true yet; [`crate::eventually`] tries again.
    #[error("{0}")]
    NotYet(String),
    /// A condition did not come true in time.
    #[error("waited {waited:.0?} for {what}; last seen: {last}")]
    Timeout {
        /// The condition.
        what: String,
        /// How long it was waited for.
        waited: Duration,
        /// Why it was still not true in the end.
        last: String,
    },
    /// SIGINT, SIGTERM or SIGHUP came.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Wraps the error of the system call `call` on `subject`.
    pub fn system<E: Into<io::Error>>(
        call: &'static str,
        subject: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        let subject = subject.into();
        move |error| Self::System { call, subject, error: error.into() }
    }

    /// Whether waiting longer may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NotYet(_) | Self::Http { .. } | Self::Status { .. })
    }
}
