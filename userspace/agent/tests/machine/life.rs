//! Tasks from launch to end.

use std::fs;

use muster_api::mesos::r_limit_info::{RLimit, r_limit};
use muster_api::mesos::task_status::{Reason, Source};
use muster_api::mesos::{
    CommandInfo, ContainerInfo, DurationInfo, LinuxInfo, RLimitInfo, TaskInfo, TaskState, Volume,
    container_info, value, volume,
};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::http::get;
use super::master::Master;
use super::site::{eventually, on_site};
use super::tasks::{grace, scalar, shell, sleeper};

#[test]
fn a_task_runs_and_finishes_and_is_forgotten() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, register) = master.register().await;
        let info = register.info.unwrap();
        assert_eq!((info.hostname.as_str(), info.id), (site.name(), None));
        let line =
            "echo hello $MESOS_FRAMEWORK_ID; echo oops >&2; until [ -e go ]; do sleep 0.05; done";
        let running = peer.run(shell("t", line)).await;
        assert_eq!(running.source(), Source::Executor);
        let container = running.container_status.unwrap();
        let id = container.container_id.unwrap().value;
        assert_eq!(site.containers(), [id]);
        assert!(fs::exists(format!("/proc/{}", container.executor_pid.unwrap())).unwrap());
        fs::write(site.sandbox("t").join("go"), "").unwrap();
        let finished = peer.expect(TaskState::TaskFinished).await;
        assert_eq!(finished.message(), "Command exited with status 0");
        assert_eq!(site.read("t", "stdout"), "hello f\n");
        assert_eq!(site.read("t", "stderr"), "oops\n");
        eventually("the container is gone", || site.containers().is_empty()).await;
        // Nothing of it is left for the next agent, which has the id that was given.
        site.written().await;
        assert!(site.stop().success());
        site.start();
        let (_peer, register) = master.register().await;
        assert_eq!(register.tasks, []);
        assert_eq!(register.info.unwrap().id, Some("m-S0".into()));
    });
}

#[test]
fn a_task_has_its_time_and_no_more_whatever_its_agent_does() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let limited = |id: &str, seconds: i64| {
            let nanoseconds = seconds * 1_000_000_000;
            TaskInfo { max_completion_time: Some(DurationInfo { nanoseconds }), ..sleeper(id) }
        };
        peer.run(limited("short", 1)).await;
        let status = peer.expect(TaskState::TaskFailed).await;
        assert_eq!(status.reason(), Reason::MaxCompletionTimeReached);
        assert!(status.message().starts_with("Command "), "{}", status.message());
        // Its time runs out while nobody looks.
        peer.run(limited("long", 5)).await;
        site.written().await;
        assert!(site.stop().success());
        site.start();
        let (mut peer, _) = master.register().await;
        let status = peer.end().await;
        assert_eq!(status.state(), TaskState::TaskFailed);
        assert_eq!(status.reason(), Reason::MaxCompletionTimeReached);
        eventually("the containers are gone", || site.containers().is_empty()).await;
    });
}

#[test]
fn ends_have_their_states_reasons_and_messages() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let mut end = async |info: TaskInfo| {
            peer.launch(info);
            let status = peer.end().await;
            (status.state(), status.reason.is_some().then(|| status.reason()), status)
        };
        let (state, reason, status) = end(shell("exits", "exit 3")).await;
        assert_eq!((state, reason), (TaskState::TaskFailed, None));
        assert_eq!(status.message(), "Command exited with status 3");

        let missing = CommandInfo {
            shell: Some(false),
            value: Some("/no/such/program".into()),
            ..Default::default()
        };
        let missing = TaskInfo { command: Some(missing), ..shell("missing", "") };
        let (state, reason, status) = end(missing).await;
        assert_eq!((state, reason), (TaskState::TaskFailed, Some(Reason::ContainerLaunchFailed)));
        assert!(status.message().contains("exec /no/such/program"), "{}", status.message());
        let line = "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo $x | wc -c";
        let (state, reason, status) = end(shell("greedy", line)).await;
        assert_eq!(
            (state, reason),
            (TaskState::TaskFailed, Some(Reason::ContainerLimitationMemory))
        );
        let expected = "Memory limit exceeded: Requested: 32MB Maximum Used: ";
        assert!(status.message().starts_with(expected), "{}", status.message());
        let limitation = status.limitation.unwrap().resources;
        assert!(limitation[0].scalar.unwrap().value >= 31.0, "{limitation:?}");
        let running = peer.run(sleeper("shot")).await;
        let pid = running.container_status.unwrap().executor_pid.unwrap();
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
        let status = peer.expect(TaskState::TaskFailed).await;
        assert_eq!(status.message(), "Command terminated with signal Killed");
        eventually("the containers are gone", || site.containers().is_empty()).await;
    });
}

