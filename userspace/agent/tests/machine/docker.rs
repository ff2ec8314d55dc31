//! Tasks that a real Docker engine runs.

use std::fs;

use muster_api::mesos::container_info::docker_info::{Network, PortMapping};
use muster_api::mesos::container_info::{self, DockerInfo};
use muster_api::mesos::environment::Variable;
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{
    CheckInfo, CommandInfo, ContainerInfo, Environment, HealthCheck, Parameter, Resource, TaskInfo,
    TaskState, check_info, value,
};
use serde_json::json;

use super::dockerd::{Dockerd, IMAGE};
use super::http::get;
use super::master::Master;
use super::site::{Site, eventually, on_site};
use super::tasks::{command, grace, http, shell};

pub(crate) fn with(id: &str, line: &str, docker: DockerInfo) -> TaskInfo {
    let container = ContainerInfo {
        r#type: container_info::Type::Docker.into(),
        docker: Some(docker),
        ..Default::default()
    };
    TaskInfo { container: Some(container), ..shell(id, line) }
}

pub(crate) fn image() -> DockerInfo {
    DockerInfo { image: IMAGE.into(), ..Default::default() }
}

pub(crate) fn docker(id: &str, line: &str) -> TaskInfo {
    with(id, line, image())
}

fn parameter(key: &str, value: &str) -> Parameter {
    Parameter { key: key.into(), value: value.into() }
}

pub(crate) fn ports(port: u64) -> Resource {
    let range = value::Range { begin: port, end: port };
    Resource {
        name: "ports".into(),
        r#type: value::Type::Ranges.into(),
        ranges: Some(value::Ranges { range: vec![range] }),
        ..Default::default()
    }
}

pub(crate) async fn engine(site: &mut Site) -> Dockerd {
    let engine = Dockerd::start(site.path("docker")).await;
    site.set("docker_socket", json!(engine.socket()));
    engine
}

#[test]
fn a_task_of_the_engine_ends_as_its_command_does() {
    on_site(async |site| {
        let engine = engine(site).await;
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let line = "echo out $MESOS_SANDBOX $FLAG; echo err >&2; exit 3";
        let flags = DockerInfo {
            parameters: vec![parameter("env", "FLAG=yes"), parameter("user", "7")],
            ..image()
        };
        let mut task = with("t", line, flags);
        peer.launch(task.clone());
        let status = peer.end().await;
        assert_eq!(status.message(), "Command exited with status 3");
        assert_eq!(status.state(), TaskState::TaskFailed);
        assert_eq!(site.read("t", "stdout"), "out /mnt/mesos/sandbox yes\n");
        assert!(site.read("t", "stderr").starts_with("err\n"), "{}", site.read("t", "stderr"));
        task = docker("ok", "echo fine; id -u > $MESOS_SANDBOX/here");
        peer.launch(task);
        assert_eq!(peer.end().await.state(), TaskState::TaskFinished);
        assert_eq!(site.read("ok", "here"), "0\n");
        eventually("nothing is left of them", || engine.containers().is_empty()).await;

        let greedy = "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo $x";
        peer.launch(docker("greedy", greedy));
        let status = peer.end().await;
        assert_eq!(status.reason(), Reason::ContainerLimitationMemory, "{status:?}");
        assert_eq!(status.message(), "Memory limit exceeded: Requested: 32MB");

        let missing = DockerInfo { image: "127.0.0.1:1/no/such:1".into(), ..Default::default() };
        peer.launch(with("missing", "true", missing));
        let status = peer.end().await;
        assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
        assert!(status.message().starts_with("docker pull 127.0.0.1:1/no/such:1: "), "{status:?}");
        let unknown = DockerInfo { parameters: vec![parameter("frob", "1")], ..image() };
        peer.launch(with("unknown", "true", unknown));
        let status = peer.end().await;
        assert_eq!(status.state(), TaskState::TaskError);
        assert!(status.message().contains("parameters[0] frob is no flag"), "{status:?}");
        eventually("nothing is left of them", || engine.containers().is_empty()).await;
    });
}

