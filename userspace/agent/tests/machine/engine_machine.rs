//! What tasks of a real Docker engine use of the machine, and how long.

use std::fs;

use muster_api::mesos::container_info::DockerInfo;
use muster_api::mesos::container_info::docker_info::{Network, PortMapping};
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{DurationInfo, Parameter, TaskInfo, TaskState, Volume, volume};
use serde_json::{Value, json};

use super::docker::{docker, engine, image, ports, with};
use super::dockerd::IMAGE;
use super::http::get;
use super::master::Master;
use super::site::{Site, eventually, on_site};
use super::tasks::grace;

async fn statistics(site: &Site) -> Value {
    get(&site.url("/monitor/statistics")).await.json()[0]["statistics"].clone()
}

#[test]
fn statistics_are_those_of_the_engine_and_of_what_went_through_its_network() {
    on_site(async |site| {
        let _engine = engine(site).await;
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let mapping = PortMapping { host_port: 31009, container_port: 80, protocol: None };
        let bridged = DockerInfo {
            network: Some(Network::Bridge.into()),
            port_mappings: vec![mapping],
            ..image()
        };
        let serve = "cd $MESOS_SANDBOX; head -c 1000000 /dev/zero | tr '\\0' x > big; \
                     i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; \
                     sleep 100000 & touch ready; exec httpd -f -p 80";
        let mut task = with("web", serve, bridged);
        task.resources.push(ports(31009));
        peer.run(task).await;
        eventually("it is ready", || site.sandbox("web").join("ready").exists()).await;
        let url = "http://127.0.0.1:31009/big";
        eventually("it listens", || std::net::TcpStream::connect("127.0.0.1:31009").is_ok()).await;
        assert_eq!(get(url).await.body.len(), 1_000_000);
        let shown = statistics(site).await;
        let number = |name: &str| shown[name].as_f64().unwrap_or_else(|| panic!("{name}: {shown}"));
        assert!(number("net_tx_bytes") > 1_000_000.0, "{shown}");
        assert!(number("net_tx_packets") > 10.0 && number("net_rx_packets") > 10.0, "{shown}");
        assert!(number("net_rx_bytes") > 100.0 && number("net_rx_bytes") < 1_000_000.0, "{shown}");
        assert_eq!((number("net_tx_errors"), number("net_rx_dropped")), (0.0, 0.0));
        assert!(number("cpus_user_time_secs") + number("cpus_system_time_secs") > 0.0, "{shown}");
        assert!(number("mem_total_bytes") > 4096.0 && number("mem_rss_bytes") > 4096.0, "{shown}");
        // The server and the sleeper.
        assert!(number("processes") >= 2.0 && number("threads") >= 2.0, "{shown}");
        peer.kill("web", Some(grace(0)));
        peer.end().await;
        // The machine's network is not its own.
        peer.run(docker("host", "exec sleep 100000")).await;
        let shown = statistics(site).await;
        assert!(shown["net_rx_bytes"].is_null() && shown["processes"] == 1, "{shown}");
        peer.kill("host", Some(grace(0)));
        peer.end().await;
    });
}

#[test]
fn a_task_of_the_engine_whose_time_is_over_has_failed() {
    on_site(async |site| {
        let engine = engine(site).await;
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let limit = Some(DurationInfo { nanoseconds: 200_000_000 });
        let task = docker("t", "trap 'exit 0' TERM; while :; do sleep 0.05; done");
        peer.launch(TaskInfo { max_completion_time: limit, ..task });
        let status = peer.end().await;
        assert_eq!(status.state(), TaskState::TaskFailed, "{status:?}");
        assert_eq!(status.reason(), Reason::MaxCompletionTimeReached);
        eventually("the container is gone", || engine.containers().is_empty()).await;
    });
}

/// The line of a `/proc/…/status`.
fn line(status: &str, name: &str) -> String {
    let found = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap().trim().to_owned()
}

/// Whether root of this machine has all capabilities that its kernel knows.
fn is_whole(bounding: &str) -> bool {
    let last: u32 =
        fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap().trim().parse().unwrap();
    u64::from_str_radix(bounding, 16).unwrap() == (1 << (last + 1)) - 1
}

