//! What a caller wants to run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::launch::plan::Io;
use crate::{
    BlockIo, CapabilitySet, Error, Resources, Rlimit, Secret, Uri, Volume, WindowSize, id,
};

/// Where the sandbox is inside a container with an image (Mesos' `--sandbox_directory`).
pub const SANDBOX: &str = "/mnt/mesos/sandbox";

const CAPABILITIES: &str = "linux/capabilities";
/// The longest host name that Linux takes.
const HOSTNAME_MAX: usize = 64;

/// A container to launch. Whatever is not given is as Mesos has it by default.
#[derive(Clone, Debug, Default)]
pub struct ContainerSpec {
    /// Unique among all containers with the same parent, running or not yet destroyed:
    /// letters, digits, `-`, `_` and `.`, at most 242.
    pub id: String,
    /// The name of the running container that it is nested in (see [`crate::nested_id`]). It
    /// ends with that one. It has its network and, unless something else is said here, its
    /// host name, root filesystem and cgroups.
    pub parent: Option<String>,
    /// What kind of container it is.
    pub kind: Kind,
    /// Who it is there for.
    pub origin: Origin,
    /// An image of the store or of a registry, `name[:tag][@digest]`. `None` is the host's
    /// root filesystem, or the parent's.
    pub image: Option<String>,
    /// Docker's `config.json` with the credentials of the image's registry; `None` is the
    /// agent's.
    pub image_config: Option<Secret>,
    /// Whether the image's registry is asked what its tag stands for though it was pulled
    /// before.
    pub force_pull: bool,
    /// What to run. `None` is the image's entrypoint with its cmd.
    pub command: Option<CommandSpec>,
    /// With `command: None`, replaces the image's cmd unless empty.
    pub args: Vec<String>,
    /// Variables, over those of the image; a later one wins.
    pub environment: Vec<(String, String)>,
    /// Variables with secret values; their names are none of `environment`.
    pub secrets: Vec<(String, Secret)>,
    /// `user`, `uid`, `user:group` or `uid:gid`, looked up in the container's root
    /// filesystem. `None` is the image's user, or root.
    pub user: Option<String>,
    /// An existing directory on the host, the container's own. With an image it is at
    /// [`SANDBOX`] inside, without one it is the working directory. `stdout` and `stderr`
    /// are made in it. Empty for a nested container, which has `containers/<id>` in the
    /// sandbox of its parent.
    pub sandbox: PathBuf,
    /// Files that are put into its sandbox, in this order, before its command runs.
    pub uris: Vec<Uri>,
    /// A terminal of this size for its standard streams. `None` is none.
    pub tty: Option<WindowSize>,
    /// Whether its streams can be attached to ([`crate::Containerizer::attach`]), which those
    /// on a terminal always can. Without this or a terminal there is nothing on its standard
    /// input.
    pub attach: bool,
    /// The container's host name. `None` is the host's.
    pub hostname: Option<String>,
    /// What it may use.
    pub resources: Resources,
    /// Whether a nested container has cgroups with limits of its own, inside its parent's,
    /// instead of sharing those. One that is in no other always has.
    pub own_cgroups: bool,
    /// What it is given beside its sandbox, mounted in this order.
    pub volumes: Vec<Volume>,
    /// Resource limits of its command, each kind at most once.
    pub rlimits: Vec<Rlimit>,
    /// What its command may do, whatever user it runs as; `None` is the agent's default, for
    /// root.
    pub effective_capabilities: Option<CapabilitySet>,
    /// What nothing in it may do more than; `None` is the agent's bound.
    pub bounding_capabilities: Option<CapabilitySet>,
    /// What it may do with block devices; `None` is the agent's default.
    pub block_io: Option<BlockIo>,
    /// Which system calls its command can make.
    pub seccomp: Seccomp,
    /// Whether it sees the processes of its parent, or of the agent if it has none, instead of
    /// only its own.
    pub share_pid_namespace: bool,
    /// Whose System V IPC, message queues and /dev/shm it has.
    pub ipc_mode: IpcMode,
    /// The size of its own /dev/shm in bytes; `None` is the agent's default.
    pub shm_bytes: Option<u64>,
}

/// Kinds of containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Runs a command.
    #[default]
    Command,
    /// Runs nothing of its own and is there for what is nested in it: its namespaces, limits
    /// and sandbox. It ends on SIGTERM.
    Pod,
    /// A command in the namespaces, with the root filesystem, variables and restrictions of
    /// its parent (Mesos' class DEBUG).
    Debug,
}

