//! `cgroups/pids`: counts a container's tasks.

use crate::cgroup::{Controller, Hierarchies, file};
use crate::{Error, Usage};

use super::{Isolator, Limits};

/// The isolator.
pub(super) struct Pids {
    hierarchies: Hierarchies,
}

impl Pids {
    /// `None` where there is no such controller.
    pub(super) fn new(hierarchies: &Hierarchies) -> Option<Self> {
        hierarchies.version(Controller::Pids)?;
        Some(Self { hierarchies: hierarchies.clone() })
    }
}

impl Isolator for Pids {
    fn name(&self) -> &'static str {
        "cgroups/pids"
    }

    fn prepare(&self, _group: &str, _limits: Limits) -> Result<(), Error> {
        // A container's specification has no limit of this kind, nor has Mesos by default.
        Ok(())
    }

    fn usage(&self, group: &str, usage: &mut Usage) -> Result<(), Error> {
        let directory = self.hierarchies.directory(Controller::Pids, group);
        usage.threads = file::number(&directory.join("pids.current"))?;
        let processes = file::read(&self.hierarchies.unified(group).join("cgroup.procs"))?;
        usage.processes = Some(processes.lines().count() as u64);
        Ok(())
    }
}
