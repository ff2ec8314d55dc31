//! The agents.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use muster_agent::{Config, Containerizers, Patience, Policy, Recover};
use muster_containerizer::{Fetching, ImageLimits, Isolation, Logger, Registries};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Failure;

/// Where bpffs is.
const BPFFS: &str = "/sys/fs/bpf";

/// Agents that open their data planes at the same time.
const WIDTH: usize = 4;

/// Agents of this process.
pub(crate) struct Agents {
    configs: Vec<Config>,
    stop: watch::Sender<bool>,
    running: Mutex<JoinSet<Result<(), muster_agent::Error>>>,
}

impl Agents {
    /// Describes them; [`Agents::start`] starts them.
    pub(crate) fn new(count: usize, master: SocketAddr, directory: &Path) -> Result<Self, Failure> {
        let configs = (1..=count).map(|number| config(number, master, directory));
        let configs = configs.collect::<Result<_, _>>()?;
        Ok(Self { configs, stop: watch::Sender::new(false), running: Mutex::default() })
    }

    /// Starts them all, and waits until each has maps.
    pub(crate) async fn start(&self) -> Result<(), Failure> {
        for some in self.configs.chunks(WIDTH) {
            for config in some {
                let mut stop = self.stop.subscribe();
                let shutdown = async move {
                    // Its sender outlives this.
                    let _ = stop.wait_for(|stop| *stop).await;
                };
                let agent = muster_agent::run(config.clone(), shutdown);
                self.running.lock().map_err(|error| error.to_string())?.spawn(agent);
            }
            for config in some {
                while !vips(config).exists() {
                    self.check()?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        Ok(())
    }

    /// Fails when an agent has ended.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let mut running = self.running.lock().map_err(|error| error.to_string())?;
        match running.try_join_next() {
            None => Ok(()),
            Some(ended) => Err(format!("an agent has ended: {ended:?}").into()),
        }
    }

    /// Each agent's pinned map of VIPs.
    pub(crate) fn maps(&self) -> impl Iterator<Item = PathBuf> {
        self.configs.iter().map(vips)
    }

    /// Ends all, and leaves nothing of them.
    pub(crate) async fn remove(&self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        let mut running =
            std::mem::take(&mut *self.running.lock().map_err(|error| error.to_string())?);
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        for config in self.configs.iter().filter(|config| config.work_dir.exists()) {
            let config = Config { recover: Recover::Cleanup, ..config.clone() };
            muster_agent::run(config, std::future::pending()).await?;
        }
        Ok(())
    }
}

fn vips(config: &Config) -> PathBuf {
    Path::new(BPFFS).join("muster").join(&config.name).join("vips")
}

fn config(number: usize, master: SocketAddr, directory: &Path) -> Result<Config, Failure> {
    // The same names every time: what a killed run left is taken over, and removed.
    let name = format!("bench-health-{number}");
    let directory = directory.join(&name);
    Ok(Config {
        master: master.to_string(),
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 0,
        vip_port: 0,
        net_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        net_port: None,
        vip_backend: muster_agent::VipBackend::Ebpf,
        vip_policy: Policy::default(),
        vip_interfaces: muster_agent::Interfaces::default(),
        vip_flows: muster_dataplane::Forward::DEFAULT_FLOWS,
        vip_new_flows: muster_dataplane::Forward::DEFAULT_NEW_FLOWS,
        hostname: name.clone(),
        work_dir: directory.join("work"),
        runtime_dir: directory.join("run"),
        image_dir: directory.join("images"),
        registries: Registries::default(),
        image_limits: ImageLimits::default(),
        image_gc: None,
        fetching: Fetching::new(directory.join("fetch")),
        logger: Logger::default(),
        resources: "cpus:1;mem:64;ports:[31000-31001]".to_owned(),
        attributes: String::new(),
        cgroups_root: format!("muster/{name}"),
        isolation: Isolation::default(),
        containerizers: Containerizers::default(),
        bpffs: BPFFS.into(),
        gc_delay: Config::GC_DELAY,
        patience: Patience::default(),
        recover: Recover::Reconnect,
        log_level: None,
        // It answers as the helper, though no container is launched.
        helper: std::env::current_exe()?,
        name,
    })
}