#[test]
fn a_task_is_killed_kindly_and_then_not() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(sleeper("kind")).await;
        eventually("it has started", || !site.read("kind", "starts").is_empty()).await;
        peer.kill("kind", Some(grace(3600)));
        let status = peer.expect(TaskState::TaskKilled).await;
        assert_eq!(status.message(), "Command exited with status 0");
        let deaf = "trap '' TERM; echo deaf > deaf; while :; do sleep 0.1; done";
        peer.run(shell("deaf", deaf)).await;
        eventually("it does not listen", || !site.read("deaf", "deaf").is_empty()).await;
        peer.kill("deaf", Some(grace(3600)));
        peer.settle().await;
        assert_eq!(site.containers().len(), 1);
        peer.kill("deaf", Some(grace(0)));
        let status = peer.expect(TaskState::TaskKilled).await;
        assert_eq!(status.message(), "Command terminated with signal Killed");
        eventually("the containers are gone", || site.containers().is_empty()).await;
    });
}

#[test]
fn the_master_may_repeat_itself() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(sleeper("t")).await;
        peer.launch(sleeper("t"));
        peer.settle().await;
        eventually("it has started", || !site.read("t", "starts").is_empty()).await;
        peer.kill("unknown", None);
        peer.settle().await;
        assert_eq!(site.containers().len(), 1);
        assert_eq!(site.read("t", "starts").lines().count(), 1);
    });
}

#[test]
fn tasks_that_do_not_fit_are_refused_and_others_run_on() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(sleeper("small")).await;
        peer.launch(TaskInfo { resources: vec![scalar("cpus", 5.0)], ..sleeper("huge") });
        let status = peer.expect(TaskState::TaskError).await;
        assert!(status.message().contains("cpus:5"), "{}", status.message());
        peer.launch(TaskInfo { resources: vec![scalar("cpus", 4.0)], ..sleeper("large") });
        peer.expect(TaskState::TaskDropped).await;
        peer.run(TaskInfo { resources: vec![scalar("cpus", 3.9)], ..sleeper("fits") }).await;
        assert_eq!(site.containers().len(), 2);
    });
}

#[test]
fn what_a_task_wants_of_its_container_it_gets() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let volume = Volume {
            container_path: "seen".into(),
            host_path: Some("made".into()),
            mode: volume::Mode::Rw.into(),
            ..Default::default()
        };
        let (kind, soft, hard) = (Some(r_limit::Type::RlmtNofile.into()), Some(70), Some(80));
        let files = RLimit { r#type: kind, soft, hard };
        let container = ContainerInfo {
            r#type: container_info::Type::Mesos.into(),
            volumes: vec![volume],
            linux_info: Some(LinuxInfo { share_pid_namespace: Some(true), ..Default::default() }),
            rlimit_info: Some(RLimitInfo { rlimits: vec![files] }),
            ..Default::default()
        };
        let line = "ulimit -n; ulimit -Hn; [ $$ -gt 1 ] && echo shared; echo x > seen/file
            cat made/file; while :; do sleep 0.1; done";
        let task = TaskInfo {
            container: Some(container),
            limits: [("mem".to_owned(), value::Scalar { value: 96.0 })].into(),
            ..shell("t", line)
        };
        let running = peer.run(task).await;
        let id = running.container_status.unwrap().container_id.unwrap().value;
        eventually("it has looked", || site.read("t", "stdout").ends_with("x\n")).await;
        assert_eq!(site.read("t", "stdout"), "70\n80\nshared\nx\n");
        let containers = get(&site.url(&format!("/containers?container_id={id}"))).await.json();
        let statistics = &containers[0]["statistics"];
        assert_eq!(statistics["mem_limit_bytes"], 96 << 20);
        assert_eq!(statistics["mem_soft_limit_bytes"], 32 << 20);
        assert_eq!(statistics["cpus_soft_limit"], 102.0 / 1024.0);
        peer.kill("t", None);
        peer.expect(TaskState::TaskKilled).await;
    });
}
