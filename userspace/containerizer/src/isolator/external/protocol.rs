//! What is said to programs, and what they answer: version 1.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cgroup::Controller;
use crate::isolator::{Draft, Request, Subject};
use crate::launch::plan::{Attributes, Mount};
use crate::limitation::Amount;
use crate::resources::Limit;
use crate::{Cause, Error, Limitation, Resources, Rlimit, RlimitKind, Usage};

/// The version of all of this.
pub(super) const VERSION: u64 = 1;

/// The steps, by the names that they are called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Step {
    Check,
    Prepare,
    Isolate,
    Watch,
    Update,
    Usage,
    Status,
    Cleanup,
    Forget,
    Recover,
}

impl Step {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Prepare => "prepare",
            Self::Isolate => "isolate",
            Self::Watch => "watch",
            Self::Update => "update",
            Self::Usage => "usage",
            Self::Status => "status",
            Self::Cleanup => "cleanup",
            Self::Forget => "forget",
            Self::Recover => "recover",
        }
    }
}

/// The answer to `check`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checked {
    version: u64,
    /// The steps that it is to be run for.
    pub(super) steps: Vec<Step>,
}

impl Checked {
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.version == VERSION {
            return Ok(());
        }
        Err(format!("it speaks version {}, and this agent {VERSION}", self.version))
    }
}

/// The answer to steps that ask for nothing, and to `status`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Told {
    pub(super) cpus: Option<String>,
}

/// The answer to `usage`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measured {
    #[serde(default)]
    statistics: BTreeMap<String, Value>,
}

impl Measured {
    /// Adds it, by Mesos' names.
    pub(super) fn apply(&self, usage: &mut Usage) -> Result<(), String> {
        for (name, value) in &self.statistics {
            let (float, whole) = match name.as_str() {
                "cpus_user_time_secs" => (Some(&mut usage.cpus_user_time_secs), None),
                "cpus_system_time_secs" => (Some(&mut usage.cpus_system_time_secs), None),
                "cpus_limit" => (Some(&mut usage.cpus_limit), None),
                "mem_total_bytes" => (None, Some(&mut usage.mem_total_bytes)),
                "mem_rss_bytes" => (None, Some(&mut usage.mem_rss_bytes)),
                "mem_limit_bytes" => (None, Some(&mut usage.mem_limit_bytes)),
                "disk_used_bytes" => (None, Some(&mut usage.disk_used_bytes)),
                "disk_limit_bytes" => (None, Some(&mut usage.disk_limit_bytes)),
                "threads" => (None, Some(&mut usage.threads)),
                "processes" => (None, Some(&mut usage.processes)),
                _ => return Err(format!("statistics.{name} is not known in this version")),
            };
            let wrong = || format!("statistics.{name}: {value} is no number of its kind");
            if let Some(slot) = float {
                *slot = Some(value.as_f64().ok_or_else(wrong)?);
            }
            if let Some(slot) = whole {
                *slot = Some(value.as_u64().ok_or_else(wrong)?);
            }
        }
        Ok(())
    }
}

/// The answer to `watch`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Watched {
    pub(super) limitation: Option<Exceeded>,
}

/// A limit that a container went over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exceeded {
    message: String,
    #[serde(default)]
    reason: Reason,
    /// In Mesos' units.
    #[serde(default)]
    resources: BTreeMap<String, f64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reason {
    Memory,
    Disk,
    #[default]
    Other,
}

impl From<Exceeded> for Limitation {
    fn from(exceeded: Exceeded) -> Self {
        let cause = match exceeded.reason {
            Reason::Memory => Cause::Memory,
            Reason::Disk => Cause::Disk,
            Reason::Other => Cause::Other,
        };
        // A cast from a float saturates.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let amount = |(name, value): (String, f64)| Amount { name, milli: (value * 1000.0) as u64 };
        let resources = exceeded.resources.into_iter().map(amount).collect();
        Self { cause, message: exceeded.message, resources }
    }
}

