//! `cgroups/pids`: counts a container's tasks.

use crate::cgroup::{Controller, Hierarchies, file};
use crate::isolator::{Isolator, Subject};
use crate::{Error, Usage};

/// The isolator.
pub(in crate::isolator) struct Pids;

impl Isolator for Pids {
    fn check(&self, hierarchies: &Hierarchies) -> Result<(), Error> {
        hierarchies.require(Controller::Pids).map(drop)
    }

    fn controllers(&self) -> &'static [Controller] {
        &[Controller::Pids]
    }

    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), Error> {
        let place = subject.plan.group.place(Controller::Pids)?;
        usage.threads = file::number(&place.directory.join("pids.current"))?;
        let processes = file::read(&subject.plan.group.unified.join("cgroup.procs"))?;
        usage.processes = Some(processes.lines().count() as u64);
        Ok(())
    }
}
