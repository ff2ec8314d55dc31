//! What one container takes, and may take.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{btrfs, project, walk};
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

/// A container's account.
pub(super) struct Account {
    /// The container.
    pub(super) id: String,
    /// Its sandbox.
    pub(super) sandbox: PathBuf,
    /// What counts, beside it the part of its root filesystem that it wrote.
    pub(super) roots: [PathBuf; 2],
    /// How it is counted.
    pub(super) means: Means,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    limit: Option<u64>,
    used: Option<u64>,
    /// Whether it was above its limit when that was last looked at.
    above: bool,
}

impl Account {
    /// That of the container `id`, which has taken nothing yet.
    pub(super) fn new(id: &str, roots: [PathBuf; 2], means: Means, limit: Option<u64>) -> Self {
        let state = Mutex::new(State { limit, ..State::default() });
        let [sandbox, _] = roots.clone();
        Self { id: id.to_owned(), sandbox, roots, means, state }
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
        self.state().used
    }

    /// Finds out what it takes. May take long with [`Means::Files`].
    pub(super) fn measure(&self) -> Result<u64, Error> {
        let used = match self.means {
            Means::Files => walk::used(&self.roots)?,
            Means::Project(project) => project::used(&self.sandbox, project)?,
            Means::Subvolumes => btrfs::used(&self.sandbox)?,
        };
        self.state().used = Some(used);
        Ok(used)
    }

    /// What it went over, if it did: said in the log when it begins to be.
    pub(super) fn judge(&self) -> Option<Limitation> {
        let mut state = self.state();
        let above = state.used.zip(state.limit).filter(|(used, limit)| used > limit);
        let before = std::mem::replace(&mut state.above, above.is_some());
        let (used, limit) = above?;
        // As Mesos says it.
        let message = format!("Disk usage ({}) exceeds quota ({})", bytes(used), bytes(limit));
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

    #[test]
    fn above_its_limit_is_said_as_in_mesos() {
        let top = tempfile::tempdir().unwrap();
        let roots = [top.path().join("sandbox"), top.path().join(".c.rootfs/upper")];
        for root in &roots {
            fs::create_dir_all(root).unwrap();
        }
        let account = Account::new("c", roots.clone(), Means::Files, Some(1 << 20));
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
}
