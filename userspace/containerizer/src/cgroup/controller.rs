//! What cgroups count and limit.

use serde::{Deserialize, Serialize};

/// The controllers that a container may be put under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Controller {
    /// Share and ceiling of CPU time.
    Cpu,
    /// Memory limit and use.
    Memory,
    /// Number of tasks.
    Pids,
    /// CPUs that it runs on.
    Cpuset,
    /// Reads and writes of block devices; `io` in v2.
    Blkio,
    /// Devices that it may open. In v2 that takes no controller, but a program.
    Devices,
}

impl Controller {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Cpu, Self::Memory, Self::Pids, Self::Cpuset, Self::Blkio, Self::Devices];

    /// The kernel's name of it in v1.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpuset => "cpuset",
            Self::Blkio => "blkio",
            Self::Devices => "devices",
        }
    }

    /// What enables it in `cgroup.subtree_control`; `None` for what v2 always has.
    pub(super) fn v2_name(self) -> Option<&'static str> {
        match self {
            Self::Devices => None,
            Self::Blkio => Some("io"),
            other => Some(other.name()),
        }
    }
}

/// The two generations of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Version {
    /// One hierarchy per controller or set of controllers.
    V1,
    /// One hierarchy for all.
    V2,
}