#[test]
fn a_task_of_the_engine_is_killed_kindly_and_then_not() {
    on_site(async |site| {
        let engine = engine(site).await;
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let kind = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done";
        let running = peer.run(docker("kind", kind)).await;
        // It is under the agent's cgroup in the tree that VIPs are attached to.
        let pid = running.container_status.unwrap().executor_pid.unwrap();
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let root = format!("0::/muster-agent-test/{}/", site.name());
        assert!(groups.lines().any(|line| line.starts_with(&root)), "{groups}");
        let statistics = get(&site.url("/monitor/statistics")).await.json();
        assert_eq!(statistics[0]["statistics"]["mem_limit_bytes"], 32 << 20, "{statistics}");
        eventually("it has started", || !site.read("kind", "stdout").is_empty()).await;
        peer.kill("kind", Some(grace(3600)));
        let status = peer.expect(TaskState::TaskKilled).await;
        assert_eq!(status.message(), "Command exited with status 0");
        assert_eq!(site.read("kind", "stdout"), "up\nbye\n");
        let deaf = "trap '' TERM; echo up; while :; do sleep 0.1; done";
        peer.run(docker("deaf", deaf)).await;
        eventually("it does not listen", || !site.read("deaf", "stdout").is_empty()).await;
        peer.kill("deaf", Some(grace(3600)));
        peer.settle().await;
        assert_eq!(engine.containers().len(), 1);
        peer.kill("deaf", Some(grace(0)));
        peer.expect(TaskState::TaskKilled).await;
        eventually("the containers are gone", || engine.containers().is_empty()).await;
    });
}

#[test]
fn a_task_of_the_engine_outlives_its_agent_with_every_line_once() {
    on_site(async |site| {
        let engine = engine(site).await;
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let line = "i=0; until [ -e go ]; do i=$((i+1)); echo $i; sleep 0.01; done; exit 5";
        let counting = format!("cd $MESOS_SANDBOX; {line}");
        peer.run(docker("t", &counting)).await;
        eventually("it counts", || site.read("t", "stdout").lines().count() > 20).await;
        for _ in 0..3 {
            let before = site.read("t", "stdout").lines().count();
            site.kill();
            site.start();
            let (_peer, register) = master.register().await;
            assert_eq!(register.tasks.len(), 1);
            eventually("it counts on", || site.read("t", "stdout").lines().count() > before).await;
        }
        // It ends while the agent is away.
        site.kill();
        fs::write(site.sandbox("t").join("go"), "").unwrap();
        eventually("it has ended", || engine.docker(&["ps", "-q"]).is_empty()).await;
        site.start();
        let (mut peer, _) = master.register().await;
        let status = peer.end().await;
        assert_eq!(status.message(), "Command exited with status 5");
        let lines: Vec<usize> =
            site.read("t", "stdout").lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(lines, (1..=lines.len()).collect::<Vec<_>>());
        eventually("the container is gone", || engine.containers().is_empty()).await;
    });
}

#[test]
fn an_agent_killed_at_any_moment_of_a_launch_leaves_nothing() {
    on_site(async |site| {
        let engine = engine(site).await;
        let mut master = Master::start(site.master());
        for moment in [0, 20, 60, 120, 200, 300, 450, 700] {
            site.start();
            let (peer, _) = master.register().await;
            let id = format!("t{moment}");
            peer.launch(docker(&id, "trap 'exit 0' TERM; while :; do sleep 0.1; done"));
            tokio::time::sleep(std::time::Duration::from_millis(moment)).await;
            site.kill();
            site.start();
            let (mut peer, register) = master.register().await;
            // It may have died before it heard of the task.
            if !register.tasks.is_empty() {
                let status = peer.end_or_run().await;
                if status.state() == TaskState::TaskRunning {
                    peer.kill(&id, Some(grace(3600)));
                    // Killed again while it is being killed.
                    site.kill();
                    site.start();
                    let (next, _) = master.register().await;
                    peer = next;
                    peer.kill(&id, Some(grace(0)));
                    peer.end().await;
                }
            }
            eventually("nothing is left of it", || engine.containers().is_empty()).await;
            site.written().await;
            assert!(site.stop().success());
        }
    });
}