/// Who a container is there for. It is in its checkpoint, and said again on recovery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The agent, which has an account of its own of it.
    #[default]
    Agent,
    /// An operator, whose it is to remove it.
    Operator,
    /// A command that the agent runs in another container, such as a check. It is over with the
    /// agent that runs it, and its sandbox goes with it.
    Execution,
    /// A connection of an operator's, with which it ends. Whoever is attached to it and does
    /// not read holds it up, instead of losing what it writes.
    Session,
}

/// Which system calls a container's commands can make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// Those of the agent's profile.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// Those of a profile in the agent's `--seccomp-config-dir`: a file's plain name.
    Profile(String),
}

/// Whose System V IPC, POSIX message queues and /dev/shm a container has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpcMode {
    /// Its own.
    #[default]
    Private,
    /// Its parent's, or the agent's if it has none.
    ShareParent,
}

/// A command, in either of the two ways to give one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandSpec {
    /// A line for `/bin/sh -c`.
    Shell(String),
    /// A program, found by `PATH`, and its arguments.
    Argv(Vec<String>),
}

impl CommandSpec {
    /// The program and its arguments.
    pub(crate) fn argv(&self) -> Vec<String> {
        match self {
            Self::Shell(line) => vec!["/bin/sh".into(), "-c".into(), line.clone()],
            Self::Argv(argv) => argv.clone(),
        }
    }
}

/// A command to run inside a running container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The command.
    pub command: CommandSpec,
    /// Variables, over the container's own; a later one wins.
    pub environment: Vec<(String, String)>,
    /// Variables with secret values; their names are none of `environment`.
    pub secrets: Vec<(String, Secret)>,
    /// Who it runs as, as in [`ContainerSpec::user`]; `None` is the container's user.
    pub user: Option<String>,
}

impl From<CommandSpec> for Execution {
    /// The command as the container's own, with nothing changed.
    fn from(command: CommandSpec) -> Self {
        Self { command, environment: Vec::new(), secrets: Vec::new(), user: None }
    }
}

