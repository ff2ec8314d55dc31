//! Executors: programs that speak Mesos' v1 executor API with the agent.

use std::fs;
use std::path::Path;

use muster_api::mesos::task_status::{Reason, Source};
use muster_api::mesos::{CommandInfo, ExecutorInfo, FrameworkInfo, TaskInfo, TaskState};
use muster_api::muster::master_message::Message;
use muster_api::muster::{ExecutorMessage, Launch, ShutdownExecutor, agent_message};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::http::{get, post};
use super::master::{FRAMEWORK, Master, Peer};
use super::site::{Site, eventually, in_time, on_site};
use super::tasks::{scalar, sleeper};

/// An executor of a hundred lines, in plain Python without any library for Mesos.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machine/executor.py");

fn executor(id: &str) -> ExecutorInfo {
    let value = Some(format!("exec /usr/bin/python3 {PROGRAM}"));
    ExecutorInfo {
        executor_id: id.into(),
        command: Some(CommandInfo { value, ..CommandInfo::default() }),
        resources: vec![scalar("cpus", 0.1), scalar("mem", 64.0)],
        ..ExecutorInfo::default()
    }
}

fn task(id: &str, executor: ExecutorInfo) -> TaskInfo {
    TaskInfo { command: None, executor: Some(executor), ..sleeper(id) }
}

fn launch(peer: &Peer, info: TaskInfo, launch_executor: bool) {
    peer.say(Message::Launch(Launch {
        framework_id: Some(FRAMEWORK.into()),
        task: Some(info),
        framework: Some(FrameworkInfo { name: "the framework".into(), ..Default::default() }),
        launch_executor,
        ..Launch::default()
    }));
}

/// The next thing an executor says to its framework.
async fn message(peer: &mut Peer) -> String {
    match peer.next().await {
        Some(agent_message::Message::ExecutorMessage(message)) => {
            String::from_utf8(message.data).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// The exit status of the executor that ended.
async fn exit(peer: &mut Peer) -> i32 {
    match peer.next().await {
        Some(agent_message::Message::ExecutorExited(exited)) => exited.status,
        other => panic!("{other:?}"),
    }
}

/// The most memory that the one container on the machine may use.
fn memory(site: &Site) -> u64 {
    let [container] = &site.containers()[..] else { panic!("{:?}", site.containers()) };
    let names = ["memory.limit_in_bytes", "memory.max"];
    let files = site.cgroups().into_iter().flat_map(|cgroup| {
        let cgroup = cgroup.join(container);
        names.map(|name| cgroup.join(name))
    });
    let mut text =
        files.filter(|file| Path::exists(file)).map(|file| fs::read_to_string(file).unwrap());
    text.next_back().unwrap().trim().parse().unwrap()
}

#[test]
fn an_executor_runs_tasks_in_one_container_that_grows_with_them() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        launch(&peer, task("t1", executor("e")), true);
        let running = peer.expect(TaskState::TaskRunning).await;
        assert_eq!(running.source(), Source::Executor);
        assert_eq!(running.executor_id.unwrap().value, "e");
        let container = running.container_status.unwrap().container_id.unwrap().value;
        assert_eq!(site.containers(), std::slice::from_ref(&container));
        assert_eq!(memory(site) >> 20, 96);
        launch(&peer, task("t2", executor("e")), false);
        let running = peer.expect(TaskState::TaskRunning).await;
        assert_eq!(running.container_status.unwrap().container_id.unwrap().value, container);
        assert_eq!(site.containers(), std::slice::from_ref(&container));
        assert_eq!(memory(site) >> 20, 128);

        let state = get(&site.url("/state")).await.json();
        let shown = &state["frameworks"][0]["executors"][0];
        assert_eq!((&shown["id"], &shown["container"]), (&json!("e"), &json!(container)));
        assert_eq!(shown["tasks"].as_array().unwrap().len(), 2);
        // What it was told when it subscribed, and found in its environment.
        let told = site.read("e", "subscribed");
        assert!(told.contains("the framework") && told.contains("MESOS_AGENT_ENDPOINT"), "{told}");

        let data = b"finish t1".to_vec();
        let (framework_id, executor_id) = (Some(FRAMEWORK.into()), Some("e".into()));
        peer.say(Message::ExecutorMessage(ExecutorMessage { framework_id, executor_id, data }));
        assert_eq!(message(&mut peer).await, "heard: finish t1");
        peer.expect(TaskState::TaskFinished).await;
        peer.kill("t2", None);
        peer.expect(TaskState::TaskKilled).await;
        // It stays, for tasks to come.
        launch(&peer, task("t3", executor("e")), false);
        peer.expect(TaskState::TaskRunning).await;
        let (framework_id, executor_id) = (Some(FRAMEWORK.into()), Some("e".into()));
        peer.say(Message::ShutdownExecutor(ShutdownExecutor { framework_id, executor_id }));
        peer.expect(TaskState::TaskKilled).await;
        assert_eq!(exit(&mut peer).await, 0);
        eventually("the container is gone", || site.containers().is_empty()).await;
        launch(&peer, task("t4", executor("e")), false);
        let dropped = peer.expect(TaskState::TaskDropped).await;
        assert_eq!(dropped.reason(), Reason::ExecutorTerminated);
    });
}

