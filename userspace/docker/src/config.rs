//! What a containerizer is told at its start.

use std::path::PathBuf;
use std::time::Duration;

use muster_containerizer::{Files, Logger, Registries};

/// Where the engine is and what its containers get.
#[derive(Clone, Debug)]
pub struct Config {
    /// The agent's name, unlike that of any other agent that uses the same engine.
    pub agent: String,
    /// The engine's Unix socket.
    pub socket: PathBuf,
    /// What must be known again after a restart: `<runtime_dir>/docker/<id>`.
    pub runtime_dir: PathBuf,
    /// Parent of the containers' cgroups in every hierarchy, relative and without a leading
    /// slash: `muster/a1`.
    pub cgroups_root: String,
    /// How long an ended container is kept in the engine.
    pub remove_delay: Duration,
    /// Whether `cpus` are a ceiling and not only a share.
    pub cfs_quota: bool,
    /// Whether memory and swap are limited together.
    pub limit_swap: bool,
    /// The credentials of registries.
    pub registries: Registries,
    /// What becomes of containers' output in their sandboxes.
    pub logger: Logger,
    /// What fetches files into sandboxes.
    pub files: Files,
}

#[cfg(test)]
impl Config {
    /// One that needs nothing of the machine but a directory.
    pub(crate) fn testing(top: &std::path::Path) -> Self {
        Self {
            agent: "a1".into(),
            socket: "/run/docker.sock".into(),
            runtime_dir: top.to_owned(),
            cgroups_root: "muster/a1".into(),
            remove_delay: Duration::ZERO,
            cfs_quota: false,
            limit_swap: false,
            registries: Registries::default(),
            logger: Logger::default(),
            files: Files::new(muster_containerizer::Fetching::new(top.join("fetch")), None)
                .unwrap(),
        }
    }
}
