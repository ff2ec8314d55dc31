//! An agent's folder in bpffs: what is pinned there, and putting things there.
//!
//! A name is only ever changed by renaming a finished pin over it, and `meta` is the last of
//! the maps. Whenever a process is killed, the next one finds either a whole set of maps or
//! no `meta` that says so, and for each hook one link or none.

use std::{
    collections::BTreeSet,
    fs::{self, File, FileTimes},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use aya::{
    Ebpf,
    maps::{MapData, MapInfo},
    programs::links::FdLink,
};
use muster_packet::{FLOW_MAPS, MAPS, MapShape, Meta, fingerprint, flow_fingerprint};
use tracing::{debug, info};

use crate::{
    Error, also, front,
    hook::{HOOKS, Hook},
    syscall::{self, CgroupLink},
    tables::{self, Tables},
};

/// Ends the name of a pin that is not in its place yet. bpffs takes no dots.
const NEXT: &str = "_next";

/// `<bpffs>/muster/<agent>`.
#[derive(Debug)]
pub(crate) struct Pins {
    directory: PathBuf,
}

/// To what an agent's programs are attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attached {
    /// To cgroups that are there, by number.
    To(BTreeSet<u64>),
    /// To none, or to one that is gone.
    Nowhere,
    /// What is pinned are links of other kinds: they tell nothing of the agent.
    Elsewhere,
}

// === impl Pins ===

impl Pins {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where the maps are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the links are.
    pub(crate) fn links(&self) -> PathBuf {
        self.directory.join("links")
    }

    /// True if all maps are there and have this build's layout.
    pub(crate) fn adoptable(&self) -> bool {
        let shapes_fit = MAPS.iter().all(|shape| {
            MapInfo::from_pin(self.directory.join(shape.name)).is_ok_and(|info| {
                info.key_size() as usize == shape.key
                    && info.value_size() as usize == shape.value
                    && info.max_entries() as usize == shape.entries
            })
        });
        shapes_fit && self.meta().is_some_and(|meta| meta.layout == fingerprint())
    }

    /// What is pinned as `meta`, if anything is that can be read.
    pub(crate) fn meta(&self) -> Option<Meta> {
        tables::meta(MapData::from_pin(self.directory.join("meta")).ok()?)
    }

    /// True if anything is pinned that an earlier process left.
    pub(crate) fn any_maps(&self) -> bool {
        MAPS.iter().any(|shape| self.directory.join(shape.name).exists())
    }

    /// True if programs are attached: VIPs are being served.
    pub(crate) fn serving(&self) -> bool {
        HOOKS.iter().any(|hook| self.links().join(hook.0).exists())
    }

    /// Puts new maps into their places, `meta` last. What it says of the tables of flows stays.
    pub(crate) fn pin_maps(&self, object: &mut Ebpf, tables: &Tables) -> Result<(), Error> {
        let flows = self.meta().map_or(0, |meta| meta.flows);
        tables::set_meta(object, Meta { layout: fingerprint(), flows })?;
        self.pin(&MAPS, object, tables)
    }

    /// Puts new tables of flows into their places. Killed meanwhile, it leaves some of each; the next one
    /// sees that the programs that are attached have others.
    pub(crate) fn pin_flows(&self, object: &mut Ebpf, tables: &Tables) -> Result<(), Error> {
        let (layout, flows) = (fingerprint(), flow_fingerprint());
        let is_same = self.meta().is_some_and(|meta| meta.flows == flows);
        if !is_same {
            tables::set_meta(object, Meta { layout, flows: 0 })?;
        }
        self.pin(&FLOW_MAPS, object, tables)?;
        if is_same { Ok(()) } else { tables::set_meta(object, Meta { layout, flows }) }
    }

    /// Removes what is left of tables of flows that were not put into their places.
    pub(crate) fn sweep_flows(&self) -> Result<(), Error> {
        FLOW_MAPS.iter().try_for_each(|shape| unlink(&next(&self.directory.join(shape.name))))
    }

    fn pin(&self, shapes: &[MapShape], object: &Ebpf, tables: &Tables) -> Result<(), Error> {
        for shape in shapes {
            let name = shape.name;
            let map =
                tables.map(name).or_else(|| object.map(name)).ok_or(Error::Missing { name })?;
            let path = self.directory.join(name);
            let next = next(&path);
            unlink(&next)?;
            map.pin(&next).map_err(|source| Error::Pin {
                map: name,
                path: next.clone(),
                source: Box::new(source),
            })?;
            fs::rename(&next, &path).map_err(Error::file("rename", path))?;
        }
        Ok(())
    }

    /// Makes every hook of the cgroup run the object's programs: where one is attached, it
    /// is replaced between two connections.
    pub(crate) fn attach(&self, object: &mut Ebpf, cgroup: &Path) -> Result<(), Error> {
        let links = self.links();
        fs::create_dir_all(&links).map_err(Error::file("mkdir", &links))?;
        let file = File::open(cgroup).map_err(Error::file("open", cgroup))?;
        let id = file.metadata().map_err(Error::file("stat", cgroup))?.ino();
        for hook in HOOKS {
            if !self.replace(hook, object, id)? {
                self.attach_new(hook, object, &file)?;
            }
        }
        self.renew_also()?;
        self.drop_former_hooks()
    }