#[test]
fn a_port_of_the_machine_leads_into_the_container() {
    on_site(async |site| {
        let _engine = engine(site).await;
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let mapping = PortMapping { host_port: 31000, container_port: 80, protocol: None };
        let docker = DockerInfo {
            network: Some(Network::Bridge.into()),
            port_mappings: vec![mapping],
            ..image()
        };
        let serve = "cd /mnt/mesos/sandbox; echo hello > index.html; httpd -f -p 80";
        // The server may take a while to listen.
        let patient = |check| HealthCheck { grace_period_seconds: Some(60.0), ..check };
        let check = Some(patient(http(80)));
        let mut task = TaskInfo { health_check: check, ..with("web", serve, docker) };
        task.resources.push(ports(31000));
        peer.run(task).await;
        // The check is made inside: nothing listens to port 80 of the machine.
        let healthy = peer.expect(TaskState::TaskRunning).await;
        assert_eq!(healthy.healthy, Some(true), "{healthy:?}");
        assert_eq!(get("http://127.0.0.1:31000/").await.body.trim(), "hello");
        peer.kill("web", Some(grace(0)));
        peer.end().await;
        let line = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
        let check = Some(patient(command("[ -d /mnt/mesos/sandbox ]")));
        peer.run(TaskInfo { health_check: check, ..self::docker("checked", line) }).await;
        let healthy = peer.expect(TaskState::TaskRunning).await;
        assert_eq!(healthy.healthy, Some(true), "{healthy:?}");
        peer.kill("checked", Some(grace(0)));
        peer.end().await;
    });
}

#[test]
fn an_engine_may_be_away_and_come_back() {
    on_site(async |site| {
        let mut engine = engine(site).await;
        engine.stop();
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        // No engine, and an image that only it had.
        let only = DockerInfo { privileged: Some(true), ..image() };
        peer.launch(with("only", "true", only));
        let status = peer.end().await;
        assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
        let message = status.message();
        assert!(message.contains("does not answer"), "{message}");
        assert!(
            message.ends_with("container.docker.privileged needs a Docker engine"),
            "{message}"
        );
        engine.restart().await;
        let line = "trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done";
        peer.run(docker("t", line)).await;
        eventually("it has started", || !site.read("t", "stdout").is_empty()).await;
        // Its containers end with the engine; how, is known when it is back.
        engine.stop();
        peer.settle().await;
        site.kill();
        site.start();
        let (mut peer, register) = master.register().await;
        assert_eq!(register.tasks.len(), 1);
        engine.restart().await;
        let status = peer.end().await;
        assert_eq!(status.state(), TaskState::TaskFailed);
        assert_eq!(status.message(), "Command exited with status 9");
        eventually("the container is gone", || engine.containers().is_empty()).await;
    });
}

#[test]
fn a_check_in_a_task_of_the_engine_has_its_variables_and_takes_nothing_with_it() {
    on_site(async |site| {
        let _engine = engine(site).await;
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let line = "cd $MESOS_SANDBOX; [ -e well ] && [ $(id -u) = 7 ] && exit $LIMIT; \
                    (sleep 7171 &) ; echo >> checks; sleep 7172";
        let variable =
            Variable { name: "LIMIT".into(), value: Some("9".into()), ..Variable::default() };
        let command = CommandInfo {
            value: Some(line.into()),
            environment: Some(Environment { variables: vec![variable] }),
            user: Some("7".into()),
            ..CommandInfo::default()
        };
        let check = CheckInfo {
            r#type: Some(check_info::Type::Command.into()),
            command: Some(check_info::Command { command }),
            delay_seconds: Some(0.0),
            interval_seconds: Some(0.05),
            timeout_seconds: Some(1.0),
            ..CheckInfo::default()
        };
        let line = "cd $MESOS_SANDBOX; touch checks; chmod 666 checks; \
                    trap 'exit 0' TERM; while :; do ps > all; mv all seen; sleep 0.1; done";
        peer.run(TaskInfo { check: Some(check), ..docker("t", line) }).await;
        eventually("there are checks", || site.read("t", "checks").len() > 2).await;
        fs::write(site.sandbox("t").join("well"), "").unwrap();
        // One that was being carried out, and found nothing, may have been told before.
        let status = loop {
            let status = peer.expect(TaskState::TaskRunning).await;
            if status.check_status.unwrap().command.unwrap().exit_code.is_some() {
                break status;
            }
        };
        assert_eq!(status.reason(), Reason::TaskCheckStatusUpdated);
        assert_eq!(status.check_status.unwrap().command.unwrap().exit_code, Some(9));
        eventually("what the checks forked is gone", || {
            let seen = site.read("t", "seen");
            seen.contains("sleep 0.1") && !seen.contains("sleep 717")
        })
        .await;
        peer.kill("t", Some(grace(0)));
        peer.end().await;
    });
}
