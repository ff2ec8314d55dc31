//! What dead agents of this machine have left pinned.
//!
//! An agent that is killed leaves its pins on purpose: its containers' VIPs are served, and the
//! next one of its name takes over. One that never comes back, as under its name there is none
//! any more, would leave them until the machine restarts.
//!
//! Its pins are removed when nobody holds their lock, so no agent has them open, and nobody is served by them:
//!
//! - The cgroup that its programs were attached to is gone. The kernel has detached the programs with it: no
//!   connection meets them any more, and no container of the agent is left, as these live in cgroups below.
//! - Or there is no process in the cgroup, nor below, and for an [hour](UNUSED) there has been no agent. One that restarts
//!   is back by then; one with containers has processes there. Its cgroup goes as well, if nothing is in it.
//!
//! Should one of that name be started after all, it has lost nothing but counters, and makes all of it anew, as it would
//! have made the cgroup and attached anew. It waits for the lock before it looks for anything.
//!
//! What it had attached to interfaces the kernel does not detach: it goes with the pins. A folder that
//! has nothing of a cgroup at all, but programs at interfaces, is a dead agent's, too.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tracing::{debug, info, warn};

use crate::{
    Error,
    lock::Lock,
    pins::{self, Attached, Pins},
    syscall::cgroup::{self, Cgroup},
};

/// How long no agent has to have been at pins whose cgroup is there. Mesos' master gives up an agent that does not come
/// back after ten minutes.
const UNUSED: Duration = Duration::from_hours(1);

/// Removes what dead agents have left beside `own`, the folder of an agent whose cgroup this is. What cannot be
/// looked at or removed is logged, and left.
pub(crate) fn remove(own: &Path, cgroup: &Path) {
    let Some(agents) = own.parent() else { return };
    let folders = match pins::list(agents) {
        Ok(folders) => folders,
        Err(error) => return warn!(%error, "cannot look for pins of dead agents"),
    };
    for folder in folders.into_iter().filter(|folder| folder != own) {
        match remove_if_dead(&folder, cgroup) {
            Ok(true) => info!(folder = %folder.display(), "removed the pins of a dead agent"),
            // It runs, or another agent is at it.
            Ok(false) | Err(Error::Busy { .. }) => {}
            Err(error) => {
                warn!(folder = %folder.display(), %error, "cannot look at another agent's pins");
            }
        }
    }
}

/// True if the agent was dead, and its pins are removed. `cgroup` is any.
fn remove_if_dead(folder: &Path, cgroup: &Path) -> Result<bool, Error> {
    let pins = Pins::new(folder.to_owned());
    // At first without the lock: an agent that starts there just now is not to find it taken.
    if !folder.is_dir() || left(&pins, cgroup)?.is_none() {
        return Ok(false);
    }
    let Some(_lock) = Lock::of(folder)? else { return Ok(false) };
    let Some(cgroups) = left(&pins, cgroup)? else { return Ok(false) };
    pins.remove()?;
    // Under the lock: one of that name that starts makes its cgroup when it has it.
    for path in cgroups {
        match fs::remove_dir(&path) {
            Ok(()) => info!(cgroup = %path.display(), "removed the cgroup of a dead agent"),
            Err(error) => debug!(cgroup = %path.display(), %error, "the cgroup stays"),
        }
    }
    Ok(true)
}

/// The cgroups that are left of an agent that is dead; `None` if it may not be.
fn left(pins: &Pins, any: &Path) -> Result<Option<Vec<PathBuf>>, Error> {
    let ids = match pins.attached()? {
        Attached::Nowhere => return Ok(Some(Vec::new())),
        Attached::Elsewhere => return Ok(None),
        Attached::To(ids) => ids,
    };
    if pins.unused()? < UNUSED {
        return Ok(None);
    }
    let mut left = Vec::new();
    for id in ids {
        let found = match cgroup::open(any, id) {
            Ok(found) => found,
            // It is just going, or not to be seen from here.
            Err(error) => {
                debug!(folder = %pins.directory().display(), id, %error, "open_by_handle_at");
                return Ok(None);
            }
        };
        let Cgroup { path, is_populated } = found;
        if is_populated {
            return Ok(None);
        }
        left.push(path);
    }
    Ok(Some(left))
}
