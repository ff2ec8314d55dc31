//! Where it is measured: a network and cgroups of its own, removed however it ends.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{self, Command},
};

use muster_api::muster::Vip;
use muster_dataplane::{Config, DataPlane, Forward, cgroup2_mount};
use nix::sched::{CloneFlags, unshare};

use crate::{Failure, config::config};

/// A data plane with a cgroup, and two cgroups without.
pub(crate) struct Bed {
    config: Config,
    plane: Option<DataPlane>,
    /// Where this process was before.
    outside: PathBuf,
    /// One that nothing is attached to.
    empty: PathBuf,
}

// === impl Bed ===

impl Bed {
    pub(crate) fn make() -> Result<Self, Failure> {
        let root = cgroup2_mount().ok_or("no cgroup v2 tree is mounted")?;
        let mine = procfs::process::Process::myself()?.cgroups()?;
        let mine = mine.into_iter().find(|group| group.hierarchy == 0).ok_or("not in cgroup v2")?;
        let config = config(Forward::default())?;
        let empty = root.join(format!("{}-empty", config.agent));
        let outside = root.join(mine.pathname.trim_start_matches('/'));

        // A network of this process' own, which ends with it.
        unshare(CloneFlags::CLONE_NEWNET)?;
        if !Command::new("ip").args(["link", "set", "lo", "up"]).status()?.success() {
            return Err("ip link set lo up failed".into());
        }
        // Ports that wait out their time are soon as many as there will ever be.
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 44095")?;
        fs::create_dir(&empty)?;
        let mut bed = Self { config, plane: None, outside, empty };
        bed.plane = Some(DataPlane::open(&bed.config)?);
        Ok(bed)
    }

    /// Makes these the VIPs.
    pub(crate) fn serve(&mut self, vips: &[Vip]) -> Result<(), Failure> {
        let plane = self.plane.as_mut().ok_or("the data plane is closed")?;
        let changes = plane.reconcile(vips)?;
        match changes.skipped.first() {
            Some(skipped) => Err(skipped.to_string().into()),
            None => Ok(()),
        }
    }

    /// The cgroup with the programs.
    pub(crate) fn inside(&self) -> &Path {
        &self.config.cgroup
    }

    /// The folder of the programs' pinned links.
    pub(crate) fn links(&self) -> Result<PathBuf, Failure> {
        Ok(self.config.directory()?.join("links"))
    }

    /// A cgroup without.
    pub(crate) fn outside(&self) -> &Path {
        &self.outside
    }

    /// Another cgroup without, made for this.
    pub(crate) fn empty(&self) -> &Path {
        &self.empty
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let left = enter(&self.outside);
        drop(self.plane.take());
        let removed = DataPlane::remove(&self.config);
        if let Err(error) = left.and_then(|()| fs::remove_dir(&self.empty)) {
            eprintln!("{}: {error}", self.empty.display());
        }
        if let Err(error) = removed {
            eprintln!("{error}");
        }
    }
}

/// Moves this process: sockets belong to the cgroup that they were made in.
pub(crate) fn enter(cgroup: &Path) -> io::Result<()> {
    fs::write(cgroup.join("cgroup.procs"), process::id().to_string())
}
