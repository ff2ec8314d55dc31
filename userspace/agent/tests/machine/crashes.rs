//! The agent dies, the master dies, and tasks do not notice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use muster_api::TaskStateExt;
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{TaskState, TaskStatus};
use muster_api::muster::{Registered, master_message::Message};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::master::{AGENT, Master};
use super::site::{eventually, on_site};
use super::tasks::{shell, sleeper};

#[test]
fn a_running_task_is_adopted() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let running = peer.run(sleeper("t")).await;
        eventually("it has started", || !site.read("t", "starts").is_empty()).await;
        let before = site.containers();
        site.kill();
        assert_eq!(site.containers(), before);
        site.start();
        let (mut peer, register) = master.register().await;
        let [task] = &register.tasks[..] else { panic!("{register:?}") };
        assert_eq!(task.status.as_ref().unwrap().uuid, running.uuid);
        assert_eq!(site.containers(), before);
        peer.kill("t", None);
        let status = peer.end().await;
        assert_eq!(status.state(), TaskState::TaskKilled);
        assert_eq!(status.container_status, running.container_status);
        assert_eq!(site.read("t", "starts").lines().count(), 1);
    });
}

#[test]
fn a_task_outlives_an_agent_that_is_told_to_end() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(sleeper("t")).await;
        eventually("it has started", || !site.read("t", "starts").is_empty()).await;
        assert!(site.stop().success());
        assert_eq!(site.containers().len(), 1);
        site.start();
        let (mut peer, _) = master.register().await;
        peer.kill("t", None);
        assert_eq!(peer.end().await.state(), TaskState::TaskKilled);
        assert_eq!(site.read("t", "starts").lines().count(), 1);
    });
}

#[test]
fn a_task_that_ends_while_the_agent_is_away_is_reported_with_its_status() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(shell("t", "until [ -e go ]; do sleep 0.05; done; exit 7")).await;
        let pid = site.containers();
        site.kill();
        fs::write(site.sandbox("t").join("go"), "").unwrap();
        let processes = |site: &super::site::Site| {
            site.cgroups().iter().any(|root| {
                let procs = root.join(&pid[0]).join("cgroup.procs");
                fs::read_to_string(procs).is_ok_and(|procs| !procs.is_empty())
            })
        };
        eventually("the task has ended", || !processes(site)).await;
        site.start();
        let (mut peer, _) = master.register().await;
        let status = peer.end().await;
        assert_eq!(status.message(), "Command exited with status 7");
        eventually("the container is gone", || site.containers().is_empty()).await;
    });
}

#[test]
fn updates_are_repeated_to_a_new_master_and_agent_until_acknowledged() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.launch(sleeper("t"));
        let starting = peer.update().await;
        assert_eq!(starting.state(), TaskState::TaskStarting);
        drop((master, peer));
        let mut master = Master::start(site.master());
        let (mut peer, _) = master.register().await;
        assert_eq!(peer.update().await, starting);
        site.kill();
        site.start();
        let (mut peer, _) = master.register().await;
        assert_eq!(peer.update().await, starting);
        peer.acknowledge(&starting);
        peer.expect(TaskState::TaskRunning).await;
    });
}

#[test]
fn an_agent_that_is_refused_or_given_another_id_keeps_its_tasks() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(sleeper("t")).await;
        site.kill();
        site.start();
        let mut peer = master.link().await;
        peer.registration().await;
        peer.say(Message::Registered(Registered {
            agent_id: Some("other-S3".into()),
            master_id: "other".into(),
            ping_interval_seconds: 15.0,
        }));
        eventually("it says so", || site.log().contains("another id")).await;
        assert_eq!(site.containers().len(), 1);
    });
}

#[test]
fn containers_that_nobody_knows_are_destroyed_before_the_master_is_dialled() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(sleeper("t")).await;
        site.kill();
        // The checkpoints are lost, the containers are not.
        fs::remove_file(site.path("work/agent.redb")).unwrap();
        assert_eq!(site.containers().len(), 1);
        site.start();
        let (_peer, register) = master.register().await;
        assert_eq!(register.tasks, []);
        assert!(site.containers().is_empty());
    });
}

/// Kills the agent again and again while tasks are launched; then sees that each task is
/// in one state, was started at most once, and that no container is left over.
#[test]
fn killed_at_any_moment_the_agent_loses_and_doubles_nothing() {
    on_site(async |site| {
        const ROUNDS: usize = 8;
        const TASKS: usize = 4;
        let mut rng = StdRng::seed_from_u64(7);
        let mut master = Master::start(site.master());
        let mut latest: BTreeMap<String, TaskStatus> = BTreeMap::new();
        let mut launched = BTreeSet::new();
        for round in 0..ROUNDS {
            site.start();
            let (mut peer, register) = master.register().await;
            let held: BTreeSet<String> = register
                .tasks
                .iter()
                .map(|task| task.info.as_ref().unwrap().task_id.value.clone())
                .collect();
            for (task, status) in &latest {
                let over = status.state().is_terminal();
                assert!(held.contains(task) || over, "{task} is forgotten: {status:?}");
            }
            for n in 0..TASKS {
                let id = format!("t{round}-{n}");
                launched.insert(id.clone());
                peer.launch(sleeper(&id));
            }
            let moment = tokio::time::sleep(Duration::from_millis(rng.random_range(0..250)));
            tokio::pin!(moment);
            loop {
                tokio::select! {
                    () = &mut moment => break,
                    status = peer.update() => {
                        peer.acknowledge(&status);
                        latest.insert(status.task_id.value.clone(), status);
                    }
                }
            }
            site.kill();
        }
        site.start();
        let (mut peer, register) = master.register().await;
        let mut open: BTreeSet<String> = register
            .tasks
            .iter()
            .map(|task| task.info.as_ref().unwrap().task_id.value.clone())
            .collect();
        assert!(open.len() > TASKS, "{open:?}");
        for task in &open {
            peer.kill(task, None);
        }
        while !open.is_empty() {
            let status = peer.update().await;
            peer.acknowledge(&status);
            if status.state().is_terminal() {
                open.remove(&status.task_id.value);
            }
            if status.state() == TaskState::TaskLost {
                assert_eq!(status.agent_id, Some(AGENT.into()));
                assert!(
                    [Reason::AgentRestarted, Reason::ExecutorTerminated].contains(&status.reason()),
                    "{status:?}"
                );
            }
            latest.insert(status.task_id.value.clone(), status);
        }
        for task in &launched {
            let starts = site.read(task, "starts").lines().count();
            assert!(starts <= 1, "{task} was started {starts} times");
        }
        eventually("no container is left", || site.containers().is_empty()).await;
        site.written().await;
        site.kill();
        site.start();
        let (_peer, register) = master.register().await;
        assert_eq!(register.tasks, []);
    });
}
