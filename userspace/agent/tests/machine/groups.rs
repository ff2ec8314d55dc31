//! Task groups of the agent's own executor: containers nested in one.

use std::fs;

use muster_api::TaskStateExt;
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{
    ContainerInfo, ExecutorInfo, TaskInfo, TaskState, TaskStatus, Volume, container_info,
    executor_info, volume,
};
use muster_api::muster::master_message::Message;
use muster_api::muster::{ExecutorExited, LaunchGroup, agent_message};

use super::master::{FRAMEWORK, Master, Peer};
use super::site::{eventually, on_site};
use super::tasks::{command, grace, scalar, shell, sleeper};

fn pods() -> ExecutorInfo {
    ExecutorInfo {
        executor_id: "pods".into(),
        r#type: Some(executor_info::Type::Default.into()),
        resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0)],
        ..ExecutorInfo::default()
    }
}

pub(crate) fn launch(peer: &Peer, tasks: Vec<TaskInfo>, launch_executor: bool) {
    peer.say(Message::LaunchGroup(LaunchGroup {
        framework_id: Some(FRAMEWORK.into()),
        executor: Some(pods()),
        tasks,
        launch_executor,
        ..LaunchGroup::default()
    }));
}

/// The updates up to the end of so many tasks, acknowledged.
async fn ends(peer: &mut Peer, mut left: usize) -> Vec<TaskStatus> {
    let mut ends = Vec::new();
    while left > 0 {
        let status = peer.update().await;
        peer.acknowledge(&status);
        if status.state().is_terminal() {
            ends.push(status);
            left -= 1;
        }
    }
    ends.sort_by(|a, b| a.task_id.value.cmp(&b.task_id.value));
    ends
}

/// Acknowledges updates until so many tasks run; gives the last of each.
pub(crate) async fn running(peer: &mut Peer, count: usize) -> Vec<TaskStatus> {
    let mut running = Vec::new();
    while running.len() < count {
        let status = peer.update().await;
        peer.acknowledge(&status);
        if status.state() == TaskState::TaskRunning {
            running.push(status);
        }
    }
    running
}

async fn exit(peer: &mut Peer) -> ExecutorExited {
    match peer.next().await {
        Some(agent_message::Message::ExecutorExited(exited)) => exited,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_tasks_of_a_group_are_containers_in_one_and_its_executor_ends_with_them() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let line = "echo $MESOS_EXECUTOR_ID > said; until [ -e go ]; do sleep 0.05; done";
        launch(&peer, vec![shell("a", line), shell("b", line)], true);
        let running = running(&mut peer, 2).await;
        let [pod] = &site.containers()[..] else { panic!("{:?}", site.containers()) };
        for status in running {
            assert_eq!(status.executor_id.unwrap().value, "pods");
            let id = status.container_status.unwrap().container_id.unwrap();
            assert_eq!(&id.parent.unwrap().value, pod);
            let sandbox = site.sandbox("pods").join("containers").join(id.value);
            eventually("the task speaks", || {
                fs::read_to_string(sandbox.join("said")).is_ok_and(|said| said == "pods\n")
            })
            .await;
            fs::write(sandbox.join("go"), "").unwrap();
        }
        for status in ends(&mut peer, 2).await {
            assert_eq!(status.state(), TaskState::TaskFinished, "{status:?}");
        }
        assert_eq!(exit(&mut peer).await.status, 0);
        eventually("the containers are gone", || site.containers().is_empty()).await;
        site.written().await;
        assert!(site.stop().success());
        site.start();
        let (_peer, register) = master.register().await;
        assert_eq!((register.tasks.len(), register.executors.len()), (0, 0));
    });
}

#[test]
fn a_task_that_fails_takes_its_group_along_and_no_other() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        launch(&peer, vec![sleeper("other")], true);
        running(&mut peer, 1).await;
        let fails = shell("fails", "sleep 1; exit 3");
        launch(&peer, vec![fails, sleeper("a"), sleeper("b")], false);
        let ended = ends(&mut peer, 3).await;
        let states: Vec<_> = ended.iter().map(|s| (s.task_id.value.as_str(), s.state())).collect();
        let killed = TaskState::TaskKilled;
        assert_eq!(states, [("a", killed), ("b", killed), ("fails", TaskState::TaskFailed)]);
        assert_eq!(ended[2].message(), "Command exited with status 3");
        // A kill of one is a kill of its group.
        launch(&peer, vec![sleeper("c"), sleeper("d")], false);
        running(&mut peer, 2).await;
        peer.kill("c", Some(grace(20)));
        for status in ends(&mut peer, 2).await {
            assert_eq!(status.state(), killed);
        }
        assert_eq!(site.containers().len(), 1);
        peer.kill("other", None);
        assert_eq!(ends(&mut peer, 1).await[0].state(), killed);
        exit(&mut peer).await;
    });
}

#[test]
fn unhealthy_tasks_take_their_group_along() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let sick = TaskInfo { health_check: Some(command("false")), ..sleeper("sick") };
        launch(&peer, vec![sick, sleeper("well")], true);
        let ended = ends(&mut peer, 2).await;
        assert_eq!(ended[0].state(), TaskState::TaskKilled);
        assert_eq!(ended[0].healthy, Some(false));
        assert_eq!((ended[1].state(), ended[1].healthy), (TaskState::TaskKilled, None));
        exit(&mut peer).await;
    });
}

#[test]
fn groups_are_launched_all_or_not_at_all() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let volume = Volume {
            mode: volume::Mode::Rw.into(),
            container_path: "x".into(),
            ..Volume::default()
        };
        let container = ContainerInfo {
            r#type: container_info::Type::Mesos.into(),
            volumes: vec![volume],
            ..ContainerInfo::default()
        };
        let bad = TaskInfo { container: Some(container), ..sleeper("bad") };
        launch(&peer, vec![sleeper("good"), bad], true);
        for _ in 0..2 {
            let status = peer.update().await;
            peer.acknowledge(&status);
            assert_eq!(status.state(), TaskState::TaskError);
            assert_eq!(status.reason(), Reason::TaskGroupInvalid);
            assert!(status.message().starts_with("container.volumes[0]"), "{}", status.message());
        }
        assert_eq!(exit(&mut peer).await.status, -1);
        assert!(site.containers().is_empty());
    });
}

#[test]
fn a_group_outlives_the_agent() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        launch(&peer, vec![sleeper("a"), sleeper("b")], true);
        let before = running(&mut peer, 2).await;
        site.written().await;
        site.kill();
        site.start();
        let (mut peer, register) = master.register().await;
        assert_eq!((register.tasks.len(), register.executors.len()), (2, 1));
        for task in ["a", "b"] {
            let status = before.iter().find(|status| status.task_id.value == task).unwrap();
            let status = status.container_status.as_ref().unwrap();
            let id = &status.container_id.as_ref().unwrap().value;
            let starts = site.sandbox("pods").join("containers").join(id).join("starts");
            assert_eq!(fs::read_to_string(starts).unwrap().lines().count(), 1);
        }
        peer.kill("a", None);
        for status in ends(&mut peer, 2).await {
            assert_eq!(status.state(), TaskState::TaskKilled, "{status:?}");
        }
        exit(&mut peer).await;
        eventually("the containers are gone", || site.containers().is_empty()).await;
    });
}
