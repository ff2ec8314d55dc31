//! What one container takes, and may take.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::walk::Used;
use super::{btrfs, nameless, project, walk};
use crate::cgroup::Group;
use crate::limitation::{Amount, bytes};
use crate::{Cause, Error, Limitation};

/// How it is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// By going over its files.
    Files,
    /// From the quota of this project.
    Project(u32),
    /// From the qgroup of its subvolumes.
    Subvolumes,
}

/// Directories that count for a container.
pub(super) type Roots = Arc<Mutex<BTreeSet<PathBuf>>>;

/// So many bytes of a limit stand for one file at least: files that are empty take something too,
/// and a disk may run out of them first. As filesystems have blocks of this size, it is only empty
/// ones, links and the like that this is about.
const BYTES_PER_INODE: u64 = 4096;
/// So many files any limit stands for.
const INODES_MIN: u64 = 16 << 10;

/// A container's account.
pub(super) struct Account {
    /// The container.
    pub(super) id: String,
    /// Its sandbox.
    pub(super) sandbox: PathBuf,
    /// Where it and all that are nested in it run.
    pub(super) group: Group,
    /// What is its own, beside its sandbox, and what those have that are nested in it: what they
    /// wrote of their root filesystems.
    pub(super) roots: Roots,
    /// How it is counted.
    pub(super) means: Means,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    limit: Option<u64>,
    used: Option<Used>,
    /// Whether it was above its limit when that was last looked at.
    above: bool,
}

/// What a limit in bytes stands for.
pub(super) fn most(limit: u64) -> Used {
    Used { bytes: limit, inodes: (limit / BYTES_PER_INODE).max(INODES_MIN) }
}

impl Account {
    /// That of the container `id`, which has taken nothing yet.
    pub(super) fn new(
        id: &str,
        sandbox: PathBuf,
        roots: Roots,
        group: Group,
        means: Means,
        limit: Option<u64>,
    ) -> Self {
        let state = Mutex::new(State { limit, ..State::default() });
        Self { id: id.to_owned(), sandbox, group, roots, means, state }
    }

    /// The limit in bytes, if there is one.
    pub(super) fn limit(&self) -> Option<u64> {
        self.state().limit
    }

    /// Another limit.
    pub(super) fn set_limit(&self, limit: Option<u64>) {
        self.state().limit = limit;
    }

    /// What it took when that was last found out, in bytes; `None` before.
    pub(super) fn last(&self) -> Option<u64> {
        self.state().used.map(|used| used.bytes)
    }

    /// Finds out what it takes, in bytes. May take long with [`Means::Files`].
    pub(super) fn measure(&self) -> Result<u64, Error> {
        let used = match self.means {
            Means::Files => self.count()?,
            Means::Project(project) => project::used(&self.sandbox, project)?,
            // It counts what describes files too, so that nothing is for nothing.
            Means::Subvolumes => Used { bytes: btrfs::used(&self.sandbox)?, inodes: 0 },
        };
        self.state().used = Some(used);
        Ok(used.bytes)
    }

    fn count(&self) -> Result<Used, Error> {
        let mut roots = vec![self.sandbox.clone()];
        roots.extend(self.roots.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        let named = walk::used(&roots)?;
        let nameless = nameless::used(&self.group.all_processes()?, &self.sandbox);
        Ok(Used {
            bytes: named.bytes.saturating_add(nameless.bytes),
            inodes: named.inodes.saturating_add(nameless.inodes),
        })
    }

    /// What it went over, if it did: said in the log when it begins to be.
    pub(super) fn judge(&self) -> Option<Limitation> {
        let mut state = self.state();
        let above = state
            .used
            .zip(state.limit)
            .filter(|(used, limit)| used.bytes > *limit || used.inodes > most(*limit).inodes);
        let before = std::mem::replace(&mut state.above, above.is_some());
        let (used, limit) = above?;
        // As Mesos says it, who counts no files.
        let (what, quota) = if used.bytes > limit {
            (bytes(used.bytes), bytes(limit))
        } else {
            (format!("{} files", used.inodes), format!("{} files", most(limit).inodes))
        };
        let message = format!("Disk usage ({what}) exceeds quota ({quota})");
        if !before {
            tracing::warn!(id = self.id, message);
        }
        Some(Limitation {
            cause: Cause::Disk,
            message,
            resources: vec![Amount::bytes("disk", limit)],
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is ever half done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cgroup::Version;
    use crate::isolator::testing;

    #[test]
    fn above_its_limit_is_said_as_in_mesos() {
        let top = tempfile::tempdir().unwrap();
        let roots = [top.path().join("sandbox"), top.path().join(".c.rootfs")];
        for root in &roots {
            fs::create_dir_all(root.join("upper")).unwrap();
        }
        let account = account(&roots);
        assert_eq!((account.last(), account.judge()), (None, None));
        fs::write(roots[0].join("file"), vec![1; 600 << 10]).unwrap();
        account.measure().unwrap();
        assert_eq!(account.judge(), None);
        // What it changed of its image counts too.
        fs::write(roots[1].join("file"), vec![1; 600 << 10]).unwrap();
        let used = account.measure().unwrap();
        assert!(used > 1200 << 10 && account.last() == Some(used), "{used}");
        let limitation = account.judge().unwrap();
        let message = format!("Disk usage ({}KB) exceeds quota (1MB)", used >> 10);
        assert_eq!((limitation.cause, limitation.message), (Cause::Disk, message));
        assert_eq!(limitation.resources, [Amount { name: "disk".into(), milli: 1000 }]);
        account.set_limit(None);
        assert_eq!(account.judge(), None);
    }

    fn account([sandbox, scratch]: &[PathBuf; 2]) -> Account {
        let (_directory, subject) = testing::subject(Version::V2, &[]);
        let roots = Arc::new(Mutex::new([scratch.clone()].into()));
        let group = subject.plan.group;
        Account::new("c", sandbox.clone(), roots, group, Means::Files, Some(1 << 20))
    }

    #[test]
    fn files_that_take_no_blocks_come_to_an_end_too() {
        let top = tempfile::tempdir_in("/dev/shm").unwrap();
        let roots = [top.path().join("sandbox"), top.path().join("scratch")];
        fs::create_dir(&roots[0]).unwrap();
        let account = account(&roots);
        for number in 0..INODES_MIN - 1 {
            fs::File::create(roots[0].join(number.to_string())).unwrap();
        }
        assert!(account.measure().unwrap() <= 4096);
        assert_eq!(account.judge(), None);
        fs::create_dir(&roots[1]).unwrap();
        account.measure().unwrap();
        let message = account.judge().unwrap().message;
        assert_eq!(message, "Disk usage (16385 files) exceeds quota (16384 files)");
        account.set_limit(Some(128 << 20));
        assert_eq!(account.judge(), None, "more space is more files");
    }
}
