//! `cgroups/pids`: how many tasks (threads of all processes) a container has, and may have:
//! `pids.max` and `pids.current`, the same in v1 and v2. A fork bomb ends at its own limit.

use crate::cgroup::{Controller, Hierarchies, file};
use crate::isolator::{Isolation, Isolator, Subject};
use crate::{Error, Limit, Resources, Usage};

/// The isolator.
pub(in crate::isolator) struct Pids {
    /// For containers that have no limit of their own.
    usual: Limit,
}

impl Pids {
    /// With its flags.
    pub(in crate::isolator) fn new(flags: &Isolation) -> Self {
        let usual =
            if flags.pids_limit == 0 { Limit::Infinite } else { Limit::At(flags.pids_limit) };
        Self { usual }
    }
}

impl Isolator for Pids {
    fn check(&self, hierarchies: &Hierarchies) -> Result<(), Error> {
        hierarchies.require(Controller::Pids).map(drop)
    }

    fn controllers(&self) -> &'static [Controller] {
        &[Controller::Pids]
    }

    fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        self.update(subject, &subject.resources)
    }

    fn update(&self, subject: &Subject, resources: &Resources) -> Result<(), Error> {
        let path = subject.plan.group.place(Controller::Pids)?.directory.join("pids.max");
        match resources.pids_limit.unwrap_or(self.usual) {
            Limit::Infinite => file::write(&path, "max"),
            Limit::At(tasks) => file::write(&path, &tasks.to_string()),
        }
    }

    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), Error> {
        let place = subject.plan.group.place(Controller::Pids)?;
        usage.threads = file::number(&place.directory.join("pids.current"))?;
        usage.processes = Some(subject.plan.group.processes()?.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cgroup::Version;
    use crate::isolator::testing;

    #[test]
    fn limits_and_counts_in_both_versions() {
        for (version, tree, unified) in
            [(Version::V1, "c/pids/c", "c/unified/c"), (Version::V2, "c/c", "c/c")]
        {
            let (directory, subject) = testing::subject(version, &[]);
            let at = |tree: &str, name: &str| directory.path().join(tree).join(name);
            fs::write(at(tree, "pids.max"), "max\n").unwrap();
            fs::write(at(tree, "pids.current"), "5\n").unwrap();
            fs::write(at(unified, "cgroup.procs"), "100\n101\n").unwrap();
            let max = |flag, pids_limit| {
                let isolation = Isolation { pids_limit: flag, ..Isolation::default() };
                let resources = Resources { pids_limit, ..Resources::default() };
                Pids::new(&isolation).update(&subject, &resources).unwrap();
                fs::read_to_string(at(tree, "pids.max")).unwrap()
            };
            assert_eq!(max(100, None), "100");
            assert_eq!(max(100, Some(Limit::At(7))), "7");
            assert_eq!(max(100, Some(Limit::Infinite)), "max");
            assert_eq!(max(0, None), "max");
            let mut usage = Usage::default();
            Pids::new(&Isolation::default()).usage(&subject, &mut usage).unwrap();
            assert_eq!((usage.threads, usage.processes), (Some(5), Some(2)));
        }
    }
}
