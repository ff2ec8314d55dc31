//! The flags of isolators.

/// Which isolators containers get, and what these are told. Flags of one isolator that is
/// not chosen have no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Isolation {
    /// `--isolation`: names by Mesos' list, separated by commas, in any order. With a leading
    /// `-` one is left out that would be implied; empty, or with such only, it is the default.
    pub names: String,
    /// `--cgroups-enable-cfs`: CPUs are also a ceiling (CFS quota per 100 ms), not only a share.
    pub cfs_quota: bool,
    /// `--cgroups-limit-swap`: memory limits are for memory and swap together.
    pub limit_swap: bool,
}
