//! `muster agent`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use muster_agent::LogLevel;

use crate::{docker, duration, fetching, images, isolation, logger, registries};

/// Flags of an agent. Each is also read from the environment, as `MUSTER_` and its name:
/// `MUSTER_WORK_DIR`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// The master: HOST or HOST:PORT; the port is 5052 unless given.
    #[arg(long, env = "MUSTER_MASTER")]
    master: String,
    /// Address to listen on, and that other machines reach this one at.
    #[arg(long, env = "MUSTER_IP", default_value = "127.0.0.1")]
    ip: IpAddr,
    /// Port of the agent's HTTP interface.
    #[arg(long, env = "MUSTER_PORT", default_value_t = 5051)]
    port: u16,
    /// Port of the VIPs' HTTP interface.
    #[arg(long, env = "MUSTER_VIP_PORT", default_value_t = 61421)]
    vip_port: u16,
    /// Address of dcos-net's HTTP interface.
    #[arg(long, env = "MUSTER_NET_IP", default_value = "127.0.0.1")]
    net_ip: IpAddr,
    /// Port of dcos-net's HTTP interface; by default 659 above --vip-port, which is 62080.
    #[arg(long, env = "MUSTER_NET_PORT")]
    net_port: Option<u16>,
    /// By what VIPs are served: eBPF, or iptables and queues as minuteman did; "auto" is eBPF
    /// unless the kernel lacks what it takes.
    #[arg(long, env = "MUSTER_VIP_BACKEND", value_enum, default_value_t)]
    vip_backend: VipBackend,
    /// By what the backends of VIPs are chosen: of two that are drawn by weight, or, with maglev, for each
    /// client the same. Labels of VIPs may say otherwise.
    #[arg(long, env = "MUSTER_VIP_POLICY", value_enum, default_value_t)]
    vip_policy: VipPolicy,
    /// Interfaces by which packets of machines outside the cluster to VIPs come: "eth0,eth1",
    /// auto for the one that has the agent's address, or none. Programs are attached to them. After
    /// a colon by what: xdp (in the driver), xdp-generic (in the kernel), tc or clsact; the best by default.
    #[arg(long, env = "MUSTER_VIP_INTERFACES", default_value = "none")]
    vip_interfaces: muster_agent::Interfaces,
    /// How many flows of those machines are remembered at a time: 1024 to 4194304, rounded up to a power of
    /// two. Each takes 96 bytes; where there are no --vip-interfaces, none is taken.
    #[arg(
        long,
        env = "MUSTER_VIP_FLOWS",
        default_value_t = muster_dataplane::Forward::DEFAULT_FLOWS,
        value_parser = clap::value_parser!(u32).range(1024..=4_194_304)
    )]
    vip_flows: u32,
    /// How many flows of those machines each processor may begin in a second, so that a flood does not take all of its
    /// time; 0 for no limit.
    #[arg(
        long,
        env = "MUSTER_VIP_NEW_FLOWS",
        default_value_t = muster_dataplane::Forward::DEFAULT_NEW_FLOWS
    )]
    vip_new_flows: u32,
    /// Name of this machine in the cluster; the system's by default.
    #[arg(long, env = "MUSTER_HOSTNAME")]
    hostname: Option<String>,
    /// Name of this agent on its machine, in bpffs; the host name by default.
    #[arg(long, env = "MUSTER_NAME")]
    name: Option<String>,
    /// Directory of checkpoints and sandboxes.
    #[arg(long, env = "MUSTER_WORK_DIR", default_value = "/var/lib/muster/agent")]
    work_dir: PathBuf,
    /// Directory of what is known of containers until the machine restarts.
    #[arg(long, env = "MUSTER_RUNTIME_DIR", default_value = "/run/muster/agent")]
    runtime_dir: PathBuf,
    /// The image store.
    #[arg(long, env = "MUSTER_IMAGE_DIR", default_value = "/var/lib/muster/images")]
    image_dir: PathBuf,
    #[command(flatten)]
    registries: registries::RegistryFlags,
    #[command(flatten)]
    image_limits: images::ImageLimitFlags,
    #[command(flatten)]
    image_gc: images::ImageGcFlags,
    #[command(flatten)]
    fetching: fetching::FetcherFlags,
    #[command(flatten)]
    logger: logger::LoggerFlags,
    /// What this machine offers: "cpus:4;mem:8192;ports:[31000-32000]". Of cpus, mem and
    /// ports, those not given are found out.
    #[arg(long, env = "MUSTER_RESOURCES", default_value = "")]
    resources: String,
    /// What is special about this machine: "rack:r1;floor:3".
    #[arg(long, env = "MUSTER_ATTRIBUTES", default_value = "")]
    attributes: String,
    /// Parent of the containers' cgroups in every hierarchy; "muster/NAME" by default.
    #[arg(long, env = "MUSTER_CGROUPS_ROOT")]
    cgroups_root: Option<String>,
    #[command(flatten)]
    isolation: isolation::IsolationFlags,
    #[command(flatten)]
    docker: docker::DockerFlags,
    /// Where bpffs is mounted.
    #[arg(long, env = "MUSTER_BPFFS", default_value = "/sys/fs/bpf")]
    bpffs: PathBuf,
    /// How long sandboxes of ended tasks are kept.
    #[arg(long, env = "MUSTER_GC_DELAY", default_value = "1weeks", value_parser = duration::parse)]
    gc_delay: Duration,
    /// How long a started executor may take to subscribe.
    #[arg(
        long,
        env = "MUSTER_EXECUTOR_REGISTRATION_TIMEOUT",
        default_value = "1mins",
        value_parser = duration::parse
    )]
    executor_registration_timeout: Duration,
    /// How long executors may take to subscribe again after this agent's restart.
    #[arg(
        long,
        env = "MUSTER_EXECUTOR_REREGISTRATION_TIMEOUT",
        default_value = "2secs",
        value_parser = duration::parse
    )]
    executor_reregistration_timeout: Duration,
    /// How long an executor that is told to end may take, unless it says so itself.
    #[arg(
        long,
        env = "MUSTER_EXECUTOR_SHUTDOWN_GRACE_PERIOD",
        default_value = "5secs",
        value_parser = duration::parse
    )]
    executor_shutdown_grace_period: Duration,
    /// How long executors are told to wait for an agent that is away.
    #[arg(
        long,
        env = "MUSTER_RECOVERY_TIMEOUT",
        default_value = "15mins",
        value_parser = duration::parse
    )]
    recovery_timeout: Duration,
    /// What to do with what an earlier agent of these directories left.
    #[arg(long, env = "MUSTER_RECOVER", value_enum, default_value_t = Recover::Reconnect)]
    recover: Recover,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Recover {
    /// Adopt what runs, and go on.
    Reconnect,
    /// Destroy all of it, tasks included, and end.
    Cleanup,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum VipBackend {
    /// eBPF, unless the kernel lacks what it takes; then NFQUEUE.
    #[default]
    Auto,
    /// eBPF programs on the agent's cgroup.
    Ebpf,
    /// iptables' rules, an ipset and queues that the agent reads; TCP over IPv4 only.
    Nfqueue,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum VipPolicy {
    /// The lower product of connect latency and handshakes under way.
    #[default]
    P2cEwma,
    /// Fewer handshakes under way.
    LeastPending,
    /// The first that was drawn.
    Random,
    /// The container's own, whatever becomes of the others.
    Maglev,
}

pub(crate) async fn run(flags: Flags, log_level: LogLevel) -> anyhow::Result<()> {
    let hostname = match flags.hostname {
        Some(hostname) => hostname,
        None => system_hostname()?,
    };
    let name = flags.name.unwrap_or_else(|| hostname.clone());
    let config = muster_agent::Config {
        master: flags.master,
        ip: flags.ip,
        port: flags.port,
        vip_port: flags.vip_port,
        net_ip: flags.net_ip,
        net_port: flags.net_port,
        vip_backend: match flags.vip_backend {
            VipBackend::Auto => muster_agent::VipBackend::Auto,
            VipBackend::Ebpf => muster_agent::VipBackend::Ebpf,
            VipBackend::Nfqueue => muster_agent::VipBackend::Nfqueue,
        },
        vip_policy: match flags.vip_policy {
            VipPolicy::P2cEwma => muster_agent::Policy::P2cEwma,
            VipPolicy::LeastPending => muster_agent::Policy::LeastPending,
            VipPolicy::Random => muster_agent::Policy::Random,
            VipPolicy::Maglev => muster_agent::Policy::Maglev,
        },
        vip_interfaces: flags.vip_interfaces,
        vip_flows: flags.vip_flows,
        vip_new_flows: flags.vip_new_flows,
        hostname,
        fetching: flags.fetching.into_fetching(&flags.work_dir),
        logger: flags.logger.into(),
        work_dir: flags.work_dir,
        runtime_dir: flags.runtime_dir,
        image_dir: flags.image_dir,
        registries: flags.registries.try_into()?,
        image_limits: flags.image_limits.into(),
        image_gc: flags.image_gc.try_into()?,
        resources: flags.resources,
        attributes: flags.attributes,
        cgroups_root: flags.cgroups_root.unwrap_or_else(|| format!("muster/{name}")),
        isolation: flags.isolation.into(),
        containerizers: flags.docker.into(),
        bpffs: flags.bpffs,
        gc_delay: flags.gc_delay,
        patience: muster_agent::Patience {
            registration: flags.executor_registration_timeout,
            reregistration: flags.executor_reregistration_timeout,
            shutdown: flags.executor_shutdown_grace_period,
            recovery: flags.recovery_timeout,
        },
        recover: match flags.recover {
            Recover::Reconnect => muster_agent::Recover::Reconnect,
            Recover::Cleanup => muster_agent::Recover::Cleanup,
        },
        log_level: Some(log_level),
        helper: std::env::current_exe().context("finding this program's own file")?,
        name,
    };
    muster_agent::run(config, crate::terminated()).await?;
    Ok(())
}

/// The name the system gives this machine.
///
/// # Errors
/// When it has none that can be read.
pub(crate) fn system_hostname() -> anyhow::Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .context("reading the machine's name; give one with --hostname")?;
    Ok(name.trim().to_owned())
}
