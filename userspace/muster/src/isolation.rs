//! Flags of isolators: what containers get.

use clap::Args;
use muster_containerizer::Isolation;

#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// What keeps containers apart, by Mesos' names, in any order: see docs/containers.md. A
    /// name with a leading "-" is left out of what is there by default.
    #[arg(long, env = "MUSTER_ISOLATION", default_value = "", allow_hyphen_values = true)]
    isolation: String,
    /// Makes CPUs a ceiling, not only a share.
    #[arg(long, env = "MUSTER_CGROUPS_ENABLE_CFS")]
    cgroups_enable_cfs: bool,
    /// Limits memory and swap together.
    #[arg(long, env = "MUSTER_CGROUPS_LIMIT_SWAP")]
    cgroups_limit_swap: bool,
}

impl From<Flags> for Isolation {
    fn from(flags: Flags) -> Self {
        Self {
            names: flags.isolation,
            cfs_quota: flags.cgroups_enable_cfs,
            limit_swap: flags.cgroups_limit_swap,
        }
    }
}
