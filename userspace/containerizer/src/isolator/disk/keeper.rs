//! What `disk/du` and `disk/xfs` are: they differ in how a limit is enforced.
//!
//! What a nested container takes counts for the outermost one around it: its sandbox is in that
//! one's, and the rest is added.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::account::{Account, Means, Roots, most};
use super::means::Kind;
use super::walk::Used;
use super::{ProjectRange, btrfs, project};
use crate::error::At as _;
use crate::isolator::{Draft, Isolation, Isolator, Request, Subject, Watch};
use crate::launch::plan::Plan;
use crate::{Error, Resources, Usage, seccomp};

/// The file of a checkpoint with the number of the container's project.
const PROJECT: &str = "project";

/// Held while a project is chosen: no two containers may get the same.
static CHOOSING: Mutex<()> = Mutex::new(());

/// Whether a limit is to hold, and by what means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enforcement {
    /// It is not.
    None,
    /// By those that the filesystem has, or by killing who is above it.
    Any,
    /// By project quotas alone.
    Projects {
        /// How many bytes above a limit the filesystem's own is, with the container killed in
        /// between; `None` leaves it to the filesystem.
        margin: Option<u64>,
    },
}

/// The isolator: keeps the accounts of its containers.
pub(in crate::isolator) struct Keeper {
    name: &'static str,
    enforcement: Enforcement,
    range: ProjectRange,
    interval: Duration,
    accounts: Mutex<HashMap<String, Arc<Account>>>,
    /// What counts beside their sandboxes, by the outermost containers.
    roots: Mutex<HashMap<String, Roots>>,
    /// One measures at a time, so that the disk is there for others too.
    turn: Arc<Semaphore>,
    /// The devices whose means are in the log.
    told: Mutex<BTreeSet<u64>>,
}

impl Keeper {
    /// For the isolator `name`.
    pub(super) fn new(name: &'static str, flags: &Isolation, enforcement: Enforcement) -> Self {
        Self {
            name,
            enforcement,
            range: flags.project_range,
            interval: flags.disk_watch_interval,
            accounts: Mutex::default(),
            roots: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
            told: Mutex::default(),
        }
    }

    /// How far above its limit a container comes before it is killed, if it is to be.
    fn margin(&self) -> Option<u64> {
        match self.enforcement {
            Enforcement::Projects { margin } => margin,
            Enforcement::None | Enforcement::Any => None,
        }
    }

    /// What counts for the outermost container around one, or for itself.
    fn roots(&self, subject: &Subject) -> Roots {
        let top = subject.id.split('/').next().unwrap_or_default();
        Arc::clone(lock(&self.roots).entry(top.to_owned()).or_default())
    }

    /// Has what a nested container takes count for the outermost one around it.
    fn add(&self, subject: &Subject) -> Result<(), Error> {
        let (scratch, top) = (&subject.plan.scratch, &subject.plan.sandbox_top);
        match self.kind(subject)? {
            Kind::Files => {
                lock(&self.roots(subject)).insert(scratch.clone());
                Ok(())
            }
            Kind::Project { .. } => match chosen(outermost(subject)) {
                Some(project) => project::assign(scratch, project),
                None => Ok(()),
            },
            Kind::Subvolumes if btrfs::is_subvolume(top) => btrfs::confine_nested(top, scratch),
            Kind::Subvolumes => Ok(()),
        }
    }

    fn kind(&self, subject: &Subject) -> Result<Kind, Error> {
        Ok(subject.note(self.name)?.unwrap_or(Kind::Files))
    }

    fn means(&self, subject: &Subject) -> Result<Means, Error> {
        Ok(match self.kind(subject)? {
            Kind::Project { .. } => {
                chosen(&subject.plan.checkpoint).map_or(Means::Files, Means::Project)
            }
            Kind::Subvolumes if btrfs::is_subvolume(&subject.plan.sandbox) => Means::Subvolumes,
            Kind::Subvolumes | Kind::Files => Means::Files,
        })
    }

    /// Sets the filesystem's limit, if there is to be one.
    fn limit(&self, subject: &Subject, limit: Option<u64>) -> Result<(), Error> {
        if self.enforcement == Enforcement::None || !self.kind(subject)?.enforces() {
            return Ok(());
        }
        let limit = limit.map(|limit| limit.saturating_add(self.margin().unwrap_or(0)));
        let sandbox = &subject.plan.sandbox;
        match self.means(subject)? {
            Means::Files => Ok(()),
            Means::Project(project) => {
                project::limit(sandbox, project, limit.map_or_else(Used::default, most))
            }
            Means::Subvolumes => btrfs::limit(sandbox, limit),
        }
    }

