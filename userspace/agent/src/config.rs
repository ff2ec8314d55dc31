//! What an agent is told on its command line.

mod flags;
mod image_gc;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use muster_containerizer::{Fetching, ImageLimits, Isolation, Logger, Registries};
use muster_dataplane::{Interfaces, Policy, VipBackend};
use serde_json::Value;

use crate::{Containerizers, Error, LogLevel, Patience};

pub use image_gc::ImageGc;

/// Minuteman listens at 61421, dcos-net at 62080.
const NET_ABOVE_VIP: u16 = 62_080 - 61_421;

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
    /// `--net-ip`: address of dcos-net's HTTP interface, normally the machine's own.
    pub net_ip: IpAddr,
    /// `--net-port`: of dcos-net's HTTP interface; 0 takes any that is free. By default as far
    /// above `--vip-port` as it is in DC/OS, so that agents that share a machine differ in it as
    /// well.
    pub net_port: Option<u16>,
    /// `--vip-backend`: by what VIPs are served.
    pub vip_backend: VipBackend,
    /// `--vip-policy`: by what a VIP's backends are chosen.
    pub vip_policy: Policy,
    /// `--vip-interfaces`: the interfaces by which other machines' packets to VIPs come.
    pub vip_interfaces: Interfaces,
    /// `--vip-flows`: how many flows of theirs are remembered, 1,024 to 4,194,304.
    pub vip_flows: u32,
    /// `--vip-new-flows`: how many of them each processor may begin in a second; 0 for no limit.
    pub vip_new_flows: u32,
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
    /// How large images may be, `--image-max-size` first.
    pub image_limits: ImageLimits,
    /// `--image-gc-config`: when images are removed; `None` is only when that is asked for.
    pub image_gc: Option<ImageGc>,
    /// How files are fetched into sandboxes, `--fetcher-cache-dir` first.
    pub fetching: Fetching,
    /// `--container-logger`, with its parameters.
    pub logger: Logger,
    /// `--resources`: `cpus:4;mem:8192;ports:[31000-32000]`. Of cpus, mem and ports, those
    /// that are not given are found out.
    pub resources: String,
    /// `--attributes`: `rack:r1;floor:3`.
    pub attributes: String,
    /// `--cgroups-root`: parent of the containers' cgroups in every hierarchy: `muster/a1`.
    pub cgroups_root: String,
    /// The flags of isolators, `--isolation` first.
    pub isolation: Isolation,
    /// `--containerizers`, and the flags of the Docker engine.
    pub containerizers: Containerizers,
    /// `--bpffs`: where bpffs is mounted.
    pub bpffs: PathBuf,
    /// `--gc-delay`: how long sandboxes of ended tasks are kept.
    pub gc_delay: Duration,
    /// `--executor-registration-timeout` and its like.
    pub patience: Patience,
    /// `--recover`.
    pub recover: Recover,
    /// What it logs, if that can be changed while it runs.
    pub log_level: Option<LogLevel>,
    /// The program that is run as `<helper> launch` for every container: the `muster` binary.
    pub helper: PathBuf,
}

impl Config {
    /// How long sandboxes are kept unless told otherwise: a week.
    pub const GC_DELAY: Duration = Duration::from_hours(7 * 24);

    /// The port of dcos-net's HTTP interface.
    pub(crate) fn net_port(&self) -> Result<u16, Error> {
        match (self.net_port, self.vip_port) {
            (Some(port), _) => Ok(port),
            (None, 0) => Ok(0),
            (None, port) => port.checked_add(NET_ABOVE_VIP).ok_or_else(|| Error::Flag {
                flag: "vip-port",
                value: port.to_string(),
                problem: "there is no port so far above it; give one with --net-port".to_owned(),
            }),
        }
    }

    /// The flags as `/flags` and `/state` show them: text, as in Mesos.
    pub(crate) fn flags(&self) -> Value {
        flags::of(self)
    }
}
