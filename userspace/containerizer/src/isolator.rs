//! Isolators: each keeps containers within one kind of limit, and counts.

mod cpu;
mod memory;
mod pids;

use crate::cgroup::Hierarchies;
use crate::{Config, Error, Usage};

pub(crate) use memory::exceeded;

/// What a container may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// CPUs in thousandths.
    pub(crate) cpus_milli: u64,
    /// Memory in bytes.
    pub(crate) mem_bytes: u64,
}

/// One kind of limit. Names are Mesos', as in its `--isolation`.
pub(crate) trait Isolator: Send + Sync {
    /// `cgroups/cpu` and the like.
    fn name(&self) -> &'static str;

    /// Sets the limits of the cgroup `group`, which is there and still empty.
    fn prepare(&self, group: &str, limits: Limits) -> Result<(), Error>;

    /// Adds what the container in `group` has used.
    fn usage(&self, group: &str, usage: &mut Usage) -> Result<(), Error>;
}

/// The isolators for this machine, in the order in which they prepare.
pub(crate) fn all(config: &Config, hierarchies: &Hierarchies) -> Vec<Box<dyn Isolator>> {
    let mut isolators: Vec<Box<dyn Isolator>> = Vec::new();
    if let Some(cpu) = cpu::Cpu::new(hierarchies, config.cfs_quota) {
        isolators.push(Box::new(cpu));
    }
    if let Some(memory) = memory::Memory::new(hierarchies) {
        isolators.push(Box::new(memory));
    }
    if let Some(pids) = pids::Pids::new(hierarchies) {
        isolators.push(Box::new(pids));
    }
    isolators
}