    fn account(&self, subject: &Subject) -> Result<Arc<Account>, Error> {
        if let Some(account) = lock(&self.accounts).get(&subject.id) {
            return Ok(Arc::clone(account));
        }
        let Plan { sandbox, scratch, group, .. } = &subject.plan;
        let roots = self.roots(subject);
        // All that is there: what it changed of its image, or the copy of it, and volumes.
        lock(&roots).insert(scratch.clone());
        let (limit, means) = (subject.resources.disk_bytes, self.means(subject)?);
        let account =
            Account::new(&subject.id, sandbox.clone(), roots, group.clone(), means, limit);
        let mut accounts = lock(&self.accounts);
        Ok(Arc::clone(accounts.entry(subject.id.clone()).or_insert_with(|| Arc::new(account))))
    }
}

impl Isolator for Keeper {
    /// Finds out how the container can be counted, and notes it.
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        let sandbox = request.sandbox_top();
        let kind = Kind::of(sandbox)?;
        let device = fs::metadata(sandbox).at("stat", sandbox)?.dev();
        if lock(&self.told).insert(device) {
            tracing::info!(isolator = self.name, sandbox = %sandbox.display(), means = %kind, "disk space");
        }
        draft.note(&kind)?;
        let kept = self.enforcement != Enforcement::None && !draft.has_ids();
        if kept && matches!(kind, Kind::Project { .. }) {
            let field = "isolation";
            draft.guard(seccomp::projects().map_err(|reason| Error::Config { field, reason })?)?;
        }
        let projects = matches!(self.enforcement, Enforcement::Projects { .. });
        if projects && kind != (Kind::Project { limited: true }) {
            return Err(Error::Unsupported {
                what: format!(
                    "the filesystem of {} does not enforce project quotas, which {} needs",
                    request.spec.sandbox.display(),
                    self.name
                ),
                remedy: "mount it with the option prjquota, or use disk/du".into(),
            });
        }
        Ok(())
    }

    /// Makes the container's files countable, and limits them where the filesystem can.
    fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        if subject.parent.is_some() {
            return self.add(subject);
        }
        let (sandbox, scratch) = (&subject.plan.sandbox, &subject.plan.scratch);
        match self.kind(subject)? {
            Kind::Files => return Ok(()),
            Kind::Project { .. } => {
                let project = choose(subject, self.range)?;
                project::assign(sandbox, project)?;
                project::assign(scratch, project)?;
                // Whatever limit an earlier one of that number had.
                project::limit(sandbox, project, Used::default())?;
            }
            Kind::Subvolumes => btrfs::confine(sandbox, scratch)?,
        }
        self.limit(subject, subject.resources.disk_bytes)
    }

    /// Looks from time to time at what the container takes.
    fn watch(&self, subject: &Arc<Subject>) -> Option<Watch> {
        if subject.parent.is_some() {
            // After a restart of the agent it is told here.
            lock(&self.roots(subject)).insert(subject.plan.scratch.clone());
            return None;
        }
        let account = match self.account(subject) {
            Ok(account) => account,
            Err(error) => {
                tracing::warn!(id = subject.id, %error, "its disk space is not counted");
                return None;
            }
        };
        let by_filesystem = self.kind(subject).is_ok_and(Kind::enforces)
            && account.means != Means::Files
            && self.margin().is_none();
        let kills = self.enforcement != Enforcement::None && !by_filesystem;
        let (turn, interval) = (Arc::clone(&self.turn), self.interval);
        Some(Box::pin(async move {
            loop {
                let (turn, measured) = (Arc::clone(&turn), Arc::clone(&account));
                let Ok(turn) = turn.acquire_owned().await else {
                    return std::future::pending().await;
                };
                let measured = tokio::task::spawn_blocking(move || {
                    // Kept to the end of it, whoever still waits for that.
                    let _turn = turn;
                    measured.measure()
                });
                match measured.await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(id = account.id, %error, "cannot find out its disk space");
                    }
                    // The runtime is going down.
                    Err(_) => return std::future::pending().await,
                }
                if let Some(limitation) = account.judge()
                    && kills
                {
                    return limitation;
                }
                tokio::time::sleep(interval).await;
            }
        }))
    }

    /// Another limit.
    fn update(&self, subject: &Subject, resources: &Resources) -> Result<(), Error> {
        if subject.parent.is_some() {
            return Ok(());
        }
        let limit = resources.disk_bytes;
        self.account(subject)?.set_limit(limit);
        self.limit(subject, limit)
    }

    /// What the container takes.
    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), Error> {
        if subject.parent.is_some() {
            return Ok(());
        }
        let account = self.account(subject)?;
        usage.disk_limit_bytes = account.limit();
        usage.disk_used_bytes = match account.means {
            Means::Files => account.last(),
            // To be asked at once.
            Means::Project(_) | Means::Subvolumes => Some(account.measure()?),
        };
        Ok(())
    }

    /// Ends the account. The sandbox stays, and counts for nobody any more.
    fn cleanup(&self, subject: &Subject) -> Result<(), Error> {
        let (sandbox, scratch) = (&subject.plan.sandbox, &subject.plan.scratch);
        if subject.parent.is_some() {
            lock(&self.roots(subject)).remove(scratch);
            return match self.kind(subject)? {
                Kind::Files | Kind::Project { .. } => Ok(()),
                Kind::Subvolumes => btrfs::release_nested(&subject.plan.sandbox_top, scratch),
            };
        }
        lock(&self.accounts).remove(&subject.id);
        lock(&self.roots).remove(&subject.id);
        match self.kind(subject)? {
            Kind::Files => Ok(()),
            Kind::Subvolumes => btrfs::release(sandbox, scratch),
            Kind::Project { .. } => {
                let Some(project) = chosen(&subject.plan.checkpoint) else { return Ok(()) };
                if sandbox.exists() {
                    project::limit(sandbox, project, Used::default())?;
                    project::assign(sandbox, 0)?;
                    project::assign(scratch, 0)?;
                }
                let path = subject.plan.checkpoint.join(PROJECT);
                fs::remove_file(&path).at("unlink", &path)
            }
        }
    }
}

