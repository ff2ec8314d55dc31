//! A container in the making: what isolators have decided so far.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};
use serde::Serialize;
use serde_json::Value;

use super::subject::Request;
use crate::capability::Capabilities;
use crate::cgroup::Group;
use crate::error::At as _;
use crate::image::ImageError;
use crate::launch::plan::{
    Attributes, DeviceAccess, DeviceKind, Mount, Namespace, Plan, Process, Root,
};
use crate::pid::ProcessId;
use crate::seccomp::Filter;
use crate::{CapabilitySet, Error, IdRange, Kind, Logger, Rlimit};

/// Docker's `PATH` for images that set none.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Takes what isolators decide, and refuses what contradicts it.
pub(crate) struct Draft {
    /// The isolator at work.
    by: &'static str,
    /// Who decided what of that of which there is only one.
    decided: BTreeMap<String, &'static str>,
    memory: bool,
    namespaces: BTreeSet<Namespace>,
    ids: Option<IdRange>,
    root: Option<Root>,
    hostname: Option<String>,
    mounts: Vec<Mount>,
    devices: Vec<DeviceAccess>,
    masked: Vec<PathBuf>,
    read_only: Vec<PathBuf>,
    owned: Vec<PathBuf>,
    argv: Option<Vec<String>>,
    directory: Option<PathBuf>,
    user: Option<String>,
    image_variables: Vec<(String, String)>,
    variables: BTreeMap<String, String>,
    capabilities: Option<Capabilities>,
    no_new_privs: bool,
    seccomp: Option<Filter>,
    guard: Option<Filter>,
    oom_score: Option<i32>,
    rlimits: Vec<Rlimit>,
    notes: BTreeMap<String, Value>,
}

/// Where a container is going to be on this machine.
pub(crate) struct Places {
    /// Its checkpoint's directory.
    pub(crate) checkpoint: PathBuf,
    /// Its cgroups.
    pub(crate) group: Group,
    /// The first process of the container that it is nested in.
    pub(crate) around: Option<ProcessId>,
}

impl Draft {
    /// Nothing but what the caller wants for certain.
    pub(crate) fn new(request: &Request<'_>) -> Self {
        let spec = request.spec;
        Self {
            by: "the caller",
            decided: BTreeMap::new(),
            memory: false,
            namespaces: BTreeSet::new(),
            ids: None,
            root: None,
            hostname: None,
            mounts: Vec::new(),
            devices: Vec::new(),
            masked: Vec::new(),
            read_only: Vec::new(),
            owned: Vec::new(),
            argv: spec.command.as_ref().map(crate::CommandSpec::argv),
            directory: None,
            user: spec.user.clone(),
            image_variables: Vec::new(),
            variables: BTreeMap::new(),
            capabilities: None,
            no_new_privs: false,
            seccomp: None,
            guard: None,
            oom_score: None,
            rlimits: Vec::new(),
            notes: BTreeMap::new(),
        }
    }

    /// From now on the isolator `by` decides.
    pub(super) fn hand_to(&mut self, by: &'static str) {
        self.by = by;
    }

    /// Gives the container a namespace of its own.
    pub(crate) fn namespace(&mut self, namespace: Namespace) {
        self.namespaces.insert(namespace);
    }

    /// Whether its users are others than the host's.
    pub(crate) fn has_ids(&self) -> bool {
        self.ids.is_some()
    }

    /// Makes its users these of the host.
    pub(crate) fn ids(&mut self, ids: IdRange) -> Result<(), Error> {
        self.decide("user namespace", |draft| &mut draft.ids, ids)
    }

    /// Has the helper wait for news of memory running out.
    pub(crate) fn watch_memory(&mut self) {
        self.memory = true;
    }

    /// Gives it a root filesystem.
    pub(crate) fn root(&mut self, root: Root) -> Result<(), Error> {
        self.decide("root filesystem", |draft| &mut draft.root, root)
    }

    /// Gives it a host name.
    pub(crate) fn hostname(&mut self, name: &str) -> Result<(), Error> {
        self.decide("host name", |draft| &mut draft.hostname, name.to_owned())
    }

