//! What becomes of a task.

use muster_api::mesos::container_info::{DockerInfo, MesosInfo};
use muster_api::mesos::image::Docker;
use muster_api::mesos::tty_info::WindowSize;
use muster_api::mesos::{
    CommandInfo, Environment, Image, LinuxInfo, NetworkInfo, RLimitInfo, Secret, TaskInfo, TtyInfo,
    Volume, command_info, environment,
};
use muster_containerizer::CommandSpec;
use muster_resources::Resources;

use super::super::testing::{self, settings};
use super::*;

fn task(info: TaskInfo) -> Task {
    Task::new("f".into(), info, "c".into(), Resources::default())
}

fn made(info: TaskInfo) -> ContainerSpec {
    spec(&settings(), &task(info)).unwrap()
}

fn refused(info: TaskInfo) -> String {
    spec(&settings(), &task(info)).unwrap_err().to_string()
}

fn with_command(command: CommandInfo) -> TaskInfo {
    TaskInfo { command: Some(command), ..testing::task("t") }
}

fn container() -> ContainerInfo {
    let docker = Docker { name: "nginx".into(), ..Default::default() };
    let image =
        Image { r#type: image::Type::Docker.into(), docker: Some(docker), ..Default::default() };
    ContainerInfo {
        r#type: container_info::Type::Mesos.into(),
        mesos: Some(MesosInfo { image: Some(image) }),
        ..Default::default()
    }
}

fn with_container(container: ContainerInfo) -> TaskInfo {
    TaskInfo { container: Some(container), ..testing::task("t") }
}

fn variable(name: &str, value: &str) -> environment::Variable {
    environment::Variable { name: name.into(), value: Some(value.into()), ..Default::default() }
}

fn argv(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|&argument| argument.to_owned()).collect()
}

