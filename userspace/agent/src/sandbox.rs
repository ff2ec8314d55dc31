//! Sandboxes: `slaves/<agent>/frameworks/<fw>/executors/<task>/runs/<container>/` below the
//! work directory.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use muster_containerizer::remove_tree;

/// Makes a sandbox, and the link `latest` beside it.
///
/// # Errors
/// The step that failed and the system's answer.
pub(crate) fn make(sandbox: &Path) -> Result<(), String> {
    let failed = |step: &str, path: &Path| {
        let (step, path) = (step.to_owned(), path.display().to_string());
        move |error: io::Error| format!("{step} {path}: {error}")
    };
    fs::create_dir_all(sandbox).map_err(failed("mkdir", sandbox))?;
    let (Some(runs), Some(name)) = (sandbox.parent(), sandbox.file_name()) else { return Ok(()) };
    // Renamed into place: `latest` is there at all times.
    let (draft, latest) = (runs.join(".latest"), runs.join("latest"));
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("unlink", &draft)(error));
        }
        _ => {}
    }
    symlink(name, &draft).map_err(failed("symlink", &draft))?;
    fs::rename(&draft, &latest).map_err(failed("rename", &latest))
}

/// Notes that a sandbox is out of use: its age counts from now.
pub(crate) fn retire(sandbox: &Path) -> io::Result<()> {
    File::open(sandbox)?.set_modified(SystemTime::now())
}

/// Removes the sandboxes below `work_dir` that have been out of use for `delay`, except
/// those of the containers `live`; gives how many. What cannot be removed is left, logged,
/// and tried the next time.
pub(crate) fn collect(work_dir: &Path, delay: Duration, live: &BTreeSet<String>) -> usize {
    let mut removed = 0;
    for agent in children(&work_dir.join("slaves")) {
        for framework in children(&agent.join("frameworks")) {
            for executor in children(&framework.join("executors")) {
                let runs = executor.join("runs");
                let old = children(&runs)
                    .into_iter()
                    .filter(|run| !in_use(run, live) && is_old(run, delay));
                for run in old {
                    match remove_tree(&run) {
                        Ok(()) => removed += 1,
                        Err(error) => {
                            tracing::warn!(sandbox = %run.display(), %error, "cannot remove an old sandbox");
                        }
                    }
                }
                prune(&runs);
            }
            remove_if_empty(&framework.join("executors"));
            remove_if_empty(&framework);
        }
        remove_if_empty(&agent.join("frameworks"));
        remove_if_empty(&agent);
    }
    removed
}

fn in_use(run: &Path, live: &BTreeSet<String>) -> bool {
    let name = run.file_name().map(|name| name.to_string_lossy().into_owned());
    // What begins with a dot is the containerizer's, for as long as it needs it.
    name.is_none_or(|name| name.starts_with('.') || live.contains(&name))
}

fn is_old(run: &Path, delay: Duration) -> bool {
    let modified = fs::symlink_metadata(run).and_then(|metadata| metadata.modified());
    let age = modified.ok().and_then(|modified| modified.elapsed().ok());
    age.is_some_and(|age| age >= delay)
}

/// Removes a directory of runs without any, and the executor's above it.
fn prune(runs: &Path) {
    if children(runs).is_empty() {
        match fs::remove_file(runs.join("latest")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(runs = %runs.display(), %error, "cannot remove the link latest");
            }
            _ => {}
        }
        remove_if_empty(runs);
        if let Some(executor) = runs.parent() {
            remove_if_empty(executor);
        }
    }
}

/// The directories in `path`, links not followed; none if it is not there.
fn children(path: &Path) -> Vec<PathBuf> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(path = %path.display(), %error, "cannot look for old sandboxes");
            }
            return Vec::new();
        }
    };
    let directories = entries.filter_map(Result::ok);
    let directories = directories.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

fn remove_if_empty(path: &Path) {
    match fs::remove_dir(path) {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound
            ) =>
        {
            tracing::warn!(path = %path.display(), %error, "cannot remove an empty directory");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(work_dir: &Path, task: &str, run: &str, age: Duration) -> PathBuf {
        let path = work_dir.join(format!("slaves/a/frameworks/f/executors/{task}/runs/{run}"));
        make(&path).unwrap();
        fs::write(path.join("stdout"), "hello").unwrap();
        File::open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
        path
    }

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn latest_leads_to_the_last_run() {
        let dir = tempfile::tempdir().unwrap();
        let first = sandbox(dir.path(), "t", "one", DAY);
        let latest = first.parent().unwrap().join("latest");
        assert_eq!(fs::canonicalize(&latest).unwrap(), first.canonicalize().unwrap());
        let second = sandbox(dir.path(), "t", "two", DAY);
        assert_eq!(fs::canonicalize(&latest).unwrap(), second.canonicalize().unwrap());
    }

    #[test]
    fn old_sandboxes_go_and_so_do_the_directories_they_leave_empty() {
        let dir = tempfile::tempdir().unwrap();
        let old = sandbox(dir.path(), "t", "old", 8 * DAY);
        let new = sandbox(dir.path(), "t", "new", 6 * DAY);
        let only = sandbox(dir.path(), "u", "only", 8 * DAY);
        assert_eq!(collect(dir.path(), 7 * DAY, &BTreeSet::new()), 2);
        assert!(!old.exists() && new.join("stdout").exists());
        assert!(!only.ancestors().nth(2).unwrap().exists());
        assert_eq!(collect(dir.path(), DAY, &BTreeSet::new()), 1);
        assert!(!dir.path().join("slaves/a").exists());
    }

    #[test]
    fn what_is_in_use_stays_whatever_its_age() {
        let dir = tempfile::tempdir().unwrap();
        let live = sandbox(dir.path(), "t", "live", 8 * DAY);
        let scratch = live.parent().unwrap().join(".live.rootfs");
        fs::create_dir(&scratch).unwrap();
        File::open(&scratch).unwrap().set_modified(SystemTime::now() - 8 * DAY).unwrap();
        assert_eq!(collect(dir.path(), DAY, &BTreeSet::from(["live".to_owned()])), 0);
        assert!(live.exists() && scratch.exists());
        // Its age counts from the end of its use.
        retire(&live).unwrap();
        assert_eq!(collect(dir.path(), DAY, &BTreeSet::new()), 0);
        assert!(live.exists());
    }

    #[test]
    fn a_work_directory_without_sandboxes_is_fine() {
        assert_eq!(collect(Path::new("/nowhere/at/all"), DAY, &BTreeSet::new()), 0);
    }

    #[test]
    fn a_link_out_of_the_sandboxes_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let run = sandbox(dir.path(), "t", "run", Duration::ZERO);
        let link = run.parent().unwrap().join("elsewhere");
        symlink(outside.path(), link).unwrap();
        collect(dir.path(), Duration::ZERO, &BTreeSet::new());
        assert!(outside.path().exists());
    }

    #[test]
    fn a_sandbox_that_cannot_be_made_says_which_step_failed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("slaves"), "").unwrap();
        let error = make(&dir.path().join("slaves/a")).unwrap_err();
        assert!(error.starts_with("mkdir "), "{error}");
    }
}
