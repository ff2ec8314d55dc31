use super::*;
use muster_containerizer::Rotation;

use crate::{Cgroups, Parameters, Port, Protocol};

fn config() -> Config {
    let top = tempfile::tempdir().unwrap();
    Config::testing(top.path())
}

fn about() -> About {
    About { cgroups: Cgroups::Own, log_driver: "json-file".into() }
}

fn container() -> Container {
    Container {
        id: "c".into(),
        task: "t".into(),
        image: "busybox".into(),
        sandbox: "/work/c".into(),
        resources: Resources { cpus_milli: 500, mem_bytes: 64 << 20, ..Resources::default() },
        ..Container::default()
    }
}

#[test]
fn the_sandbox_the_labels_and_the_cgroup_are_the_agents() {
    let body = create(&config(), &container(), &about(), Logger::Sandbox).unwrap();
    let labels = body.labels.unwrap();
    assert_eq!((labels[label::AGENT].as_str(), labels[label::CONTAINER].as_str()), ("a1", "c"));
    let host = body.host_config.unwrap();
    assert_eq!(host.binds.unwrap(), ["/work/c:/mnt/mesos/sandbox"]);
    assert_eq!(host.cgroup_parent.as_deref(), Some("/muster/a1"));
    assert_eq!((host.cpu_shares, host.memory, host.cpu_quota), (Some(512), Some(64 << 20), None));
    assert_eq!(host.log_config, None);
    let systemd = About { cgroups: Cgroups::by("systemd", "a1"), ..about() };
    let body = create(&config(), &container(), &systemd, Logger::Sandbox).unwrap();
    assert_eq!(body.host_config.unwrap().cgroup_parent.as_deref(), Some("muster-a1.slice"));
}

#[test]
fn ports_of_both_protocols_and_volumes_of_both_kinds() {
    let port = |protocol| Port { host: 31000, container: 80, protocol };
    let host_path = Source::Host { path: "/srv".into(), propagation: Some("rslave") };
    let driver = Some("local".to_owned());
    let named = Source::Named { name: "data".into(), driver, options: [].into() };
    let body = create(
        &config(),
        &Container {
            network: Network::Bridge,
            ports: vec![port(Protocol::Tcp), port(Protocol::Udp)],
            volumes: vec![
                Volume { container_path: "in".into(), source: host_path, read_only: true },
                Volume { container_path: "/data".into(), source: named, read_only: false },
            ],
            parameters: Parameters::new(vec![("user".into(), "7".into())]).unwrap(),
            user: Some("8".into()),
            ..container()
        },
        &about(),
        Logger::Sandbox,
    )
    .unwrap();
    assert_eq!((body.user.as_deref(), body.exposed_ports.unwrap().len()), (Some("7"), 2));
    let host = body.host_config.unwrap();
    let binding = &host.port_bindings.unwrap()["80/udp"].as_ref().unwrap()[0].host_port.clone();
    assert_eq!(binding.as_deref(), Some("31000"));
    assert_eq!(host.binds.unwrap()[1], "/srv:/mnt/mesos/sandbox/in:ro,rslave");
    let mount = &host.mounts.unwrap()[0];
    assert_eq!((mount.source.as_deref(), mount.target.as_deref()), (Some("data"), Some("/data")));
}

#[test]
fn limits_are_those_of_mesos() {
    let resources = Resources { cpus_milli: 1, ..Resources::default() };
    let least = limits(&config(), &resources);
    assert_eq!(
        (least.cpu_shares, least.memory, least.memory_swap),
        (Some(2), Some(32 << 20), Some(-1))
    );
    let strict = Config { cfs_quota: true, limit_swap: true, ..config() };
    let least = limits(&strict, &resources);
    assert_eq!((least.cpu_quota, least.memory_swap), (Some(1000), Some(32 << 20)));
    let resources = Resources {
        cpus_milli: 500,
        mem_bytes: 64 << 20,
        cpus_limit: Some(Limit::At(2000)),
        mem_limit: Some(Limit::Infinite),
        pids_limit: Some(Limit::At(9)),
        ..Resources::default()
    };
    let limits = limits(&strict, &resources);
    assert_eq!(
        (limits.cpu_quota, limits.memory, limits.pids_limit),
        (Some(200_000), None, Some(9))
    );
    assert_eq!(limits.memory_reservation, Some(64 << 20));
}

#[test]
fn a_path_that_cannot_be_told_is_refused_by_field() {
    let container = Container { sandbox: "/a:b".into(), ..container() };
    let error = create(&config(), &container, &about(), Logger::Sandbox).unwrap_err().to_string();
    assert!(error.starts_with("sandbox /a:b cannot be told to the engine"), "{error}");
}

#[test]
fn the_engine_keeps_no_more_than_the_sandbox_unless_the_task_says_so() {
    let rotation = |max_bytes, files| Rotation { max_bytes, files };
    let logger = Logger::Logrotate { stdout: rotation(4096, 0), stderr: rotation(20 << 20, 3) };
    let options = |flags: &[(&str, &str)], driver: &str| {
        let flags = flags.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
        let parameters = Parameters::new(flags.collect()).unwrap();
        let container = Container { parameters, ..container() };
        let about = About { log_driver: driver.into(), ..about() };
        let body = create(&config(), &container, &about, logger).unwrap();
        let log = body.host_config.unwrap().log_config.unwrap_or_default();
        let mut options: Vec<_> = log.config.unwrap_or_default().into_iter().collect();
        options.sort();
        options.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(options(&[], "json-file"), "max-file=4 max-size=20975616");
    assert_eq!(options(&[("log-opt", "tag=x")], "json-file"), "max-file=4 max-size=20975616 tag=x");
    assert_eq!(options(&[("log-opt", "max-size=1m")], "json-file"), "max-size=1m");
    assert_eq!(options(&[("log-opt", "max-file=7")], "json-file"), "max-file=7 max-size=20975616");
    assert_eq!(options(&[("log-driver", "journald")], "json-file"), "");
    assert_eq!(options(&[], "local"), "");
    assert_eq!(options(&[("log-driver", "json-file")], "local"), "max-file=4 max-size=20975616");
}
