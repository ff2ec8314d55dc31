//! Sandboxes, where Mesos has them: below an agent's work directory, at
//! `slaves/<agent>/frameworks/<framework>/executors/<task>/runs/<container>`.

use std::path::{Path, PathBuf};

use crate::cgroup::subdirectories;
use crate::error::Result;

/// One run of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// The task's id.
    pub task: String,
    /// The container's id.
    pub container: String,
    /// The directory.
    pub path: PathBuf,
}

/// Every sandbox below the work directory of an agent.
///
/// # Errors
/// [`crate::Error::System`] when a directory can not be read; missing ones are empty.
pub fn all(work: &Path) -> Result<Vec<Sandbox>> {
    let mut found = Vec::new();
    for agent in subdirectories(&work.join("slaves"))? {
        for framework in subdirectories(&agent.join("frameworks"))? {
            for task in subdirectories(&framework.join("executors"))? {
                for path in subdirectories(&task.join("runs"))? {
                    let (task, container) = (name(&task), name(&path));
                    // Beside a sandbox, hidden, may be what the containerizer keeps for it.
                    if !container.starts_with('.') {
                        found.push(Sandbox { task, container, path });
                    }
                }
            }
        }
    }
    Ok(found)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
