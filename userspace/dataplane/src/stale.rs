//! What dead agents of this machine have left pinned.
//!
//! An agent that is killed leaves its pins on purpose: its containers' VIPs are served, and the
//! next one of its name takes over. One that never comes back, as under its name there is none
//! any more, would leave them until the machine restarts.
//!
//! Its pins are removed when nobody holds their lock, so no agent has them open, and the cgroup
//! that its programs were attached to is gone. The kernel has detached the programs with it: no
//! connection meets them any more, and no container of the agent is left, as these live in
//! cgroups below. An agent that merely restarts has its cgroup. Should one of that name be
//! started after all, it has lost nothing but counters, and makes all of it anew, as it would
//! have made the cgroup and attached anew.
//!
//! What it had attached to interfaces the kernel does not detach: it goes with the pins. A folder that
//! has nothing of a cgroup at all, but programs at interfaces, is a dead agent's, too.

use std::path::Path;

use tracing::{info, warn};

use crate::{
    Error,
    lock::Lock,
    pins::{self, Pins},
};

/// Removes what dead agents have left beside `own`, the folder of an agent. What cannot be
/// looked at or removed is logged, and left.
pub(crate) fn remove(own: &Path) {
    let Some(agents) = own.parent() else { return };
    let folders = match pins::list(agents) {
        Ok(folders) => folders,
        Err(error) => return warn!(%error, "cannot look for pins of dead agents"),
    };
    for folder in folders.into_iter().filter(|folder| folder != own) {
        match remove_if_dead(&folder) {
            Ok(true) => info!(folder = %folder.display(), "removed the pins of a dead agent"),
            // It runs, or another agent is at it.
            Ok(false) | Err(Error::Busy { .. }) => {}
            Err(error) => {
                warn!(folder = %folder.display(), %error, "cannot look at another agent's pins");
            }
        }
    }
}

/// True if the agent was dead, and its pins are removed.
fn remove_if_dead(folder: &Path) -> Result<bool, Error> {
    let pins = Pins::new(folder.to_owned());
    // At first without the lock: an agent that starts there just now is not to find it taken.
    if !folder.is_dir() || pins.has_cgroup()? {
        return Ok(false);
    }
    let Some(_lock) = Lock::of(folder)? else { return Ok(false) };
    if pins.has_cgroup()? {
        return Ok(false);
    }
    pins.remove()?;
    Ok(true)
}
