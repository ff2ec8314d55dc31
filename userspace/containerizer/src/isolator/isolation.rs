//! The flags of isolators.

/// Which isolators containers get, and what these are told. Flags of one isolator that is
/// not chosen have no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// `--isolation`: names by Mesos' list, separated by commas, in any order. With a leading
    /// `-` one is left out that would be implied; empty, or with such only, it is the default.
    pub names: String,
    /// `--cgroups-enable-cfs`: CPUs are also a ceiling (CFS quota per 100 ms), not only a share.
    pub cfs_quota: bool,
    /// `--cgroups-limit-swap`: memory limits are for memory and swap together.
    pub limit_swap: bool,
    /// `--cgroups-pids-limit`: the most tasks (threads of all processes) in a container that
    /// has no limit of its own; 0 is no limit.
    pub pids_limit: u64,
}

impl Isolation {
    /// How many tasks a container may have unless somebody says otherwise.
    pub const PIDS_LIMIT: u64 = 4096;
}

impl Default for Isolation {
    fn default() -> Self {
        Self {
            names: String::new(),
            cfs_quota: false,
            limit_swap: false,
            pids_limit: Self::PIDS_LIMIT,
        }
    }
}
