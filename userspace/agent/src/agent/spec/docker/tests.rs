use muster_api::mesos::container_info::docker_info::PortMapping;
use muster_api::mesos::{LinuxInfo, NetworkInfo, Parameter, Volume, volume};
use muster_containerizer::CommandSpec;
use muster_docker::{Container, Source};
use muster_resources::Resources;

use super::*;
use crate::Containerizers;
use crate::agent::testing::{self, ports, settings};

fn docker() -> DockerInfo {
    DockerInfo { image: "nginx".into(), ..Default::default() }
}

fn with(docker: DockerInfo) -> TaskInfo {
    within(ContainerInfo { docker: Some(docker), ..Default::default() })
}

fn within(container: ContainerInfo) -> TaskInfo {
    let container = ContainerInfo { r#type: container_info::Type::Docker.into(), ..container };
    let mut info = TaskInfo { container: Some(container), ..testing::task("t") };
    info.resources.push(ports(31000, 31001));
    info
}

fn on(containerizers: Containerizers, info: TaskInfo) -> Result<Workload, String> {
    let settings = Settings { containerizers, ..settings() };
    let task = Task::new("f".into(), info, "c".into(), Resources::default());
    workload(&settings, &task).map_err(|invalid| invalid.to_string())
}

fn made(info: TaskInfo) -> (Container, Result<Box<muster_containerizer::ContainerSpec>, String>) {
    match on(Containerizers::default(), info).unwrap() {
        Workload::Docker { container, instead } => (container, instead),
        Workload::Mesos(spec) => panic!("{spec:?}"),
    }
}

fn refused(info: TaskInfo) -> String {
    on(Containerizers::default(), info).unwrap_err()
}

#[test]
fn what_both_can_do_may_be_done_by_either() {
    let (container, instead) = made(with(docker()));
    assert_eq!((container.id.as_str(), container.image.as_str()), ("c", "nginx"));
    assert_eq!(container.entrypoint.unwrap(), ["/bin/sh"]);
    assert_eq!(container.args, ["-c", "sleep 1000"]);
    assert!(container.environment.contains(&("MESOS_CONTAINER_NAME".into(), "mesos-c".into())));
    let instead = instead.unwrap();
    assert_eq!(instead.image.as_deref(), Some("nginx"));
    assert_eq!(instead.command, Some(CommandSpec::Shell("sleep 1000".into())));
    let only = |as_ucr| Containerizers { as_ucr, docker: false, ..Containerizers::default() };
    assert!(matches!(on(only(true), with(docker())), Ok(Workload::Mesos(_))));
    let error = on(only(false), with(docker())).unwrap_err();
    assert!(error.starts_with("container.type is DOCKER, and --containerizers has no"), "{error}");
    let only = Containerizers { mesos: false, ..Containerizers::default() };
    assert!(on(only, testing::task("t")).unwrap_err().starts_with("container.type must be DOCKER"));
}

#[test]
fn without_a_shell_all_is_for_the_entry_point() {
    let command = CommandInfo {
        shell: Some(false),
        value: Some("a".into()),
        arguments: vec!["b".into()],
        ..Default::default()
    };
    let (container, instead) = made(TaskInfo { command: Some(command), ..with(docker()) });
    assert_eq!((container.entrypoint, container.args.join(" ")), (None, "a b".to_owned()));
    let instead = instead.unwrap();
    assert_eq!((instead.command, instead.args.join(" ")), (None, "a b".to_owned()));
    let (container, _) = made(TaskInfo { command: None, ..with(docker()) });
    assert!(container.entrypoint.is_none() && container.args.is_empty());
}

#[test]
fn what_only_the_engine_can_do_needs_it_by_name() {
    let parameter = Parameter { key: "init".into(), value: "true".into() };
    for (info, field) in [
        (DockerInfo { privileged: Some(true), ..docker() }, "privileged"),
        (DockerInfo { parameters: vec![parameter], ..docker() }, "parameters"),
        (DockerInfo { network: Some(Network::Bridge.into()), ..docker() }, "network"),
    ] {
        let problem = format!("container.docker.{field} needs a Docker engine");
        assert_eq!(made(with(info.clone())).1.unwrap_err(), problem);
        let ucr = Containerizers { as_ucr: true, ..Containerizers::default() };
        assert_eq!(on(ucr, with(info)).unwrap_err(), problem);
    }
}

#[test]
fn ports_are_those_of_the_task() {
    let mapping = |host_port, protocol: Option<&str>| PortMapping {
        host_port,
        container_port: 80,
        protocol: protocol.map(Into::into),
    };
    let bridge = |mapping| DockerInfo {
        network: Some(Network::Bridge.into()),
        port_mappings: vec![mapping],
        ..docker()
    };
    let (container, _) = made(with(bridge(mapping(31001, Some("udp")))));
    assert_eq!((container.ports[0].host, container.ports[0].container), (31001, 80));
    assert!(!container.environment.iter().any(|(name, _)| name == "MESOS_CONTAINER_IP"));
    let field = "container.docker.port_mappings[0]";
    let error = refused(with(bridge(mapping(31002, None))));
    assert_eq!(
        error,
        format!("{field}.host_port 31002 is not among the ports of the task's resources")
    );
    let error = refused(with(bridge(mapping(31000, Some("sctp")))));
    assert_eq!(error, format!("{field}.protocol \"sctp\" is neither tcp nor udp"));
    let host = DockerInfo { port_mappings: vec![mapping(31000, None)], ..docker() };
    assert!(refused(with(host)).starts_with("container.docker.port_mappings are only for"));
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let network = |name: &str| NetworkInfo { name: Some(name.into()), ..Default::default() };
    let user = DockerInfo { network: Some(Network::User.into()), ..docker() };
    let parameter = Parameter { key: "frob".into(), value: "1".into() };
    for (info, problem) in [
        (within(ContainerInfo::default()), "container.docker is missing"),
        (with(DockerInfo::default()), "container.docker.image is empty"),
        (with(user.clone()), "container.network_infos must name one network for"),
        (
            within(ContainerInfo {
                docker: Some(docker()),
                network_infos: vec![network("n")],
                ..Default::default()
            }),
            "container.network_infos.name is only for",
        ),
        (
            within(ContainerInfo {
                docker: Some(docker()),
                linux_info: Some(LinuxInfo::default()),
                ..Default::default()
            }),
            "container.linux_info is not for type DOCKER",
        ),
        (
            with(DockerInfo { parameters: vec![parameter], ..docker() }),
            "container.docker.parameters[0] frob is no flag of docker run",
        ),
    ] {
        let error = refused(info);
        assert!(error.starts_with(problem), "{error}");
    }
    let named = ContainerInfo {
        docker: Some(user),
        network_infos: vec![network("net")],
        ..Default::default()
    };
    assert_eq!(made(within(named)).0.network, muster_docker::Network::User("net".into()));
}

#[test]
fn volumes_of_the_host_the_sandbox_and_the_engine() {
    let volume = |host_path: &str| Volume {
        container_path: "/data".into(),
        host_path: Some(host_path.into()),
        mode: volume::Mode::Ro.into(),
        ..Default::default()
    };
    let named = Volume {
        host_path: None,
        source: Some(volume::Source {
            r#type: Some(volume::source::Type::DockerVolume.into()),
            docker_volume: Some(volume::source::DockerVolume {
                name: "v".into(),
                driver: Some("local".into()),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..volume("")
    };
    let with =
        |volumes| within(ContainerInfo { docker: Some(docker()), volumes, ..Default::default() });
    let (container, instead) = made(with(vec![volume("/srv"), volume("below"), named]));
    assert!(instead.unwrap_err().contains("volumes[2].source.type DOCKER_VOLUME is not supported"));
    let paths: Vec<_> = container.volumes.iter().map(|volume| &volume.source).collect();
    assert!(matches!(paths[0], Source::Host { path, .. } if path.to_str() == Some("/srv")));
    assert!(matches!(paths[1], Source::Host { path, .. } if path.ends_with("runs/c/below")));
    assert!(matches!(paths[2], Source::Named { name, .. } if name == "v"));
    assert!(container.volumes[0].read_only);
    let error = refused(with(vec![volume("../../x")]));
    assert_eq!(error, "container.volumes[0].host_path must not lead upwards");
}
