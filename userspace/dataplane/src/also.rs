//! A second cgroup whose processes see the VIPs: that of containers which others make.
//!
//! Its hooks run the very programs that those of the agent's own cgroup run; the kernel is asked
//! for them by the links that are pinned. So it may be any cgroup at any time, and nothing but
//! links is added.

use std::{
    fs::{self, File},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
};

use tracing::info;

use crate::{
    Error,
    hook::{HOOKS, Hook},
    pins::{self, Pins},
    platform,
    syscall::{self, CgroupLink},
};

/// The name of the pin of a hook's link to that cgroup.
pub(crate) fn pin(hook: Hook) -> String {
    format!("also-{}", hook.0)
}

// === impl Pins ===

impl Pins {
    /// Has a cgroup run the programs that the agent's own runs; it is made if it is missing.
    pub(crate) fn also(&self, cgroup: &Path) -> Result<(), Error> {
        platform::make_cgroup(cgroup)?;
        let file = File::open(cgroup).map_err(Error::file("open", cgroup))?;
        let id = file.metadata().map_err(Error::file("stat", cgroup))?.ino();
        let mut attached = 0;
        for hook in HOOKS {
            if self.also_link(hook)?.is_none_or(|(_, link)| link.cgroup != id) {
                self.also_attach(hook, &file)?;
                attached += 1;
            }
        }
        if attached > 0 {
            info!(cgroup = %cgroup.display(), hooks = attached, "attached, too");
        }
        Ok(())
    }

    /// Has that cgroup, if there is one, run the programs that the agent's own runs by now.
    pub(crate) fn renew_also(&self) -> Result<(), Error> {
        for hook in HOOKS {
            let Some((former, found)) = self.also_link(hook)? else { continue };
            let own = self.own(hook)?;
            if found.cgroup != 0 && found.program != own.program {
                let path = self.links().join(pin(hook));
                let updated = syscall::update_link(&former, self.program(hook, own)?);
                updated.map_err(Error::file("BPF_LINK_UPDATE", path))?;
            }
        }
        Ok(())
    }

    fn also_attach(&self, hook: Hook, cgroup: &File) -> Result<(), Error> {
        let path = self.links().join(pin(hook));
        let own = self.own(hook)?;
        let link = syscall::link_cgroup(self.program(hook, own)?, cgroup, own.attach_type);
        let link = link.map_err(Error::file("BPF_LINK_CREATE", &path))?;
        let next = pins::next(&path);
        pins::unlink(&next)?;
        syscall::pin(&link, &next).map_err(Error::file("BPF_OBJ_PIN", &next))?;
        // The former one is detached when its pin goes.
        fs::rename(&next, &path).map_err(Error::file("rename", path))
    }

    /// The link of a hook to that cgroup, if there is one.
    fn also_link(&self, hook: Hook) -> Result<Option<(OwnedFd, CgroupLink)>, Error> {
        let path = self.links().join(pin(hook));
        let link = match syscall::open_pinned(&path) {
            Ok(link) => link,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("BPF_OBJ_GET", path)(error)),
        };
        let found = syscall::cgroup_link(&link);
        let found = found.map_err(Error::file("BPF_OBJ_GET_INFO_BY_FD", path))?;
        Ok(found.map(|found| (link, found)))
    }

    /// What is attached to the agent's own cgroup.
    fn own(&self, hook: Hook) -> Result<CgroupLink, Error> {
        let path = self.links().join(hook.0);
        let link = syscall::open_pinned(&path).map_err(Error::file("BPF_OBJ_GET", &path))?;
        let found = syscall::cgroup_link(link);
        let found = found.map_err(Error::file("BPF_OBJ_GET_INFO_BY_FD", path))?;
        found.ok_or(Error::Missing { name: hook.0 })
    }

    fn program(&self, hook: Hook, link: CgroupLink) -> Result<OwnedFd, Error> {
        let program = syscall::open_program(link.program);
        program.map_err(Error::file("BPF_PROG_GET_FD_BY_ID", self.links().join(hook.0)))
    }
}