impl ContainerSpec {
    /// Checks every field that can be judged without the image.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let refuse = |field, reason: String| Err(Error::Spec { field, reason });
        id::validate(self.parent.as_deref(), &self.id)?;
        if self.parent.is_some() {
            if !self.sandbox.as_os_str().is_empty() {
                return refuse("sandbox", "a nested container's is in that of its parent".into());
            }
        } else if !self.sandbox.is_absolute() || !self.sandbox.is_dir() {
            return refuse(
                "sandbox",
                format!(
                    "{} is not an existing directory with an absolute path",
                    self.sandbox.display()
                ),
            );
        }
        self.validate_kind()?;
        if let Some(name) = &self.hostname
            && (name.is_empty()
                || name.len() > HOSTNAME_MAX
                || !name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'.'))
        {
            return refuse(
                "hostname",
                format!(
                    "`{name}` is not 1 to {HOSTNAME_MAX} ASCII letters, digits, hyphens and dots"
                ),
            );
        }
        if let Some(command) = &self.command {
            validate_command(command)?;
        }
        if self.command.is_some() && !self.args.is_empty() {
            return refuse("args", "only without a command, as arguments of the image's".into());
        }
        if self.command.is_none() && self.image.is_none() && self.kind != Kind::Pod {
            return refuse("command", "missing, and there is no image that has one".into());
        }
        let variables = self.environment.iter().map(|(name, value)| (name, value.as_str()));
        validate_environment("environment", variables)?;
        let secrets = self.secrets.iter().map(|(name, secret)| (name, secret.reveal()));
        validate_environment("secrets", secrets)?;
        if self.args.iter().any(|arg| arg.contains('\0')) {
            return refuse("args", "an argument holds a NUL character".into());
        }
        if let Some(block_io) = &self.block_io {
            block_io.validate()?;
        }
        self.volumes.iter().try_for_each(Volume::validate)?;
        self.rlimits.iter().try_for_each(Rlimit::validate)?;
        self.resources.validate()
    }

    /// Its name: its id, after those of the containers around it, as in `a/b`.
    pub fn name(&self) -> String {
        match &self.parent {
            Some(parent) => id::nested(parent, &self.id),
            None => self.id.clone(),
        }
    }

    /// Who has the other ends of its streams; `None` if they are files.
    pub(crate) fn io(&self) -> Option<Io> {
        (self.attach || self.tty.is_some()).then_some(Io {
            tty: self.tty,
            first: false,
            paced: self.origin == Origin::Session,
        })
    }

    /// Whether it has limits and cgroups to which they apply.
    pub(crate) fn has_cgroups(&self) -> bool {
        self.parent.is_none() || self.own_cgroups
    }

    /// Checks what a container of its kind, and at its place, cannot have.
    fn validate_kind(&self) -> Result<(), Error> {
        let refuse = |field, reason: &str| Err(Error::Spec { field, reason: reason.into() });
        match self.kind {
            Kind::Debug if self.parent.is_none() => {
                return refuse(
                    "parent",
                    "missing, and a container of the kind Debug is in another",
                );
            }
            Kind::Debug if self.own_cgroups || self.share_pid_namespace => {
                let field = if self.own_cgroups { "own_cgroups" } else { "share_pid_namespace" };
                return refuse(field, "a container of the kind Debug has its parent's anyway");
            }
            Kind::Debug if self.command.is_none() => {
                return refuse("command", "missing, and there is no image that has one");
            }
            Kind::Debug => {
                if let Some((field, _)) = self.needs().first() {
                    return refuse(field, "a container of the kind Debug has its parent's");
                }
            }
            Kind::Pod if self.command.is_some() => {
                return refuse("command", "a container of the kind Pod runs none");
            }
            Kind::Pod if !self.args.is_empty() => {
                return refuse("args", "a container of the kind Pod runs no command");
            }
            Kind::Pod | Kind::Command => {}
        }
        if self.own_cgroups && self.parent.is_none() {
            return refuse(
                "own_cgroups",
                "only for a nested container; this one has its own anyway",
            );
        }
        if self.kind == Kind::Pod && self.io().is_some() {
            return refuse("attach", "a container of the kind Pod writes and reads nothing");
        }
        let Resources { cpus_limit, mem_limit, pids_limit, .. } = self.resources;
        let limits = [
            (cpus_limit.is_some(), "resources.cpus_limit"),
            (mem_limit.is_some(), "resources.mem_limit"),
            (pids_limit.is_some(), "resources.pids_limit"),
            (self.block_io.is_some(), "block_io"),
        ];
        match limits.into_iter().find(|(wanted, _)| *wanted && !self.has_cgroups()) {
            Some((_, field)) => {
                refuse(field, "a nested container without cgroups of its own shares its parent's")
            }
            None => Ok(()),
        }
    }

    /// The isolators without which a field would have no effect: the field and the isolator.
    pub(crate) fn needs(&self) -> Vec<(&'static str, &'static str)> {
        let needs = [
            (self.image.is_some(), "image", "filesystem/linux"),
            (self.hostname.is_some(), "hostname", "filesystem/linux"),
            (self.block_io.is_some(), "block_io", "cgroups/blkio"),
            (!self.rlimits.is_empty(), "rlimits", "posix/rlimits"),
            (self.effective_capabilities.is_some(), "effective_capabilities", CAPABILITIES),
            (self.bounding_capabilities.is_some(), "bounding_capabilities", CAPABILITIES),
            (matches!(self.seccomp, Seccomp::Profile(_)), "seccomp", "linux/seccomp"),
            (self.resources.gpus > 0, "resources.gpus", "gpu/nvidia"),
            (self.shm_bytes.is_some(), "shm_bytes", "namespaces/ipc"),
            (self.ipc_mode == IpcMode::ShareParent, "ipc_mode", "namespaces/ipc"),
        ];
        let wanted = needs.into_iter().filter(|(wanted, ..)| *wanted);
        let volumes = self.volumes.iter().map(|volume| ("volumes", volume.isolator()));
        wanted.map(|(_, field, isolator)| (field, isolator)).chain(volumes).collect()
    }
}

/// Checks a command by itself.
pub(crate) fn validate_command(command: &CommandSpec) -> Result<(), Error> {
    let argv = command.argv();
    let reason = if argv.first().is_none_or(String::is_empty) {
        "names no program"
    } else if argv.iter().any(|arg| arg.contains('\0')) {
        "holds a NUL character"
    } else {
        return Ok(());
    };
    Err(Error::Spec { field: "command", reason: reason.into() })
}

fn validate_environment<'a>(
    field: &'static str,
    environment: impl IntoIterator<Item = (&'a String, &'a str)>,
) -> Result<(), Error> {
    for (name, value) in environment {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Error::Spec {
                field,
                reason: format!("`{name}` is no variable: empty, or with `=` or NUL"),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