/// The answer to `prepare`: what the container gets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct Decided {
    env: BTreeMap<String, String>,
    mounts: Vec<Mounted>,
    devices: Vec<Device>,
    rlimits: Vec<Limited>,
    mask: Vec<PathBuf>,
    protect: Vec<PathBuf>,
    hostname: Option<String>,
    directory: Option<PathBuf>,
    user: Option<String>,
    argv: Option<Vec<String>>,
    oom_score_adj: Option<i32>,
    no_new_privs: bool,
    note: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mounted {
    target: PathBuf,
    source: Option<PathBuf>,
    filesystem: Option<String>,
    #[serde(default)]
    options: String,
    link: Option<String>,
    #[serde(default)]
    read_only: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Device {
    Same(PathBuf),
    Elsewhere { source: PathBuf, target: PathBuf },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limited {
    kind: String,
    soft: Option<u64>,
    hard: Option<u64>,
}

/// What is wrong with a decision.
pub(super) enum Problem {
    /// It makes no sense.
    Answer(String),
    /// It cannot be, with what others have decided.
    Draft(Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Draft(error)
    }
}

impl Decided {
    /// Adds it to what others have decided.
    pub(super) fn apply(self, draft: &mut Draft) -> Result<(), Problem> {
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(Problem::Answer(format!("env: `{name}` is no variable")));
            }
            draft.variable(name, value)?;
        }
        for mounted in self.mounts {
            draft.mount(mounted.into_mount()?)?;
        }
        for device in &self.devices {
            let (source, target) = match device {
                Device::Same(path) => (path, path),
                Device::Elsewhere { source, target } => (source, target),
            };
            draft.device_at(absolute("devices", source)?, absolute("devices", target)?)?;
        }
        for limit in self.rlimits {
            draft.rlimit(limit.into_rlimit()?)?;
        }
        for path in self.mask {
            draft.mask(absolute("mask", &path)?);
        }
        for path in self.protect {
            draft.protect(absolute("protect", &path)?);
        }
        if let Some(name) = self.hostname {
            draft.hostname(&name)?;
        }
        if let Some(directory) = self.directory {
            draft.directory(absolute("directory", &directory)?.to_owned())?;
        }
        if let Some(user) = self.user {
            draft.user(&user)?;
        }
        if let Some(argv) = self.argv {
            draft.argv(argv)?;
        }
        if let Some(score) = self.oom_score_adj {
            if !(0..=1000).contains(&score) {
                return Err(Problem::Answer(format!("oom_score_adj: {score} is not 0 to 1000")));
            }
            draft.oom_score(score)?;
        }
        if self.no_new_privs {
            draft.no_new_privs();
        }
        self.note.map_or(Ok(()), |note| Ok(draft.note(&note)?))
    }
}

impl Mounted {
    fn into_mount(self) -> Result<Mount, Problem> {
        let target = absolute("mounts", &self.target)?.to_owned();
        let attributes = Attributes { read_only: self.read_only, ..Attributes::DATA };
        match (self.source, self.filesystem, self.link) {
            (Some(source), None, None) => {
                Ok(Mount::host(absolute("mounts", &source)?, target, attributes))
            }
            (None, Some(kind), None) => Ok(Mount::new(&kind, target, attributes, self.options)),
            (None, None, Some(link)) => Ok(Mount::link(&link, target)),
            _ => {
                let target = target.display();
                let reason = "needs one of source, filesystem and link";
                Err(Problem::Answer(format!("mounts: {target} {reason}")))
            }
        }
    }
}

impl Limited {
    fn into_rlimit(self) -> Result<Rlimit, Problem> {
        let wrong = || Problem::Answer(format!("rlimits: `{}` is no resource", self.kind));
        let name = self.kind.strip_prefix("RLMT_").ok_or_else(wrong)?;
        let (first, rest) = name.split_at_checked(1).ok_or_else(wrong)?;
        let name = format!("{first}{}", rest.to_ascii_lowercase());
        let kind: RlimitKind = serde_json::from_value(name.into()).map_err(|_| wrong())?;
        let limit = Rlimit { kind, soft: self.soft, hard: self.hard };
        limit.validate()?;
        Ok(limit)
    }
}

fn absolute<'a>(field: &str, path: &'a Path) -> Result<&'a Path, Problem> {
    let plain = path.components().all(|part| !matches!(part, Component::ParentDir));
    if path.is_absolute() && plain && !path.as_os_str().as_encoded_bytes().contains(&0) {
        return Ok(path);
    }
    let path = path.display();
    Err(Problem::Answer(format!("{field}: `{path}` is no absolute path without `..`")))
}

/// A container that is wanted.
pub(super) fn wanted(request: &Request<'_>) -> Value {
    let spec = request.spec;
    let variables: BTreeMap<_, _> = spec.environment.iter().cloned().collect();
    json!({
        "id": spec.name(),
        "parent": spec.parent,
        "image": spec.image,
        "user": spec.user,
        "hostname": spec.hostname,
        "sandbox": spec.sandbox,
        "scratch": request.scratch,
        // Without those that are secrets.
        "env": variables,
        "resources": resources(&spec.resources),
    })
}

/// A container that has been decided on, with what the isolator `name` noted about it.
pub(super) fn container(name: &str, subject: &Subject) -> Value {
    let plan = &subject.plan;
    let directories: BTreeMap<_, _> = Controller::ALL
        .iter()
        .filter_map(|controller| {
            let place = plan.group.place(*controller).ok()?;
            Some((controller.name(), place.directory))
        })
        .collect();
    json!({
        "id": subject.id,
        "parent": subject.parent,
        "sandbox": plan.sandbox,
        "scratch": plan.scratch,
        "cgroup": plan.group.unified,
        "cgroups": directories,
        "resources": resources(&subject.resources),
        "note": subject.notes.get(name),
    })
}

/// What a container may use.
pub(super) fn resources(resources: &Resources) -> Value {
    let limit = |limit: Option<Limit>| match limit {
        None => Value::Null,
        Some(Limit::Infinite) => "infinite".into(),
        Some(Limit::At(value)) => value.into(),
    };
    json!({
        "cpus_milli": resources.cpus_milli,
        "cpus_milli_limit": limit(resources.cpus_limit),
        "mem_bytes": resources.mem_bytes,
        "mem_bytes_limit": limit(resources.mem_limit),
        "pids_limit": limit(resources.pids_limit),
        "disk_bytes": resources.disk_bytes,
        "gpus": resources.gpus,
    })
}
