//! `disk/du`: counts the disk space of a container, says when it takes more than it is promised,
//! and with `--enforce-container-disk-quota` does not let it: it is killed, or, where the
//! filesystem has quotas, cannot write any more.

use super::keeper::{Enforcement, Keeper};
use crate::isolator::Isolation;

/// The isolator with these flags.
pub(in crate::isolator) fn du(flags: &Isolation) -> Keeper {
    let enforced = flags.enforce_disk_quota;
    Keeper::new("disk/du", flags, if enforced { Enforcement::Any } else { Enforcement::None })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::cgroup::Version;
    use crate::isolator::{Isolator as _, Subject, testing};
    use crate::{Cause, ContainerSpec, Resources, Usage};

    /// A container on plain files, with 1 MB promised.
    fn subject(du: &Keeper) -> (tempfile::TempDir, Arc<Subject>) {
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

    fn flagged(enforce_disk_quota: bool) -> Keeper {
        let disk_watch_interval = Duration::from_millis(5);
        du(&Isolation { disk_watch_interval, enforce_disk_quota, ..Isolation::default() })
    }

    async fn measured(du: &Keeper, subject: &Subject) -> Usage {
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
        let du = flagged(true);
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
        let du = flagged(false);
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
