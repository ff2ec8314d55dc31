//! A container, down to its last path: what its isolators have agreed on, and what its
//! helper carries out.

mod device;
mod mount;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::capability::Capabilities;
use crate::cgroup::Group;
use crate::pid::ProcessId;
use crate::seccomp::Filter;
use crate::{IdRange, Logger, Rlimit, WindowSize};

pub(crate) use device::{DeviceAccess, DeviceKind};
pub(crate) use mount::{Attributes, Mount, Spread, What};

/// What a helper needs to know of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Its checkpoint's directory.
    pub(crate) checkpoint: PathBuf,
    /// Its cgroups, which are there.
    pub(crate) group: Group,
    /// Whether its memory has a limit, and news of that running out are to be waited for.
    pub(crate) memory: bool,
    /// The first process of the container that it is nested in.
    pub(crate) around: Option<ProcessId>,
    /// The namespaces that it has of its own. The others are those of the container around it,
    /// or the agent's.
    pub(crate) namespaces: BTreeSet<Namespace>,
    /// The host's ids that its users and groups are; `None` if they are the host's.
    pub(crate) ids: Option<IdRange>,
    /// Its host name, if not the host's.
    pub(crate) hostname: Option<String>,
    /// A directory for what only this container needs.
    pub(crate) scratch: PathBuf,
    /// Its sandbox on the host.
    pub(crate) sandbox: PathBuf,
    /// The directory above it, or itself, to which no container can write a link: the sandbox
    /// of the outermost container around it.
    pub(crate) sandbox_top: PathBuf,
    /// How its streams are served; `None` if they are files.
    pub(crate) io: Option<Io>,
    /// Its root filesystem.
    pub(crate) root: Root,
    /// What is mounted in it, in this order.
    pub(crate) mounts: Vec<Mount>,
    /// The devices that it is given.
    pub(crate) devices: Vec<DeviceAccess>,
    /// Paths in it that are hidden, as far as they are there.
    pub(crate) masked: Vec<PathBuf>,
    /// Paths in it that cannot be written, as far as they are there.
    pub(crate) read_only: Vec<PathBuf>,
    /// Paths below `sandbox_top` that are its user's, beside the sandbox itself.
    pub(crate) owned: Vec<PathBuf>,
    /// What becomes of its output.
    #[serde(default)]
    pub(crate) logger: Logger,
    /// What was fetched into its sandbox: names in it that are its user's, with all below.
    #[serde(default)]
    pub(crate) fetched: Vec<PathBuf>,
    /// Its command.
    pub(crate) process: Process,
}

/// Streams of which the helper has the other ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Io {
    /// The size of the terminal that they are; `None` if they are pipes.
    pub(crate) tty: Option<WindowSize>,
    /// Whether the command waits for somebody to attach, who sees all of it then.
    pub(crate) first: bool,
    /// Whether who is attached and does not read holds the container up.
    #[serde(default)]
    pub(crate) paced: bool,
}

/// A kind of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Namespace {
    /// Mounts. Without one nothing is mounted, and the root filesystem is the host's.
    Mount,
    /// Process numbers.
    Pid,
    /// Host name.
    Uts,
    /// System V IPC and POSIX message queues.
    Ipc,
}

/// Where a root filesystem comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Root {
    /// The host's own.
    Host,
    /// That of the container around it, with all that is mounted there.
    Parent {
        /// Whether that is an image's, and not the host's.
        image: bool,
    },
    /// Layers, uppermost first, below the container's own writable one: `upper`, `work` and
    /// `root` in its scratch directory.
    Layers(Vec<PathBuf>),
    /// A copy of layers, uppermost first: `root` in its scratch directory.
    Copied(Vec<PathBuf>),
    /// A layer itself, which cannot be written to.
    Bound(PathBuf),
}

/// A command with all that it inherits, the same for a container's own and for one that
/// joins it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// The program and its arguments; empty for a pod, which runs none.
    pub(crate) argv: Vec<String>,
    /// Each variable once.
    pub(crate) environment: Vec<(String, String)>,
    /// The working directory inside; made if missing.
    pub(crate) directory: PathBuf,
    /// `user[:group]`, names or numbers; empty is root.
    pub(crate) user: String,
    /// Its capabilities; `None` leaves root all of them.
    pub(crate) capabilities: Option<Capabilities>,
    /// Whether exec can give it more than it has (prctl(2), `PR_SET_NO_NEW_PRIVS`).
    pub(crate) no_new_privs: bool,
    /// Its filter of system calls; `None` lets it make any.
    pub(crate) seccomp: Option<Filter>,
    /// What it must not call whatever that says.
    #[serde(default)]
    pub(crate) guard: Option<Filter>,
    /// Its `oom_score_adj` (proc(5)), 0 to 1000; `None` is 0.
    pub(crate) oom_score: Option<i32>,
    /// Its resource limits; what is not among them is as the agent's.
    pub(crate) rlimits: Vec<Rlimit>,
}

impl Root {
    /// Whether it is an image's, and not the host's.
    pub(crate) fn is_image(&self) -> bool {
        match self {
            Self::Host => false,
            Self::Parent { image } => *image,
            Self::Layers(_) | Self::Copied(_) | Self::Bound(_) => true,
        }
    }
}