#[test]
fn what_a_task_wants_of_its_container_is_in_it() {
    let volume = Volume {
        container_path: "data".into(),
        host_path: Some("/srv".into()),
        mode: mesos::volume::Mode::Rw.into(),
        ..Default::default()
    };
    let spec = made(with_container(ContainerInfo {
        volumes: vec![volume],
        linux_info: Some(LinuxInfo { shm_size: Some(1), ..Default::default() }),
        rlimit_info: Some(RLimitInfo {
            rlimits: vec![mesos::r_limit_info::RLimit { r#type: Some(3), ..Default::default() }],
        }),
        ..container()
    }));
    assert_eq!((spec.volumes.len(), spec.rlimits.len()), (1, 1));
    assert_eq!(spec.shm_bytes, Some(1 << 20));
    assert_eq!((spec.resources.cpus_milli, spec.resources.mem_bytes), (500, 64 << 20));
}

#[test]
fn the_sandbox_is_where_mesos_has_it() {
    let spec = made(testing::task("t"));
    let path = "/work/slaves/m-S0/frameworks/f/executors/t/runs/c";
    assert_eq!(spec.sandbox.to_str(), Some(path));
    let value = |spec: &ContainerSpec, wanted: &str| {
        let found = spec.environment.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone()).unwrap()
    };
    assert_eq!(value(&spec, "MESOS_SANDBOX"), path);
    let spec = made(with_container(container()));
    assert_eq!(value(&spec, "MESOS_SANDBOX"), "/mnt/mesos/sandbox");
    assert_eq!(value(&spec, "MESOS_DIRECTORY"), path);
    assert_eq!(value(&spec, "MESOS_AGENT_ENDPOINT"), "10.0.0.1:5051");
}

#[test]
fn the_tasks_own_variables_win() {
    let variables =
        vec![variable("A", "1"), variable("MESOS_CONTAINER_IP", "x"), variable("A", "2")];
    let spec = made(with_command(CommandInfo {
        environment: Some(Environment { variables }),
        ..testing::task("t").command.unwrap()
    }));
    let values = |wanted| {
        let found = spec.environment.iter().filter(move |(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(values("A"), ["2"]);
    assert_eq!(values("MESOS_CONTAINER_IP"), ["x"]);
    assert_eq!(values("MESOS_SLAVE_ID"), ["m-S0"]);
}

#[test]
fn commands_with_and_without_a_shell() {
    let made = |value: Option<&str>, shell, arguments: &[&str]| {
        let command = CommandInfo {
            value: value.map(Into::into),
            shell,
            arguments: argv(arguments),
            ..Default::default()
        };
        let info = TaskInfo { command: Some(command), ..with_container(container()) };
        let spec = made(info);
        (spec.command, spec.args)
    };
    let shell = |line: &str| Some(CommandSpec::Shell(line.into()));
    let exec = |arguments: &[&str]| Some(CommandSpec::Argv(argv(arguments)));
    assert_eq!(made(Some("a b"), None, &["x"]), (shell("a b"), vec![]));
    assert_eq!(made(Some("/bin/a"), Some(false), &[]), (exec(&["/bin/a"]), vec![]));
    let named = made(Some("/bin/a"), Some(false), &["a", "b"]);
    assert_eq!(named, (exec(&["/bin/a", "b"]), vec![]));
    assert_eq!(made(None, Some(false), &["b", "c"]), (None, argv(&["b", "c"])));
}

#[test]
fn the_image_may_bring_the_command() {
    let spec = made(TaskInfo { command: None, ..with_container(container()) });
    assert_eq!((spec.command, spec.image.as_deref()), (None, Some("nginx")));
    let hostname = Some("web".to_owned());
    let spec = made(with_container(ContainerInfo { hostname, ..container() }));
    assert_eq!(spec.hostname.as_deref(), Some("web"));
    let without = ContainerInfo { mesos: None, ..container() };
    assert_eq!(made(with_container(without)).image, None);
}

#[test]
fn commands_that_cannot_be_run_are_refused() {
    let none = TaskInfo { command: None, ..testing::task("t") };
    assert!(refused(none).starts_with("command.value is missing, and there is no image"));
    assert!(refused(with_command(CommandInfo::default())).starts_with("command.value is missing"));
}

#[test]
fn files_to_fetch_have_mesos_defaults() {
    let plain = command_info::Uri { value: "http://h/x".into(), ..Default::default() };
    let full = command_info::Uri {
        executable: Some(true),
        extract: Some(false),
        cache: Some(true),
        output_file: Some("bin/x".into()),
        ..plain.clone()
    };
    let value = Some("./x".to_owned());
    let command = CommandInfo { uris: vec![plain, full], value, ..Default::default() };
    let value = || "http://h/x".to_owned();
    let expected = [
        Uri { value: value(), executable: false, extract: true, cache: false, output_file: None },
        Uri {
            value: value(),
            executable: true,
            extract: false,
            cache: true,
            output_file: Some("bin/x".into()),
        },
    ];
    assert_eq!(made(with_command(command)).uris, expected);
}

#[test]
fn what_this_agent_cannot_do_is_refused_by_name() {
    let docker = ContainerInfo {
        r#type: container_info::Type::Docker.into(),
        docker: Some(DockerInfo::default()),
        ..Default::default()
    };
    assert!(refused(with_container(docker)).starts_with("container.type must be MESOS"));
    let network = NetworkInfo { name: Some("dcos".into()), ..Default::default() };
    let cases = [
        (ContainerInfo { network_infos: vec![network], ..container() }, "network_infos"),
        (ContainerInfo { docker: Some(DockerInfo::default()), ..container() }, "docker"),
    ];
    for (container, field) in cases {
        let problem = refused(with_container(container));
        assert_eq!(problem, format!("container.{field} is not supported by this agent"));
    }
}

#[test]
fn terminals() {
    let with = |rows, columns| {
        let window_size = Some(WindowSize { rows, columns });
        with_container(ContainerInfo { tty_info: Some(TtyInfo { window_size }), ..container() })
    };
    let size = |rows, columns| muster_containerizer::WindowSize { rows, columns };
    assert_eq!(made(with_container(container())).tty, None);
    assert_eq!(made(with(30, 65535)).tty, Some(size(30, 65535)));
    assert_eq!(
        refused(with(1, 65536)),
        "container.tty_info.window_size.columns is more than 65535"
    );
    let plain = ContainerInfo { tty_info: Some(TtyInfo::default()), ..container() };
    assert_eq!(made(with_container(plain)).tty, Some(size(0, 0)));
}

#[test]
fn images_that_cannot_be_had_are_refused() {
    let with = |change: fn(&mut Image)| {
        let mut container = container();
        change(container.mesos.as_mut().unwrap().image.as_mut().unwrap());
        refused(with_container(container))
    };
    assert_eq!(with(|image| image.r#type = 1), "container.mesos.image.type must be DOCKER");
    assert_eq!(with(|image| image.docker = None), "container.mesos.image.docker is missing");
    let empty = with(|image| image.docker.as_mut().unwrap().name.clear());
    assert_eq!(empty, "container.mesos.image.docker.name is empty");
    let secret = with(|image| image.docker.as_mut().unwrap().config = Some(Secret::default()));
    assert!(secret.starts_with("container.mesos.image.docker.config has no value"));
}

#[test]
fn an_image_may_be_pulled_again_and_with_a_secret() {
    let made_with = |change: fn(&mut Image)| {
        let mut container = container();
        change(container.mesos.as_mut().unwrap().image.as_mut().unwrap());
        made(with_container(container))
    };
    assert!(!made_with(|_| {}).force_pull);
    assert!(made_with(|image| image.cached = Some(false)).force_pull);
    let spec = made_with(|image| {
        let value = mesos::secret::Value { data: b"{}"[..].into() };
        let config = Secret { value: Some(value), ..Secret::default() };
        image.docker.as_mut().unwrap().config = Some(config);
    });
    assert_eq!(spec.image_config, Some(muster_containerizer::Secret::new("{}".into())));
}
