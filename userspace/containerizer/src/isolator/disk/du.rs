//! `disk/du`: counts the disk space of a container, says when it takes more than it is promised,
//! and with `--enforce-container-disk-quota` does not let it: it is killed, or, where the
//! filesystem has quotas, cannot write any more.

use std::sync::Arc;

use super::keeper::Keeper;
use crate::isolator::{Draft, Isolation, Isolator, Request, Subject, Watch};
use crate::{Error, Resources, Usage};

/// The isolator.
pub(in crate::isolator) struct Du(Keeper);

impl Du {
    /// With these flags.
    pub(in crate::isolator) fn new(flags: &Isolation) -> Self {
        Self(Keeper::new("disk/du", flags, flags.enforce_disk_quota, None))
    }
}

impl Isolator for Du {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        self.0.prepare(request, draft).map(drop)
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
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::cgroup::Version;
    use crate::isolator::testing;
    use crate::{Cause, ContainerSpec};

    /// A container on plain files, with 1 MB promised.
    fn subject(du: &Du) -> (tempfile::TempDir, Arc<Subject>) {
        let (directory, mut subject) = testing::subject(Version::V2, &[]);
        subject.plan.sandbox = directory.path().join("sandbox");
        fs::create_dir(&subject.plan.sandbox).unwrap();
        let sandbox = subject.plan.sandbox.clone();
        let spec = ContainerSpec { sandbox, ..testing::spec() };
        let (_, notes) = testing::planned(&[("disk/du", du)], &spec, None).unwrap();
        subject.notes = notes;
        subject.resources.disk_bytes = Some(1 << 20);
        (directory, Arc::new(subject))
    }

    fn du(enforce_disk_quota: bool) -> Du {
        let disk_watch_interval = Duration::from_millis(5);
        Du::new(&Isolation { disk_watch_interval, enforce_disk_quota, ..Isolation::default() })
    }

    async fn measured(du: &Du, subject: &Subject) -> Usage {
        loop {
            let mut usage = Usage::default();
            du.usage(subject, &mut usage).unwrap();
            if usage.disk_used_bytes.is_some_and(|used| used > 1 << 20) {
                return usage;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn ends_who_takes_too_much_if_that_is_enforced() {
        let du = du(true);
        let (_directory, subject) = subject(&du);
        du.isolate(&subject).unwrap();
        let watch = tokio::spawn(du.watch(&subject).unwrap());
        fs::write(subject.plan.sandbox.join("file"), vec![1; 3 << 20]).unwrap();
        let limitation = watch.await.unwrap();
        assert_eq!(limitation.cause, Cause::Disk);
        assert!(limitation.message.ends_with(" exceeds quota (1MB)"), "{limitation}");
        du.cleanup(&subject).unwrap();
        du.cleanup(&subject).unwrap();
    }

    #[tokio::test]
    async fn counts_and_only_says_so_otherwise() {
        let du = du(false);
        let (_directory, subject) = subject(&du);
        du.isolate(&subject).unwrap();
        let watch = tokio::spawn(du.watch(&subject).unwrap());
        fs::write(subject.plan.sandbox.join("file"), vec![1; 3 << 20]).unwrap();
        let usage = measured(&du, &subject).await;
        assert_eq!(usage.disk_limit_bytes, Some(1 << 20));
        let resources = Resources { disk_bytes: Some(8 << 20), ..subject.resources };
        du.update(&subject, &resources).unwrap();
        assert_eq!(measured(&du, &subject).await.disk_limit_bytes, Some(8 << 20));
        assert!(!watch.is_finished());
        watch.abort();
    }
}
