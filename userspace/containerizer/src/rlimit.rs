//! Resource limits of processes, setrlimit(2).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;

/// One resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// Of what.
    pub kind: RlimitKind,
    /// What is enforced; `None` is no limit.
    pub soft: Option<u64>,
    /// What the process may raise that to; `None` is no limit.
    pub hard: Option<u64>,
}

/// The resources, by the names of Linux and Mesos: `RLIMIT_AS`, `RLMT_AS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RlimitKind {
    /// Address space, in bytes.
    As,
    /// Core files, in bytes.
    Core,
    /// CPU time, in seconds.
    Cpu,
    /// Data segment, in bytes.
    Data,
    /// Files that it writes, in bytes.
    Fsize,
    /// Locks and leases; without effect since Linux 2.4.25.
    Locks,
    /// Memory locked into RAM, in bytes.
    Memlock,
    /// POSIX message queues, in bytes.
    Msgqueue,
    /// Ceiling of the nice value, as 20 less it.
    Nice,
    /// Highest file descriptor, and one.
    Nofile,
    /// Threads of its user.
    Nproc,
    /// Resident set; without effect since Linux 2.4.30.
    Rss,
    /// Real-time priority.
    Rtprio,
    /// CPU time under real-time scheduling without a blocking call, in microseconds.
    Rttime,
    /// Queued signals.
    Sigpending,
    /// Stack, in bytes.
    Stack,
}

/// Mesos' name: `RLMT_AS`.
impl fmt::Display for RlimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RLMT_{}", format!("{self:?}").to_ascii_uppercase())
    }
}

impl Rlimit {
    /// Checks it by itself.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let above = match (self.soft, self.hard) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(soft), Some(hard)) => soft > hard,
        };
        if above {
            let reason = format!("the soft limit of {} is above the hard one", self.kind);
            return Err(Error::Spec { field: "rlimits", reason });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soft_limit_is_not_above_the_hard_one() {
        let refused = |soft, hard| {
            let limit = Rlimit { kind: RlimitKind::Nofile, soft, hard };
            limit.validate().err().map(|error| error.to_string())
        };
        for (soft, hard) in [(None, None), (Some(1), None), (Some(1), Some(1))] {
            assert_eq!(refused(soft, hard), None);
        }
        for (soft, hard) in [(None, Some(1)), (Some(2), Some(1))] {
            let expected = "rlimits: the soft limit of RLMT_NOFILE is above the hard one";
            assert_eq!(refused(soft, hard).as_deref(), Some(expected));
        }
    }
}
