//! Resource limits of this process.

use rustix::process::{Resource, Rlimit as Values, setrlimit};

use crate::error::Step as _;
use crate::{Rlimit, RlimitKind, SetupError};

/// Sets `limits` for this process and what it becomes.
pub(super) fn set(limits: &[Rlimit]) -> Result<(), SetupError> {
    limits.iter().try_for_each(|limit| {
        let values = Values { current: limit.soft, maximum: limit.hard };
        setrlimit(resource(limit.kind), values).step(|| format!("setrlimit {}", limit.kind))
    })
}

fn resource(kind: RlimitKind) -> Resource {
    match kind {
        RlimitKind::As => Resource::As,
        RlimitKind::Core => Resource::Core,
        RlimitKind::Cpu => Resource::Cpu,
        RlimitKind::Data => Resource::Data,
        RlimitKind::Fsize => Resource::Fsize,
        RlimitKind::Locks => Resource::Locks,
        RlimitKind::Memlock => Resource::Memlock,
        RlimitKind::Msgqueue => Resource::Msgqueue,
        RlimitKind::Nice => Resource::Nice,
        RlimitKind::Nofile => Resource::Nofile,
        RlimitKind::Nproc => Resource::Nproc,
        RlimitKind::Rss => Resource::Rss,
        RlimitKind::Rtprio => Resource::Rtprio,
        RlimitKind::Rttime => Resource::Rttime,
        RlimitKind::Sigpending => Resource::Sigpending,
        RlimitKind::Stack => Resource::Stack,
    }
}
