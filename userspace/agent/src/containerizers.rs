//! Who runs containers.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

/// `--containerizers`, and the flags of the Docker engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containerizers {
    /// Whether this agent runs containers itself.
    pub mesos: bool,
    /// Whether a Docker engine runs containers for it.
    pub docker: bool,
    /// `--docker-socket`: the engine's Unix socket.
    pub socket: PathBuf,
    /// `--docker-as-ucr`: tasks with `container.type DOCKER` are run without the engine.
    pub as_ucr: bool,
    /// `--docker-stop-timeout`: from the stop signal to SIGKILL, for a task of the engine that
    /// has no kill policy; `None` is what all tasks have.
    pub stop_timeout: Option<Duration>,
    /// `--docker-remove-delay`: how long the engine keeps a container that has ended.
    pub remove_delay: Duration,
}

impl Containerizers {
    /// Where an engine's socket is unless it was told otherwise.
    pub const SOCKET: &str = "/var/run/docker.sock";
    /// `--docker-remove-delay` by default, as in Mesos.
    pub const REMOVE_DELAY: Duration = Duration::from_hours(6);

    /// Those that `names` says, separated by commas: `mesos,docker`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn named(names: &str) -> Result<Self, String> {
        let mut named = Self { mesos: false, docker: false, ..Self::default() };
        for name in names.split(',').map(str::trim) {
            match name {
                "mesos" => named.mesos = true,
                "docker" => named.docker = true,
                _ => return Err(format!("{name:?} is neither mesos nor docker")),
            }
        }
        Ok(named)
    }

    /// The names, as `--containerizers` takes them.
    pub fn names(&self) -> String {
        let names = [(self.mesos, "mesos"), (self.docker, "docker")];
        let names: Vec<_> = names.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        names.join(",")
    }
}

impl Containerizers {
    /// The flags as `/flags` and `/state` show them.
    pub(crate) fn flags(&self) -> Map<String, Value> {
        let seconds = |time: Duration| format!("{}secs", time.as_secs_f64());
        let flags = [
            ("containerizers", Some(self.names())),
            ("docker_socket", Some(self.socket.display().to_string())),
            ("docker_as_ucr", Some(self.as_ucr.to_string())),
            ("docker_stop_timeout", self.stop_timeout.map(seconds)),
            ("docker_remove_delay", Some(seconds(self.remove_delay))),
        ];
        flags.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    }
}

impl Default for Containerizers {
    fn default() -> Self {
        Self {
            mesos: true,
            docker: true,
            socket: Self::SOCKET.into(),
            as_ucr: false,
            stop_timeout: None,
            remove_delay: Self::REMOVE_DELAY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_named_as_in_mesos() {
        assert_eq!(Containerizers::default().names(), "mesos,docker");
        for names in ["mesos", "docker", "mesos,docker"] {
            assert_eq!(Containerizers::named(names).unwrap().names(), names);
        }
        assert_eq!(Containerizers::named("docker, mesos").unwrap().names(), "mesos,docker");
        for names in ["", "mesos,", "podman"] {
            assert!(Containerizers::named(names).unwrap_err().contains("neither mesos nor docker"));
        }
    }
}
