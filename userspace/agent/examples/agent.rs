//! An agent alone: what the tests start, kill and start again.
//!
//! `agent launch` is the containers' helper; `agent run <json>` runs an agent as the JSON
//! says: `dir`, `name`, `master`, `ip`, `port`, `vip_port`, `net_port`, `resources`, `cgroups_root`,
//! `bpffs`, `recover`, `insecure_registry`, `image_gc_config` and, in seconds, `executor_registration` and `executor_reregistration`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use muster_agent::{Config, Containerizers, ImageGc, LogLevel, Patience, Recover};
use muster_containerizer::Isolation;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("launch") {
        // Before any thread exists: the helper forks.
        return muster_containerizer::launch::main();
    }
    let result = arguments.next().ok_or("usage: agent launch | agent run JSON".to_owned());
    match result.and_then(|json| run(&json).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(json: &str) -> Result<(), Box<dyn std::error::Error>> {
    let usual = "info";
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_env_filter(EnvFilter::new(usual))
        .with_filter_reloading();
    let handle = log.reload_handle();
    log.init();
    let log_level = LogLevel::new(usual, move |directives| {
        handle.reload(EnvFilter::new(directives)).map_err(|error| error.to_string())
    });
    let config = config(&serde_json::from_str(json)?, log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let shutdown = async move {
            terminate.recv().await;
        };
        Ok(muster_agent::run(config, shutdown).await?)
    })
}

fn config(json: &Value, log_level: LogLevel) -> Result<Config, Box<dyn std::error::Error>> {
    let text = |name: &str| json[name].as_str().map(str::to_owned).unwrap_or_default();
    let port = |name: &str| u16::try_from(json[name].as_u64().unwrap_or(0));
    let directory = PathBuf::from(text("dir"));
    Ok(Config {
        master: text("master"),
        ip: text("ip").parse::<IpAddr>()?,
        port: port("port")?,
        vip_port: port("vip_port")?,
        net_ip: IpAddr::from([127, 0, 0, 1]),
        net_port: json["net_port"].as_u64().map(u16::try_from).transpose()?,
        vip_backend: muster_agent::VipBackend::default(),
        vip_policy: muster_agent::Policy::default(),
        vip_interfaces: muster_agent::Interfaces::None,
        vip_flows: muster_dataplane::Forward::DEFAULT_FLOWS,
        vip_new_flows: muster_dataplane::Forward::DEFAULT_NEW_FLOWS,
        hostname: text("name"),
        name: text("name"),
        work_dir: directory.join("work"),
        runtime_dir: directory.join("run"),
        image_dir: directory.join("images"),
        registries: muster_containerizer::Registries {
            default: json["insecure_registry"].as_str().map(|host| format!("http://{host}")),
            insecure: json["insecure_registry"].as_str().map(str::to_owned).into_iter().collect(),
            config: json["docker_config"].as_str().map(str::to_owned),
            ..muster_containerizer::Registries::default()
        },
        image_limits: muster_containerizer::ImageLimits::default(),
        image_gc: image_gc(json)?,
        fetching: muster_containerizer::Fetching::new(directory.join("fetch")),
        logger: match &json["logger"] {
            Value::Null => muster_containerizer::Logger::default(),
            given => serde_json::from_value(given.clone())?,
        },
        resources: text("resources"),
        attributes: "rack:r1".to_owned(),
        cgroups_root: text("cgroups_root"),
        isolation: match json["bounding_capabilities"].as_str() {
            Some(bound) => {
                Isolation { bounding_capabilities: bound.parse()?, ..Isolation::default() }
            }
            None => Isolation::default(),
        },
        containerizers: Containerizers {
            socket: match text("docker_socket").as_str() {
                "" => "/nowhere/docker.sock".into(),
                socket => socket.into(),
            },
            as_ucr: json["docker_as_ucr"].as_bool().unwrap_or_default(),
            remove_delay: Duration::from_secs(json["docker_remove_delay"].as_u64().unwrap_or(0)),
            ..Containerizers::default()
        },
        bpffs: text("bpffs").into(),
        gc_delay: Config::GC_DELAY,
        patience: patience(json),
        recover: match text("recover").as_str() {
            "cleanup" => Recover::Cleanup,
            _ => Recover::Reconnect,
        },
        helper: std::env::current_exe()?,
        log_level: Some(log_level),
    })
}

fn image_gc(json: &Value) -> Result<Option<ImageGc>, String> {
    match &json["image_gc_config"] {
        Value::Null => Ok(None),
        given => ImageGc::parse(&given.to_string()).map(Some),
    }
}

fn patience(json: &Value) -> Patience {
    let usual = Patience::default();
    let seconds = |name: &str, usual| json[name].as_u64().map_or(usual, Duration::from_secs);
    Patience {
        registration: seconds("executor_registration", usual.registration),
        reregistration: seconds("executor_reregistration", usual.reregistration),
        ..usual
    }
}
