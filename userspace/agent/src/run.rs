//! Starts an agent, and ends it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use muster_dataplane::{DataPlane, Forward, Interfaces};
use muster_store::{Batch, Redb, Store};
use rand::rngs::{StdRng, SysRng};
use rand::{SeedableRng, TryRng};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use crate::checkpoint::{AGENT, Checkpoint, EXECUTORS, TASKS, UPDATES};
use crate::clock::Clock;
use crate::containers::Containers;
use crate::machine::Machine;
use crate::shell::{BACKLOG, Shell, collect_garbage, collect_images, follow_interfaces};
use crate::subscriptions::Subscriptions;
use crate::{Agent, Config, Error, Input, Recover, Settings, http};

/// Runs an agent until `shutdown` resolves. Its containers and its VIPs outlive it; the
/// next agent with the same directories takes over.
///
/// With [`Recover::Cleanup`] it destroys all that instead, and returns when it is done.
///
/// # Errors
/// What keeps it from starting: a flag, a port in use, an unreadable store, something the
/// machine lacks. Once it runs, [`Error::Panicked`] only.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let machine = Machine::new(&config)?;
    // The store's lock comes first: it keeps a second agent off everything else.
    let path = config.work_dir.join("agent.redb");
    let store = Arc::new(spawn_blocking(move || Redb::open(&path)).await??);
    if config.recover == Recover::Cleanup {
        return cleanup(&config, &machine, &store).await;
    }
    let checkpoint = Checkpoint::load(&*store)?;
    let api = listen("port", (config.ip, config.port).into()).await?;
    // Where minuteman has it: on every address, so that a person on the machine finds it at
    // localhost.
    let any = match config.ip {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let vips = listen("vip-port", (any, config.vip_port).into()).await?;
    let net = listen("net-port", (config.net_ip, config.net_port()?).into()).await?;
    Containers::check(&config)?;
    let plane_config = plane(&config, &machine);
    let plane = spawn_blocking(move || DataPlane::open(&plane_config)).await??;
    let plane = Arc::new(Mutex::new(plane));
    // Once the data plane has its lock: until then the agent's cgroup may be taken for a dead agent's.
    let containers = Containers::new(&config)?;
    let containers = containers.with_vips(Arc::clone(&plane)).await;
    let found = containers.recover().await?;

    let clock = Clock::start();
    let agent = Arc::new(Mutex::new(Agent::new(settings(&config, &machine, &api)?, seeded()?)));
    let subscriptions = Subscriptions::default();
    let (inputs, events) = mpsc::channel(BACKLOG);
    let look = http::Look::new(
        &config,
        Arc::clone(&agent),
        containers.clone(),
        clock,
        subscriptions.clone(),
        inputs.clone(),
    );
    let mut services = JoinSet::new();
    let monitor = muster_dataplane::monitor_router(Arc::clone(&plane));
    let nodes = http::nodes::router(look.clone());
    services.spawn(serve(api, http::router(look, monitor)));
    services.spawn(serve(vips, muster_dataplane::router(Arc::clone(&plane))));
    services.spawn(serve(net, muster_dataplane::net_router(Arc::clone(&plane)).merge(nodes)));
    services.spawn(collect_garbage(Arc::clone(&agent), config.work_dir.clone(), config.gc_delay));
    services.spawn(containers.clone().collect_garbage());
    if config.vip_interfaces != Interfaces::None {
        services.spawn(follow_interfaces(Arc::clone(&plane)));
    }
    if let Some(gc) = config.image_gc.clone() {
        services.spawn(collect_images(containers.clone(), gc));
    }
    let shell = Shell {
        agent,
        clock,
        store,
        containers,
        plane,
        master: machine.master,
        address: config.ip,
        subscriptions,
        inputs,
    };
    tokio::select! {
        () = shutdown => {
            tracing::info!("stopping; containers and VIPs go on");
            Ok(())
        }
        result = shell.run(Input::Recovered { checkpoint, containers: found }, events) => result,
        Some(result) = services.join_next() => result?,
    }
}

/// Leaves nothing of the agent on the machine but its sandboxes.
async fn cleanup(config: &Config, machine: &Machine, store: &Redb) -> Result<(), Error> {
    Containers::new(config)?.destroy_all().await?;
    let plane = plane(config, machine);
    spawn_blocking(move || DataPlane::remove(&plane)).await??;

    let mut batch = Batch::default();
    for table in [AGENT, EXECUTORS, TASKS, UPDATES] {
        for (key, _) in store.scan(table)? {
            batch.delete(table, key);
        }
    }
    store.commit(batch)?;
    tracing::info!(name = config.name, "cleaned up: no containers, cgroups, VIPs or checkpoints");
    Ok(())
}

fn plane(config: &Config, machine: &Machine) -> muster_dataplane::Config {
    muster_dataplane::Config {
        agent: config.name.clone(),
        bpffs: config.bpffs.clone(),
        cgroup: machine.cgroup.clone(),
        policy: config.vip_policy,
        backend: config.vip_backend,
        forward: Forward {
            interfaces: config.vip_interfaces.clone(),
            address: config.ip,
            flows: config.vip_flows,
            new_flows: config.vip_new_flows,
        },
    }
}

fn settings(config: &Config, machine: &Machine, api: &TcpListener) -> Result<Settings, Error> {
    let address =
        api.local_addr().map_err(|source| Error::System { call: "getsockname", source })?;
    Ok(Settings {
        hostname: config.hostname.clone(),
        address: config.ip,
        port: address.port(),
        resources: machine.resources.clone(),
        attributes: machine.attributes.clone(),
        work_dir: config.work_dir.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        incarnation: uuid::Uuid::new_v4().to_string(),
        patience: config.patience,
        containerizers: config.containerizers.clone(),
    })
}

/// The generator that everything random in the agent comes from.
fn seeded() -> Result<StdRng, Error> {
    let mut seed = <StdRng as SeedableRng>::Seed::default();
    SysRng.try_fill_bytes(&mut seed).map_err(|error| Error::System {
        call: "getrandom",
        source: std::io::Error::other(error),
    })?;
    Ok(StdRng::from_seed(seed))
}

async fn listen(flag: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| Error::Listen { flag, address, source })
}

async fn serve(listener: TcpListener, router: axum::Router) -> Result<(), Error> {
    let served = axum::serve(listener, router).await;
    served.map_err(|source| Error::System { call: "accept", source })
}
