//! What becomes of a system call.

use serde::Deserialize;

/// Actions, by libseccomp's names. `SCMP_ACT_NOTIFY` needs a supervisor, which is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(in crate::seccomp) enum Action {
    /// The thread is killed.
    #[serde(rename = "SCMP_ACT_KILL", alias = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    /// The process is killed.
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// SIGSYS.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// An error.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// A tracer decides; without one it is `ENOSYS`.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    /// Allowed, and logged.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// Allowed.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
}

impl Action {
    /// The largest error number that the kernel takes.
    pub(in crate::seccomp) const ERRNO_MAX: u16 = 4095;

    /// The kernel's `SECCOMP_RET_…` with `data`: an error number, `EPERM` if there is none.
    pub(in crate::seccomp) fn code(self, data: Option<u16>) -> u32 {
        let data = || u32::from(data.unwrap_or(1));
        match self {
            Self::KillThread => libc::SECCOMP_RET_KILL_THREAD,
            Self::KillProcess => libc::SECCOMP_RET_KILL_PROCESS,
            Self::Trap => libc::SECCOMP_RET_TRAP,
            Self::Errno => libc::SECCOMP_RET_ERRNO | data(),
            Self::Trace => libc::SECCOMP_RET_TRACE | data(),
            Self::Log => libc::SECCOMP_RET_LOG,
            Self::Allow => libc::SECCOMP_RET_ALLOW,
        }
    }

    /// Whether the call is made.
    pub(in crate::seccomp) fn allows(self) -> bool {
        matches!(self, Self::Log | Self::Allow)
    }
}
