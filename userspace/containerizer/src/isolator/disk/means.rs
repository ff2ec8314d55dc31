//! How it is found out what a container takes.

use std::fmt;
use std::path::Path;

use rustix::fs::statfs;
use serde::{Deserialize, Serialize};

use super::{btrfs, project};
use crate::Error;
use crate::error::At as _;

/// Ways to find out what a container takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// Its files are gone over.
    Files,
    /// Its files belong to a project, for which the filesystem counts.
    Project {
        /// Whether that enforces limits too.
        limited: bool,
    },
    /// Its directories are subvolumes, for which btrfs counts.
    Subvolumes,
}

impl Kind {
    /// The best one for what is in `directory`.
    pub(super) fn of(directory: &Path) -> Result<Self, Error> {
        let kind = statfs(directory).at("statfs", directory)?.f_type;
        if u64::try_from(kind).is_ok_and(|kind| kind == btrfs::MAGIC) {
            let counts = btrfs::counts(directory)?;
            return Ok(if counts { Self::Subvolumes } else { Self::Files });
        }
        let quotas = project::quotas(directory)?;
        Ok(if quotas.counted { Self::Project { limited: quotas.limited } } else { Self::Files })
    }

    /// Whether a limit is the filesystem's to enforce.
    pub(super) fn enforces(self) -> bool {
        matches!(self, Self::Project { limited: true } | Self::Subvolumes)
    }
}

/// For the log.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => {
                "going over files: the filesystem has no project quotas (prjquota), and is no \
                 btrfs with quotas (btrfs quota enable)"
            }
            Self::Project { limited: true } => "project quotas",
            Self::Project { limited: false } => "project quotas that only count",
            Self::Subvolumes => "subvolumes and qgroups of btrfs",
        })
    }
}