#[test]
fn an_executors_end_is_that_of_its_tasks() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        launch(&peer, task("t", executor("e")), true);
        let running = peer.expect(TaskState::TaskRunning).await;
        let pid = running.container_status.unwrap().executor_pid.unwrap();
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
        let failed = peer.update().await;
        assert_eq!(
            (failed.state(), failed.reason()),
            (TaskState::TaskFailed, Reason::ExecutorTerminated)
        );
        assert_eq!(failed.source(), Source::Agent);
        assert_eq!(failed.message(), "Executor terminated: Command terminated with signal Killed");
        assert_eq!(exit(&mut peer).await, 9);
        peer.acknowledge(&failed);
        // Another of the same id.
        launch(&peer, task("u", executor("e")), true);
        peer.expect(TaskState::TaskRunning).await;
    });
}

#[test]
fn an_executor_that_never_subscribes_is_killed() {
    on_site(async |site| {
        site.set("executor_registration", json!(1));
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let value = Some("sleep 1000".to_owned());
        let command = Some(CommandInfo { value, ..CommandInfo::default() });
        launch(&peer, task("t", ExecutorInfo { command, ..executor("mute") }), true);
        let failed = peer.expect(TaskState::TaskFailed).await;
        assert_eq!(failed.reason(), Reason::ExecutorRegistrationTimeout);
        exit(&mut peer).await;
        eventually("the container is gone", || site.containers().is_empty()).await;
    });
}

#[test]
fn an_executor_outlives_the_agent_and_loses_nothing() {
    on_site(async |site| {
        site.set("executor_reregistration", json!(60));
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        launch(&peer, task("t1", executor("e")), true);
        launch(&peer, task("t2", executor("e")), false);
        for _ in 0..2 {
            peer.expect(TaskState::TaskRunning).await;
        }
        site.written().await;
        site.kill();
        // Nobody is there to hear it now.
        fs::write(site.sandbox("e").join("finish"), "t1").unwrap();
        in_time("the task is over", async {
            while !site.read("e", "log").contains("TASK_FINISHED t1") {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        })
        .await;
        site.start();
        let (mut peer, register) = master.register().await;
        let [there] = &register.executors[..] else { panic!("{register:?}") };
        assert_eq!(there.info.as_ref().unwrap().executor_id.value, "e");
        assert_eq!(register.tasks.len(), 2);
        let finished = peer.expect(TaskState::TaskFinished).await;
        assert_eq!(finished.task_id.value, "t1");
        peer.kill("t2", None);
        assert_eq!(peer.expect(TaskState::TaskKilled).await.task_id.value, "t2");
        assert_eq!(site.read("e", "log").matches("subscribed").count(), 2);
    });
}

#[test]
fn an_executor_that_does_not_come_back_is_killed() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        launch(&peer, task("t", executor("e")), true);
        let running = peer.expect(TaskState::TaskRunning).await;
        let pid =
            Pid::from_raw(running.container_status.unwrap().executor_pid.unwrap().cast_signed());
        site.written().await;
        kill(pid, Signal::SIGSTOP).unwrap();
        site.kill();
        site.start();
        let (mut peer, _) = master.register().await;
        let failed = peer.expect(TaskState::TaskFailed).await;
        assert_eq!(failed.reason(), Reason::ExecutorReregistrationTimeout);
        exit(&mut peer).await;
    });
}

#[test]
fn what_is_no_call_of_an_executor_is_refused() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        launch(&peer, task("t", executor("e")), true);
        peer.expect(TaskState::TaskRunning).await;
        let url = site.url("/api/v1/executor");
        let ids = json!({"framework_id": {"value": FRAMEWORK}, "executor_id": {"value": "e"}});
        let call = |more: serde_json::Value| {
            let mut call = ids.clone();
            call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            call.to_string()
        };
        let json = "application/json";
        let status = json!({"task_id": {"value": "t"}, "state": "TASK_RUNNING"});
        let unknown = json!({"type": "HEARTBEAT", "framework_id": {"value": "x"}});
        let stranger = json!({"type": "HEARTBEAT", "executor_id": {"value": "x"}});
        let cases = [
            ("text/plain", call(json!({"type": "HEARTBEAT"})), 415, "Content-Type \"text/plain\""),
            (json, "{".to_owned(), 400, "EOF"),
            (json, json!({"type": "HEARTBEAT"}).to_string(), 400, "executor_id"),
            (json, call(json!({})), 400, "type is not set"),
            (json, call(json!({"type": "SUBSCRIBE"})), 400, "subscribe is not set"),
            (json, call(json!({"type": "UPDATE"})), 400, "update is not set"),
            (
                json,
                call(json!({"type": "UPDATE", "update": {"status": status}})),
                400,
                "update.status.uuid",
            ),
            (json, call(unknown), 400, "Framework cannot be found"),
            (json, call(stranger), 400, "Executor cannot be found"),
            (json, call(json!({"type": "HEARTBEAT"})), 202, ""),
        ];
        for (content, body, status, problem) in cases {
            let answer = post(&url, content, body.clone()).await;
            assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.body);
            assert!(answer.body.contains(problem), "{body}: {}", answer.body);
        }
        assert_eq!(get(&url).await.status.as_u16(), 405);
        peer.settle().await;
    });
}
