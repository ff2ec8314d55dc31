//! What is special about a disk resource.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use muster_api::mesos::Volume;
use muster_api::mesos::resource::disk_info::source;
use muster_api::mesos::volume::Mode;
use serde::{Deserialize, Serialize};

use crate::Labels;

/// Where disk space comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SourceKind {
    /// A directory on a disk that others may use too.
    Path,
    /// A file system of its own: used whole or not at all.
    Mount,
    /// A block device: used whole or not at all.
    Block,
    /// A disk that is still to be made into one of the others. With an id it is one
    /// disk, without it is a pool of space.
    Raw,
}

impl From<SourceKind> for source::Type {
    fn from(kind: SourceKind) -> Self {
        match kind {
            SourceKind::Path => Self::Path,
            SourceKind::Mount => Self::Mount,
            SourceKind::Block => Self::Block,
            SourceKind::Raw => Self::Raw,
        }
    }
}

/// A disk other than the agent's work directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Kind of the disk.
    pub kind: SourceKind,
    /// The directory or mount point, when [`SourceKind::Path`] and [`SourceKind::Mount`]
    /// say; the inner `None` is a `path` or `mount` message without a root.
    pub root: Option<Option<String>>,
    /// The volume's id of a storage plugin.
    pub id: Option<String>,
    /// What the storage plugin said of the volume.
    pub metadata: Option<Labels>,
    /// Name of the set of parameters that the volume was made with.
    pub profile: Option<String>,
    /// Type and name of the storage plugin.
    pub vendor: Option<String>,
}

/// Source, persistence and use of a disk resource.
///
/// Disks are equal when sources and persistence ids are; how a volume is mounted is a
/// matter of its current use and does not distinguish disks.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// The disk, when it is not the work directory's.
    pub source: Option<Source>,
    /// The id, unique within role and agent, of a persistent volume.
    pub persistence: Option<String>,
    /// Who made the persistent volume, for authorization.
    pub principal: Option<String>,
    /// Where tasks see the volume.
    pub volume: Option<Volume>,
}

impl Disk {
    /// Whether it is used whole or not at all.
    pub fn is_exclusive(&self) -> bool {
        let source = self.source.as_ref().is_some_and(|source| match source.kind {
            SourceKind::Path => false,
            SourceKind::Mount | SourceKind::Block => true,
            SourceKind::Raw => source.id.is_some(),
        });
        source || self.persistence.is_some()
    }

    /// The disk that a persistent volume was made of; `None` is the work directory's.
    #[must_use]
    pub fn without_persistence(&self) -> Option<Self> {
        let source = self.source.clone()?;
        Some(Self { source: Some(source), ..Self::default() })
    }

    fn identity(&self) -> (&Option<Source>, &Option<String>) {
        (&self.source, &self.persistence)
    }
}

impl PartialEq for Disk {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Disk {}

impl Ord for Disk {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl PartialOrd for Disk {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Disk {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

/// `MOUNT:/mnt1`, or `RAW(vendor,id,profile)` of a storage plugin.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SourceKind::Path => "PATH",
            SourceKind::Mount => "MOUNT",
            SourceKind::Block => "BLOCK",
            SourceKind::Raw => "RAW",
        })?;
        if self.id.is_some() || self.profile.is_some() {
            let part = |part: &Option<String>| part.clone().unwrap_or_default();
            write!(f, "({},{},{})", part(&self.vendor), part(&self.id), part(&self.profile))
        } else if let Some(Some(root)) = &self.root {
            write!(f, ":{root}")
        } else {
            Ok(())
        }
    }
}

/// `MOUNT:/mnt1,id:host_path:container_path:rw`, or the parts of it that are there.
impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            source.fmt(f)?;
        }
        if let Some(id) = &self.persistence {
            let comma = if self.source.is_some() { "," } else { "" };
            write!(f, "{comma}{id}")?;
        }
        if let Some(volume) = &self.volume {
            match &volume.host_path {
                Some(host) => {
                    let mode = if volume.mode() == Mode::Ro { "ro" } else { "rw" };
                    write!(f, ":{host}:{}:{mode}", volume.container_path)?;
                }
                None => write!(f, ":{}", volume.container_path)?,
            }
        }
        Ok(())
    }
}