    /// Mounts something, after all that is mounted so far.
    pub(crate) fn mount(&mut self, mount: Mount) -> Result<(), Error> {
        self.once(format!("mount {}", mount.target.display()))?;
        self.mounts.push(mount);
        Ok(())
    }

    /// Gives it the host's device at `path`, at the same path, for reading and writing.
    pub(crate) fn device(&mut self, path: &Path) -> Result<(), Error> {
        self.device_at(path, path)
    }

    /// The same, at the path `inside`.
    pub(crate) fn device_at(&mut self, path: &Path, inside: &Path) -> Result<(), Error> {
        let found = fs::metadata(path).at("stat", path)?;
        let kind = match found.file_type() {
            kind if kind.is_char_device() => DeviceKind::Character,
            kind if kind.is_block_device() => DeviceKind::Block,
            _ => return Err(io::Error::other("it is no device")).at("stat", path),
        };
        let (major, minor) = (major(found.rdev()), minor(found.rdev()));
        self.mount(Mount::file(path, inside, Attributes::DEVICE))?;
        self.devices.push(DeviceAccess {
            kind,
            major: Some(major),
            minor: Some(minor),
            read: true,
            write: true,
            make: false,
        });
        Ok(())
    }

    /// Hides a path, if it is there.
    pub(crate) fn mask(&mut self, path: impl Into<PathBuf>) {
        self.masked.push(path.into());
    }

    /// Protects a path, if it is there.
    pub(crate) fn protect(&mut self, path: impl Into<PathBuf>) {
        self.read_only.push(path.into());
    }

    /// Makes what will be at `path` the command's user's: below its sandbox, or that of the
    /// outermost container around it.
    pub(crate) fn own(&mut self, path: PathBuf) {
        self.owned.push(path);
    }

    /// The program and its arguments, unless the caller gave them.
    pub(crate) fn argv(&mut self, argv: Vec<String>) -> Result<(), Error> {
        if self.argv.is_some() && !self.decided.contains_key("command") {
            return Ok(());
        }
        self.decide("command", |draft| &mut draft.argv, argv)
    }

    /// The user, unless the caller named one.
    pub(crate) fn user(&mut self, user: &str) -> Result<(), Error> {
        if self.user.is_some() && !self.decided.contains_key("user") {
            return Ok(());
        }
        self.decide("user", |draft| &mut draft.user, user.to_owned())
    }

    /// The working directory.
    pub(crate) fn directory(&mut self, directory: PathBuf) -> Result<(), Error> {
        self.decide("working directory", |draft| &mut draft.directory, directory)
    }

    /// A variable of the image, which every other one of its name goes over.
    pub(crate) fn image_variable(&mut self, name: &str, value: &str) {
        self.image_variables.push((name.to_owned(), value.to_owned()));
    }