#[test]
fn who_is_privileged_may_do_all_that_root_may() {
    on_site(async |site| {
        let _engine = engine(site).await;
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let own = line(&fs::read_to_string("/proc/self/status").unwrap(), "CapBnd");
        for (id, privileged) in [("usual", false), ("privileged", true)] {
            let info = DockerInfo { privileged: Some(privileged), ..image() };
            peer.launch(with(id, "cat /proc/self/status; ls /dev", info));
            let status = peer.end().await;
            if privileged && !is_whole(&own) {
                // The engine gives all there are, which it cannot here.
                assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
                assert!(status.message().contains("unable to apply caps"), "{status:?}");
                continue;
            }
            assert_eq!(status.state(), TaskState::TaskFinished, "{status:?}");
            let said = site.read(id, "stdout");
            assert_eq!(line(&said, "CapEff") == own, privileged, "{own}: {said}");
            assert_eq!(line(&said, "Seccomp") == "0", privileged, "{said}");
            // The machine's devices.
            assert_eq!(said.lines().any(|name| name == "kmsg"), privileged, "{said}");
        }
    });
}

fn bound(mut task: TaskInfo, outside: &str, inside: &str, mode: volume::Mode) -> TaskInfo {
    task.container.as_mut().unwrap().volumes.push(Volume {
        mode: mode.into(),
        container_path: inside.into(),
        host_path: Some(outside.into()),
        ..Volume::default()
    });
    task
}

#[test]
fn an_absolute_path_of_the_host_is_a_volume() {
    on_site(async |site| {
        let _engine = engine(site).await;
        let shared = site.path("shared");
        fs::create_dir(&shared).unwrap();
        fs::write(shared.join("in"), "here\n").unwrap();
        let outside = shared.to_str().unwrap().to_owned();
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let write = "cat /data/in && echo out > /data/out";
        peer.launch(bound(docker("rw", write), &outside, "/data", volume::Mode::Rw));
        assert_eq!(peer.end().await.state(), TaskState::TaskFinished);
        assert_eq!(site.read("rw", "stdout"), "here\n");
        assert_eq!(fs::read_to_string(shared.join("out")).unwrap(), "out\n");
        // In the sandbox, and not to be written to.
        let write = "cat $MESOS_SANDBOX/data/out && ! echo no > $MESOS_SANDBOX/data/out";
        peer.launch(bound(docker("ro", write), &outside, "data", volume::Mode::Ro));
        assert_eq!(peer.end().await.state(), TaskState::TaskFinished);
        assert_eq!(fs::read_to_string(shared.join("out")).unwrap(), "out\n");
        // As docker run's --mount has it.
        let value = format!("type=bind,source={outside},target=/m,readonly");
        let flags =
            DockerInfo { parameters: vec![Parameter { key: "mount".into(), value }], ..image() };
        peer.launch(with("mount", "cat /m/out && ! echo no > /m/out", flags));
        assert_eq!(peer.end().await.state(), TaskState::TaskFinished);
        assert_eq!(site.read("mount", "stdout"), "out\n");
    });
}

#[test]
fn without_an_engine_or_by_choice_the_agent_runs_it_itself() {
    on_site(async |site| {
        let mut engine = engine(site).await;
        // The same image, for the agent's own containerizer.
        let images = site.path("images");
        fs::create_dir_all(&images).unwrap();
        let archive = images.join(format!("{IMAGE}.tar"));
        engine.docker(&["save", "--output", archive.to_str().unwrap(), IMAGE]);
        engine.stop();
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.launch(docker("own", "echo $MESOS_SANDBOX; cat /proc/self/cgroup"));
        let status = peer.end().await;
        assert_eq!(status.state(), TaskState::TaskFinished, "{status:?}");
        let said = site.read("own", "stdout");
        let root = format!("/muster-agent-test/{}/", site.name());
        assert!(said.starts_with("/mnt/mesos/sandbox\n") && said.contains(&root), "{said}");
        // What needs an engine says so, and which.
        let bridged = DockerInfo { network: Some(Network::Bridge.into()), ..image() };
        peer.launch(with("bridged", "true", bridged.clone()));
        let status = peer.end().await;
        assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
        let said = status.message();
        assert!(
            said.contains("does not answer")
                && said.contains("container.docker.network needs a Docker engine"),
            "{said}"
        );
        site.written().await;
        assert!(site.stop().success());

        // There is one, and it is not asked.
        engine.restart().await;
        site.set("docker_as_ucr", json!(true));
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(docker("chosen", "trap 'exit 0' TERM; while :; do cat /dev/null; done")).await;
        assert!(engine.containers().is_empty());
        peer.kill("chosen", Some(grace(0)));
        peer.end().await;
        peer.launch(with("bridged2", "true", bridged));
        let status = peer.end().await;
        assert!(
            status.message().contains("container.docker.network needs a Docker engine"),
            "{status:?}"
        );
    });
}
