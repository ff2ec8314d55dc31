use std::time::Duration;

use muster_containerizer::Registries;

use super::*;
use crate::{Parameters, Port, Protocol};

fn config() -> Config {
    Config {
        agent: "a1".into(),
        socket: "/run/docker.sock".into(),
        runtime_dir: "/run/muster".into(),
        cgroups_root: "muster/a1".into(),
        remove_delay: Duration::ZERO,
        cfs_quota: false,
        limit_swap: false,
        registries: Registries::default(),
    }
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
    let body = create(&config(), &container(), Some("/muster/a1".into())).unwrap();
    let labels = body.labels.unwrap();
    assert_eq!((labels[label::AGENT].as_str(), labels[label::CONTAINER].as_str()), ("a1", "c"));
    let host = body.host_config.unwrap();
    assert_eq!(host.binds.unwrap(), ["/work/c:/mnt/mesos/sandbox"]);
    assert_eq!(host.cgroup_parent.as_deref(), Some("/muster/a1"));
    assert_eq!((host.cpu_shares, host.memory, host.cpu_quota), (Some(512), Some(64 << 20), None));
    let host = create(&config(), &container(), None).unwrap().host_config.unwrap();
    assert_eq!(host.cgroup_parent, None);
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
        None,
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
    let error = create(&config(), &container, None).unwrap_err().to_string();
    assert!(error.starts_with("sandbox /a:b cannot be told to the engine"), "{error}");
}
