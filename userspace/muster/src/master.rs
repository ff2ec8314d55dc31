//! `muster master`.

mod allocation;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use clap::Args;
use muster_master::core::Options;
use muster_master::{Kernel, whitelist};
use muster_services::Connection;
use muster_store::{Redb, Store};
use tokio::net::TcpListener;

use self::allocation::AllocationFlags;
use crate::duration;

/// Flags of the master. Each is also read from the environment, as `MUSTER_` and its
/// name: `MUSTER_WORK_DIR`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Address to listen on, and to tell others.
    #[arg(long, env = "MUSTER_IP", default_value = "127.0.0.1")]
    ip: IpAddr,
    /// Port of the Mesos API and the state endpoints.
    #[arg(long, env = "MUSTER_PORT", default_value_t = 5050)]
    port: u16,
    /// Port that agents link to.
    #[arg(long, env = "MUSTER_LINK_PORT", default_value_t = 5052)]
    link_port: u16,
    /// Port of the services' API, Marathon's /v2.
    #[arg(long, env = "MUSTER_SERVICES_PORT", default_value_t = 8080)]
    services_port: u16,
    /// Directory of the registry.
    #[arg(long, env = "MUSTER_WORK_DIR", default_value = "/var/lib/muster/master")]
    work_dir: PathBuf,
    /// Name of this machine; the system's by default.
    #[arg(long, env = "MUSTER_HOSTNAME")]
    hostname: Option<String>,
    /// Name of the cluster, shown in the state.
    #[arg(long, env = "MUSTER_CLUSTER")]
    cluster: Option<String>,
    /// Time between pings of an agent.
    #[arg(long, env = "MUSTER_AGENT_PING_TIMEOUT", default_value = "15secs", value_parser = duration::positive)]
    agent_ping_timeout: Duration,
    /// So many unanswered pings make an agent unreachable.
    #[arg(long, env = "MUSTER_MAX_AGENT_PING_TIMEOUTS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    max_agent_ping_timeouts: u32,
    /// How long an agent may be away before its tasks are given up.
    #[arg(long, env = "MUSTER_AGENT_REREGISTER_TIMEOUT", default_value = "10mins", value_parser = duration::parse)]
    agent_reregister_timeout: Duration,
    /// How long the services may be away before their tasks are given up.
    #[arg(long, env = "MUSTER_FAILOVER_TIMEOUT", default_value = "1weeks", value_parser = duration::parse)]
    failover_timeout: Duration,
    #[command(flatten)]
    allocation: AllocationFlags,
}

/// Runs a master. `shown` are the flags as operators are shown them.
pub(crate) async fn run(flags: Flags, shown: BTreeMap<String, String>) -> anyhow::Result<()> {
    let hostname = match flags.hostname {
        Some(hostname) => hostname,
        None => crate::agent::system_hostname()?,
    };
    let address = SocketAddr::new(flags.ip, flags.port);
    // Sockets first: a port in use must not leave a half-started master behind.
    let http = listen("--port", address).await?;
    let link = listen("--link-port", SocketAddr::new(flags.ip, flags.link_port)).await?;
    let services_http =
        listen("--services-port", SocketAddr::new(flags.ip, flags.services_port)).await?;
    let store: Arc<dyn Store> = Arc::new(Redb::open(&flags.work_dir.join("registry.redb"))?);
    let mut options = Options {
        cluster: flags.cluster,
        agent_ping_timeout: flags.agent_ping_timeout,
        max_agent_ping_timeouts: flags.max_agent_ping_timeouts,
        agent_reregister_timeout: flags.agent_reregister_timeout,
        flags: shown,
        ..Options::new(uuid::Uuid::new_v4().to_string(), hostname.clone(), address)
    };
    flags.allocation.apply(&mut options)?;
    options.allocator.seed = rand::random();
    let kernel = Kernel::start(options, Arc::clone(&store))?;
    if let Some(path) = flags.allocation.whitelist() {
        whitelist::follow(&kernel, path).await?;
    }
    let connections = kernel.clone();
    let services = muster_services::start_reconnecting(
        muster_services::Config {
            http_port: flags.services_port,
            failover_timeout: flags.failover_timeout,
            ..muster_services::Config::new(hostname)
        },
        store,
        move || {
            let kernel = connections.clone();
            async move {
                let scheduler = kernel.connect().await.ok()?;
                Some(Connection { calls: scheduler.calls, events: scheduler.events })
            }
        },
    )?;
    let marathon = services.router();
    let routes: Router =
        muster_master::http::router(kernel.clone()).nest("/service/marathon", marathon.clone());
    tracing::info!(%address, services = %services_http.local_addr()?, agents = %link.local_addr()?, "master is up");
    tokio::select! {
        result = axum::serve(http, routes) => result.context("serving --port"),
        result = axum::serve(services_http, marathon) => result.context("serving --services-port"),
        result = muster_master::link::serve(kernel, link) => result.context("serving --link-port"),
        () = crate::terminated() => Ok(()),
    }
}

async fn listen(
    flag: &'static str,
    address: SocketAddr,
) -> Result<TcpListener, muster_master::Error> {
    TcpListener::bind(address).await.map_err(|source| muster_master::Error::Listen {
        flag,
        address,
        source,
    })
}
