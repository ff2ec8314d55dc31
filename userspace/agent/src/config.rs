//! What an agent is told on its command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use muster_containerizer::{Isolation, Registries};
use serde_json::{Value, json};

use crate::Patience;

/// What an agent does with what an earlier one of the same directories left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recover {
    /// Adopts what runs and goes on.
    #[default]
    Reconnect,
    /// Destroys all of it, tasks included, forgets who the agent was, and ends.
    Cleanup,
}

/// An agent's flags.
#[derive(Clone, Debug)]
pub struct Config {
    /// `--master`: the master's `HOST` or `HOST:PORT`; the port is 5052 if not given.
    pub master: String,
    /// `--ip`: address to listen on, and that other machines reach this one at.
    pub ip: IpAddr,
    /// `--port`: of the agent's HTTP interface; 0 takes any that is free.
    pub port: u16,
    /// `--vip-port`: of the VIPs' HTTP interface; 0 takes any that is free.
    pub vip_port: u16,
    /// `--hostname`: the machine's name in the cluster.
    pub hostname: String,
    /// `--name`: the agent's name on this machine, in bpffs; 1 to 64 bytes.
    pub name: String,
    /// `--work-dir`: checkpoints and sandboxes. Absolute.
    pub work_dir: PathBuf,
    /// `--runtime-dir`: what is known of containers until the machine restarts. Absolute.
    pub runtime_dir: PathBuf,
    /// `--image-dir`: the image store. Absolute.
    pub image_dir: PathBuf,
    /// Where images come from that are not in the store, `--docker-registry` first.
    pub registries: Registries,
    /// `--resources`: `cpus:4;mem:8192;ports:[31000-32000]`. Of cpus, mem and ports, those
    /// that are not given are found out.
    pub resources: String,
    /// `--attributes`: `rack:r1;floor:3`.
    pub attributes: String,
    /// `--cgroups-root`: parent of the containers' cgroups in every hierarchy: `muster/a1`.
    pub cgroups_root: String,
    /// The flags of isolators, `--isolation` first.
    pub isolation: Isolation,
    /// `--bpffs`: where bpffs is mounted.
    pub bpffs: PathBuf,
    /// `--gc-delay`: how long sandboxes of ended tasks are kept.
    pub gc_delay: Duration,
    /// `--executor-registration-timeout` and its like.
    pub patience: Patience,
    /// `--recover`.
    pub recover: Recover,
    /// The program that is run as `<helper> launch` for every container: the `muster` binary.
    pub helper: PathBuf,
}

impl Config {
    /// How long sandboxes are kept unless told otherwise: a week.
    pub const GC_DELAY: Duration = Duration::from_hours(7 * 24);

    /// The flags as `/flags` and `/state` show them: text, as in Mesos.
    pub(crate) fn flags(&self) -> Value {
        let mut flags = json!({
            "master": self.master,
            "ip": self.ip.to_string(),
            "port": self.port.to_string(),
            "vip_port": self.vip_port.to_string(),
            "hostname": self.hostname,
            "name": self.name,
            "work_dir": self.work_dir.display().to_string(),
            "runtime_dir": self.runtime_dir.display().to_string(),
            "image_dir": self.image_dir.display().to_string(),
            "docker_registry": self.registries.default,
            "docker_registry_mirror": self.registries.mirrors.join(","),
            "insecure_registry": self.registries.insecure.join(","),
            // What is in it is a secret.
            "docker_config": self.registries.config.as_ref().map(|_| "(given)"),
            "docker_registry_ca": self.registries.certificates,
            "resources": self.resources,
            "attributes": self.attributes,
            "cgroups_root": self.cgroups_root,
            "isolation": self.isolation.names,
            "cgroups_enable_cfs": self.isolation.cfs_quota.to_string(),
            "cgroups_limit_swap": self.isolation.limit_swap.to_string(),
            "cgroups_blkio_weight": self.isolation.block_io.weight.map(|weight| weight.to_string()),
            "cgroups_blkio_throttle": self
                .isolation
                .block_io
                .throttles
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(","),
            "disallow_sharing_agent_pid_namespace":
                self.isolation.disallow_sharing_pid_namespace.to_string(),
            "disallow_sharing_agent_ipc_namespace":
                self.isolation.disallow_sharing_ipc_namespace.to_string(),
            "default_container_shm_size": format!("{}B", self.isolation.shm_bytes),
            "effective_capabilities":
                self.isolation.effective_capabilities.map(|set| set.to_string()),
            "bounding_capabilities": self.isolation.bounding_capabilities.to_string(),
            "container_disk_watch_interval":
                format!("{}secs", self.isolation.disk_watch_interval.as_secs_f64()),
            "enforce_container_disk_quota": self.isolation.enforce_disk_quota.to_string(),
            "xfs_project_range": self.isolation.project_range.to_string(),
            "xfs_kill_containers": self.isolation.xfs_kill_containers.to_string(),
            "seccomp_config_dir":
                self.isolation.seccomp_dir.as_ref().map(|path| path.display().to_string()),
            "seccomp_profile_name": self.isolation.seccomp_profile,
            "cgroups_pids_limit": self.isolation.pids_limit.to_string(),
            "bpffs": self.bpffs.display().to_string(),
            "gc_delay": seconds(self.gc_delay),
            "executor_registration_timeout": seconds(self.patience.registration),
            "executor_reregistration_timeout": seconds(self.patience.reregistration),
            "executor_shutdown_grace_period": seconds(self.patience.shutdown),
            "recovery_timeout": seconds(self.patience.recovery),
            "recover": match self.recover {
                Recover::Reconnect => "reconnect",
                Recover::Cleanup => "cleanup",
            },
        });
        if let Value::Object(flags) = &mut flags {
            // What was not given and has no default.
            flags.retain(|_, value| !value.is_null());
        }
        flags
    }
}

/// As Mesos writes a duration.
fn seconds(duration: Duration) -> String {
    format!("{}secs", duration.as_secs_f64())
}
