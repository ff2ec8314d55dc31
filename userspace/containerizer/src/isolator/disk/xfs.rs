//! `disk/xfs`: limits the disk space of a container by a project quota. It cannot write more than
//! it is promised (`EDQUOT`), or is killed for it with `--xfs-kill-containers`. Like Mesos'
//! isolator of that name, but for every filesystem with project quotas.

use std::sync::Arc;

use super::keeper::Keeper;
use super::means::Kind;
use crate::isolator::{Draft, Isolation, Isolator, Request, Subject, Watch};
use crate::{Error, Resources, Usage};

/// How far above its limit a container comes before it is killed: Mesos'.
const MARGIN: u64 = 10 << 20;

/// The isolator.
pub(in crate::isolator) struct Xfs(Keeper);

impl Xfs {
    /// With these flags.
    pub(in crate::isolator) fn new(flags: &Isolation) -> Self {
        let margin = flags.xfs_kill_containers.then_some(MARGIN);
        Self(Keeper::new("disk/xfs", flags, true, margin))
    }
}

impl Isolator for Xfs {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        match self.0.prepare(request, draft)? {
            Kind::Project { limited: true } => Ok(()),
            _ => Err(Error::Unsupported {
                what: format!(
                    "the filesystem of {} does not enforce project quotas, which disk/xfs needs",
                    request.spec.sandbox.display()
                ),
                remedy: "mount it with the option prjquota, or use disk/du".into(),
            }),
        }
    }

    fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        self.0.isolate(subject)
    }

    fn watch(&self, subject: &Arc<Subject>) -> Option<Watch> {
        self.0.watch(subject)
    }

    fn update(&self, subject: &Subject, resources: &Resources) -> Result<(), Error> {
        self.0.update(subject, resources.disk_bytes)
    }

    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), Error> {
        self.0.usage(subject, usage)
    }

    fn cleanup(&self, subject: &Subject) -> Result<(), Error> {
        self.0.cleanup(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContainerSpec;
    use crate::isolator::testing;

    #[test]
    fn says_what_it_needs() {
        // A filesystem in memory has no projects.
        let sandbox = tempfile::tempdir_in("/dev/shm").unwrap();
        let spec = ContainerSpec { sandbox: sandbox.path().into(), ..testing::spec() };
        let xfs = Xfs::new(&Isolation::default());
        let error = testing::plan(&[("disk/xfs", &xfs)], &spec, None).unwrap_err().to_string();
        assert!(error.ends_with("mount it with the option prjquota, or use disk/du"), "{error}");
    }
}