    /// A variable, which one of the caller's goes over.
    pub(crate) fn variable(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let field = format!("environment {name}");
        let old = self.variables.get(name).is_some_and(|known| known != value);
        self.note_decision(field, old)?;
        self.variables.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// What the command may do as root.
    pub(crate) fn capabilities(&mut self, capabilities: Capabilities) -> Result<(), Error> {
        self.decide("capabilities", |draft| &mut draft.capabilities, capabilities)
    }

    /// What nothing in it can do more than; `None` if nobody has decided that.
    pub(crate) fn bounding(&self) -> Option<CapabilitySet> {
        self.capabilities.map(|capabilities| capabilities.bounding)
    }

    /// Filters its system calls.
    pub(crate) fn seccomp(&mut self, filter: Filter) -> Result<(), Error> {
        self.decide("seccomp", |draft| &mut draft.seccomp, filter)
    }

    /// Filters its system calls beside that: what it must not call in any case.
    pub(crate) fn guard(&mut self, filter: Filter) -> Result<(), Error> {
        self.decide("guard", |draft| &mut draft.guard, filter)
    }

    /// Sets how soon the kernel kills it when the machine's memory runs out (proc(5),
    /// `oom_score_adj`).
    pub(crate) fn oom_score(&mut self, score: i32) -> Result<(), Error> {
        self.decide("oom_score_adj", |draft| &mut draft.oom_score, score)
    }

    /// Sets a resource limit (setrlimit(2)).
    pub(crate) fn rlimit(&mut self, limit: Rlimit) -> Result<(), Error> {
        self.once(limit.kind.to_string())?;
        self.rlimits.push(limit);
        Ok(())
    }

    /// Has exec give nothing that the command did not have.
    pub(crate) fn no_new_privs(&mut self) {
        self.no_new_privs = true;
    }

    /// Notes something for the isolator's later steps, which have it from
    /// [`super::Subject::note`]: what it is going to make, under which name.
    pub(crate) fn note(&mut self, note: &impl Serialize) -> Result<(), Error> {
        let by = self.by;
        let note = serde_json::to_value(note).map_err(|error| Error::Spec {
            field: "id",
            reason: format!("a note of {by} about it cannot be written: {error}"),
        })?;
        self.notes.insert(by.to_owned(), note);
        Ok(())
    }

    /// All that has been decided, and the rest as it is by default.
    pub(crate) fn finish(
        self,
        request: &Request<'_>,
        places: Places,
    ) -> Result<(Plan, BTreeMap<String, Value>), Error> {
        let spec = request.spec;
        let inside = request.sandbox_inside();
        let pod = spec.kind == Kind::Pod;
        let argv = self.argv.filter(|_| !pod).unwrap_or_default();
        if !pod && argv.first().is_none_or(String::is_empty) {
            let image = spec.image.clone().unwrap_or_default();
            return Err(ImageError::NoCommand { image }.into());
        }
        let mut environment = vec![
            ("PATH".to_owned(), PATH.to_owned()),
            ("MESOS_SANDBOX".to_owned(), inside.to_string_lossy().into_owned()),
        ];
        let variables = self.image_variables.into_iter().chain(self.variables);
        for (name, value) in variables.chain(spec.environment.iter().cloned()) {
            set(&mut environment, name, value);
        }
        let process = Process {
            argv,
            environment,
            directory: self.directory.unwrap_or(inside),
            user: self.user.unwrap_or_default(),
            capabilities: self.capabilities,
            no_new_privs: self.no_new_privs,
            seccomp: self.seccomp,
            guard: self.guard,
            oom_score: self.oom_score,
            rlimits: self.rlimits,
        };
        let plan = Plan {
            checkpoint: places.checkpoint,
            group: places.group,
            memory: self.memory,
            around: places.around,
            namespaces: self.namespaces,
            ids: self.ids,
            hostname: self.hostname,
            scratch: request.scratch.to_owned(),
            sandbox: spec.sandbox.clone(),
            io: spec.io(),
            sandbox_top: request.sandbox_top().to_owned(),
            root: self.root.unwrap_or_else(|| request.root_without_image()),
            mounts: self.mounts.into_iter().map(|mount| mount.owned_by(self.ids)).collect(),
            devices: self.devices,
            masked: self.masked,
            read_only: self.read_only,
            owned: self.owned,
            logger: Logger::default(),
            fetched: Vec::new(),
            process,
        };
        Ok((plan, self.notes))
    }

    fn decide<T: PartialEq>(
        &mut self,
        field: &str,
        slot: impl Fn(&mut Self) -> &mut Option<T>,
        value: T,
    ) -> Result<(), Error> {
        let old = slot(self).as_ref().is_some_and(|old| *old != value);
        self.note_decision(field.to_owned(), old)?;
        *slot(self) = Some(value);
        Ok(())
    }

    /// Takes note of who decided `field`, unless `contradicted`.
    fn note_decision(&mut self, field: String, contradicted: bool) -> Result<(), Error> {
        match self.decided.get(&field) {
            Some(first) if contradicted => Err(Error::Conflict { field, first, second: self.by }),
            Some(_) => Ok(()),
            None => {
                self.decided.insert(field, self.by);
                Ok(())
            }
        }
    }

    fn once(&mut self, field: String) -> Result<(), Error> {
        let again = self.decided.contains_key(&field);
        self.note_decision(field, again)
    }
}

fn set(environment: &mut Vec<(String, String)>, name: String, value: String) {
    match environment.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => environment.push((name, value)),
    }
}