    /// Replaces the program of a pinned link. False if there is no link to this cgroup.
    fn replace(&self, hook: Hook, object: &Ebpf, cgroup: u64) -> Result<bool, Error> {
        let path = self.links().join(hook.0);
        let link = match syscall::open_pinned(&path) {
            Ok(link) => link,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::file("BPF_OBJ_GET", path)(error)),
        };
        let attached =
            syscall::cgroup_link(&link).map_err(Error::file("BPF_OBJ_GET_INFO_BY_FD", &path))?;
        if attached.is_none_or(|link| link.cgroup != cgroup) {
            // The cgroup was removed and made anew, or another one is configured.
            debug!(hook = hook.0, "link belongs to another cgroup");
            return Ok(false);
        }
        syscall::update_link(&link, hook.fd(object)?)
            .map_err(Error::file("BPF_LINK_UPDATE", &path))?;
        Ok(true)
    }

    fn attach_new(&self, hook: Hook, object: &mut Ebpf, cgroup: &File) -> Result<(), Error> {
        let path = self.links().join(hook.0);
        let next = next(&path);
        unlink(&next)?;
        let link: FdLink = hook.attach(object, cgroup)?;
        link.pin(&next)
            .map_err(|error| Error::file("BPF_OBJ_PIN", &next)(io::Error::other(error)))?;
        let former = syscall::open_pinned(&path).ok();
        fs::rename(&next, &path).map_err(Error::file("rename", &path))?;
        // What is left of a link to a cgroup that is gone cannot be detached any more.
        if let Some(Err(error)) = former.map(syscall::detach_link) {
            debug!(hook = hook.0, %error, "former link");
        }
        info!(hook = hook.0, "attached");
        Ok(())
    }

    /// Unpins links of hooks that an earlier build had and this one does not.
    fn drop_former_hooks(&self) -> Result<(), Error> {
        for path in list(&self.links())? {
            if front::Kind::of(&path).is_some() {
                continue;
            }
            let known = HOOKS.iter().any(|&hook| {
                path.file_name().is_some_and(|n| n == hook.0 || n == also::pin(hook).as_str())
            });
            if !known {
                info!(path = %path.display(), "unpinning a link of an earlier build");
                unlink(&path)?;
            }
        }
        Ok(())
    }

    /// To what the programs are attached. What is at interfaces tells nothing of that: an agent attaches to
    /// its cgroup before.
    ///
    /// # Errors
    ///
    /// [`Error::File`], also if something is pinned among the links that is none.
    pub(crate) fn attached(&self) -> Result<Attached, Error> {
        let (mut cgroups, mut without, mut others) = (BTreeSet::new(), false, false);
        for path in list(&self.links())? {
            if front::Kind::of(&path).is_some() {
                continue;
            }
            let link = syscall::open_pinned(&path).map_err(Error::file("BPF_OBJ_GET", &path))?;
            let link = syscall::cgroup_link(&link);
            match link.map_err(Error::file("BPF_OBJ_GET_INFO_BY_FD", path))? {
                Some(CgroupLink { cgroup: 0, .. }) => without = true,
                Some(CgroupLink { cgroup, .. }) => {
                    cgroups.insert(cgroup);
                }
                None => others = true,
            }
        }
        Ok(if !cgroups.is_empty() {
            Attached::To(cgroups)
        } else if others && !without {
            Attached::Elsewhere
        } else {
            Attached::Nowhere
        })
    }

    /// Says that an agent is at them.
    pub(crate) fn use_now(&self) -> Result<(), Error> {
        let times = FileTimes::new().set_modified(SystemTime::now());
        let folder = File::open(&self.directory).map_err(Error::file("open", &self.directory))?;
        folder.set_times(times).map_err(Error::file("futimens", &self.directory))
    }

    /// For how long none has said so, nor changed them.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub(crate) fn unused(&self) -> Result<Duration, Error> {
        let modified = fs::metadata(&self.directory).and_then(|folder| folder.modified());
        let modified = modified.map_err(Error::file("stat", &self.directory))?;
        // The clock may have been set back.
        Ok(modified.elapsed().unwrap_or_default())
    }

    /// Detaches all programs and unpins everything.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        front::release(&self.links(), &BTreeSet::new())?;
        for path in list(&self.links())? {
            if let Ok(link) = syscall::open_pinned(&path)
                && let Err(error) = syscall::detach_link(&link)
            {
                debug!(path = %path.display(), %error, "link is detached already");
            }
            unlink(&path)?;
        }
        rmdir(&self.links())?;
        for path in list(&self.directory)? {
            unlink(&path)?;
        }
        rmdir(&self.directory)
    }
}

/// Where a pin is made before it is renamed to its place.
pub(crate) fn next(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(NEXT);
    PathBuf::from(name)
}

/// The paths in a folder; none if it is not there.
pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("readdir", directory)(error)),
    };
    entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()
        .map_err(Error::file("readdir", directory))
}

/// Unpins; what is not there need not be.
pub(crate) fn unlink(path: &Path) -> Result<(), Error> {
    gone(fs::remove_file(path)).map_err(Error::file("unlink", path))
}

fn rmdir(path: &Path) -> Result<(), Error> {
    gone(fs::remove_dir(path)).map_err(Error::file("rmdir", path))
}

/// Something that is not there need not be removed.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