/// The checkpoint of the outermost container around one.
fn outermost(subject: &Subject) -> &Path {
    // Each is in the directory of those that are nested in the one around it.
    let above = 2 * subject.id.matches('/').count();
    let checkpoint = subject.plan.checkpoint.as_path();
    checkpoint.ancestors().nth(above).unwrap_or(checkpoint)
}

/// The project of the container with this checkpoint, if one has been chosen. What cannot be
/// read was never used: it is written first.
fn chosen(checkpoint: &Path) -> Option<u32> {
    fs::read_to_string(checkpoint.join(PROJECT)).ok()?.trim_end_matches('\n').parse().ok()
}

/// Chooses a project that no other container has, and writes that to the checkpoint.
fn choose(subject: &Subject, range: ProjectRange) -> Result<u32, Error> {
    let checkpoint = &subject.plan.checkpoint;
    let _one_at_a_time = lock(&CHOOSING);
    let mut taken = BTreeSet::new();
    let all = checkpoint.parent().unwrap_or(checkpoint);
    for entry in fs::read_dir(all).at("read", all)? {
        taken.extend(chosen(&entry.at("read", all)?.path()));
    }
    let Some(project) = (range.first..=range.last).find(|project| !taken.contains(project)) else {
        let reason =
            format!("all projects of {range} are in use; give more with --xfs-project-range");
        return Err(Error::Io {
            operation: "choose a project for",
            path: subject.plan.sandbox.clone(),
            source: io::Error::other(reason),
        });
    };
    let path: PathBuf = checkpoint.join(PROJECT);
    // Whole, or not to be read: the end of the line is the last to come.
    fs::write(&path, format!("{project}\n")).at("write", &path)?;
    Ok(project)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is ever half done under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Version;
    use crate::isolator::testing;

    #[test]
    fn projects_are_chosen_once_and_found_again() {
        let top = tempfile::tempdir().unwrap();
        let range = ProjectRange { first: 7, last: 8 };
        let subject = |id: &str| {
            let (_directory, mut subject) = testing::subject(Version::V2, &[]);
            subject.plan.checkpoint = top.path().join(id);
            fs::create_dir(&subject.plan.checkpoint).unwrap();
            subject
        };
        let (a, b, c) = (subject("a"), subject("b"), subject("c"));
        assert_eq!((choose(&a, range).unwrap(), choose(&b, range).unwrap()), (7, 8));
        let error = choose(&c, range).unwrap_err().to_string();
        assert!(error.contains("all projects of [7-8] are in use"), "{error}");
        assert_eq!(chosen(&b.plan.checkpoint), Some(8));
        fs::remove_dir_all(&a.plan.checkpoint).unwrap();
        assert_eq!(choose(&c, range).unwrap(), 7);
        fs::write(c.plan.checkpoint.join(PROJECT), "").unwrap();
        assert_eq!(chosen(&c.plan.checkpoint), None, "cut short");
    }
}
