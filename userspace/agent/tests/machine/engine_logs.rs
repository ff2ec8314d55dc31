//! What tasks of a real Docker engine write, into files of limited size.

use std::fs;

use muster_api::mesos::container_info::DockerInfo;
use muster_api::mesos::environment::Variable;
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{Environment, Parameter, TaskInfo, TaskState};
use serde_json::json;

use super::docker::{docker, engine, image, with};
use super::master::Master;
use super::site::{Site, eventually, on_site};

/// Every line of a file and its predecessors, the oldest first.
fn lines(site: &Site, task: &str, name: &str) -> Vec<u64> {
    let numbered = (1..=40).rev().map(|number| format!("{name}.{number}"));
    let parts = numbered.chain([name.to_owned()]).map(|name| site.read(task, &name));
    // A line may begin in one and end in the next.
    let all: String = parts.collect();
    all.lines().map(|line| line.parse().unwrap()).collect()
}

fn rotated(files: u32) -> serde_json::Value {
    let rotation = json!({ "max_bytes": 4096, "files": files });
    json!({ "Logrotate": { "stdout": rotation, "stderr": rotation } })
}

fn given(mut task: TaskInfo, name: &str, value: &str) -> TaskInfo {
    let variable = Variable { name: name.into(), value: Some(value.into()), ..Variable::default() };
    let command = task.command.as_mut().unwrap();
    command.environment = Some(Environment { variables: vec![variable] });
    task
}

/// Counts on both streams until it is told to end.
const COUNTING: &str = "cd $MESOS_SANDBOX; i=0; until [ -e go ]; do i=$((i+1)); echo $i; \
                        echo $i >&2; [ $((i % 50)) = 0 ] && sleep 0.05; done; exit 5";

#[test]
fn rotated_output_has_every_line_once_though_the_agent_is_killed() {
    on_site(async |site| {
        let engine = engine(site).await;
        site.set("logger", rotated(40));
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(docker("t", COUNTING)).await;
        for round in 1..4 {
            let name = format!("stdout.{round}");
            eventually("it is rotated", || site.sandbox("t").join(&name).exists()).await;
            site.kill();
            site.start();
            master.register().await;
        }
        // It ends while the agent is away.
        site.kill();
        fs::write(site.sandbox("t").join("go"), "").unwrap();
        eventually("it has ended", || engine.docker(&["ps", "-q"]).is_empty()).await;
        site.start();
        let (mut peer, _) = master.register().await;
        assert_eq!(peer.end().await.message(), "Command exited with status 5");
        for name in ["stdout", "stderr"] {
            let lines = lines(site, "t", name);
            assert!(lines.len() > 1000, "{name}: {}", lines.len());
            assert_eq!(lines, (1..=lines.len() as u64).collect::<Vec<_>>(), "{name}");
            assert!(
                site.read("t", name).len() <= 4096
                    && site.read("t", &format!("{name}.1")).len() == 4096
            );
        }
        eventually("the container is gone", || engine.containers().is_empty()).await;
    });
}

#[test]
fn the_engine_keeps_a_bounded_copy_and_tasks_have_their_own_limits() {
    on_site(async |site| {
        let engine = engine(site).await;
        site.set("logger", rotated(2));
        site.set("docker_remove_delay", json!(3600));
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let many = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; done";
        peer.launch(docker("small", many));
        assert_eq!(peer.end().await.state(), TaskState::TaskFinished);
        let kept = lines(site, "small", "stdout");
        assert_eq!(kept.last(), Some(&3000));
        assert!(site.sandbox("small").join("stdout.2").exists());
        assert!(!site.sandbox("small").join("stdout.3").exists());
        let own = given(docker("own", many), "CONTAINER_LOGGER_MAX_STDOUT_SIZE", "20MB");
        peer.launch(own);
        assert_eq!(peer.end().await.state(), TaskState::TaskFinished);
        assert_eq!(lines(site, "own", "stdout").len(), 3000);
        assert!(!site.sandbox("own").join("stdout.1").exists());
        // What the task says of the engine's copy is what counts.
        let parameter = Parameter { key: "log-opt".into(), value: "max-size=7m".into() };
        let flags = DockerInfo { parameters: vec![parameter], ..image() };
        peer.launch(with("told", "true", flags));
        assert_eq!(peer.end().await.state(), TaskState::TaskFinished);
        let format = ["inspect", "--format", "{{json .HostConfig.LogConfig.Config}}"];
        let options: Vec<String> = engine
            .containers()
            .iter()
            .map(|name| engine.docker(&[&format[..], &[name]].concat()))
            .collect();
        for size in ["10485760", "20975616", "7m"] {
            assert_eq!(
                options
                    .iter()
                    .filter(|all| all.contains(&format!("\"max-size\":\"{size}\"")))
                    .count(),
                1,
                "{options:?}"
            );
        }
        let wrong = given(docker("wrong", "true"), "CONTAINER_LOGGER_MAX_STDOUT_SIZE", "1KB");
        peer.launch(wrong);
        let status = peer.end().await;
        assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
        assert!(
            status.message().contains("CONTAINER_LOGGER_MAX_STDOUT_SIZE: 1024 bytes are less"),
            "{status:?}"
        );
        assert_eq!(engine.containers().len(), 3);
    });
}
