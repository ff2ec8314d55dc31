//! What is wrong is said once, clearly, and the rest runs on.

use std::fs;

use hyper::StatusCode;
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{TaskInfo, TaskState};
use nix::mount::{MsFlags, mount};

use super::http::get;
use super::master::Master;
use super::site::{Site, eventually, on_site};
use super::tasks::sleeper;

#[test]
fn what_keeps_an_agent_from_starting_is_named() {
    on_site(async |site| {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let refused = |change: &dyn Fn(&mut serde_json::Value), expected: &[&str]| {
            let (status, said) = site.run(change);
            assert!(!status.success(), "{said}");
            for part in expected {
                assert!(said.contains(part), "{part}: {said}");
            }
        };
        refused(&|c| c["port"] = port.into(), &["--port", &port.to_string(), "in use"]);
        refused(&|c| c["vip_port"] = port.into(), &["--vip-port", &port.to_string(), "in use"]);
        refused(&|c| c["net_port"] = port.into(), &["--net-port", &port.to_string(), "in use"]);
        refused(&|c| c["vip_port"] = 65_000.into(), &["--vip-port", "65000", "--net-port"]);
        refused(&|c| c["master"] = "".into(), &["--master", "HOST:PORT"]);
        refused(&|c| c["resources"] = "cpus:many".into(), &["--resources", "cpus"]);
        refused(&|c| c["name"] = "".into(), &["--name"]);
        refused(&|c| c["ip"] = "0.0.0.0".into(), &["--ip"]);
        refused(&|c| c["dir"] = "here".into(), &["--work-dir", "absolute"]);
        refused(&|c| c["bpffs"] = "/tmp".into(), &["/tmp", "mount -t bpf"]);
        refused(&|c| c["cgroups_root"] = "../x".into(), &["cgroups_root"]);
    });
}

#[test]
fn an_unreadable_store_is_not_overwritten() {
    on_site(async |site| {
        fs::create_dir(site.path("work")).unwrap();
        let path = site.path("work/agent.redb");
        fs::write(&path, "garbage").unwrap();
        let (status, said) = site.run(|_| {});
        assert!(!status.success());
        assert!(said.contains("agent.redb"), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "garbage");
        fs::remove_file(path).unwrap();
    });
}

#[test]
fn a_second_agent_of_the_same_directories_does_no_harm() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(sleeper("t")).await;
        let (status, said) = site.run(|config| config["port"] = Site::free_port().into());
        assert!(!status.success());
        assert!(said.contains("agent.redb") && said.contains("--work-dir"), "{said}");
        let (status, _) = site.cleanup();
        assert!(!status.success());
        assert_eq!(site.containers().len(), 1);
        peer.settle().await;
    });
}

#[test]
fn an_agent_without_a_master_says_so_and_goes_on_trying() {
    on_site(async |site| {
        site.start();
        eventually("it says so", || site.log().matches("no link to the master").count() >= 3).await;
        assert!(site.log().contains("http://127.0.0.1:5052/"), "{}", site.log());
        assert_eq!(get(&site.url("/metrics/snapshot")).await.json()["slave/registered"], 0);
        let mut master = Master::start(site.master());
        master.register().await;
    });
}

#[test]
fn a_full_disk_stops_new_tasks_and_no_old_ones() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        let work = site.path("work");
        fs::create_dir(&work).unwrap();
        let size = Some("size=8m");
        mount(Some("tmpfs"), &work, Some("tmpfs"), MsFlags::empty(), size).unwrap();
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(sleeper("old")).await;
        peer.settle().await;
        // It writes that, too.
        eventually("the old task has begun", || !site.read("old", "starts").is_empty()).await;
        // Takes all the room there is.
        let ballast = work.join("ballast");
        let mut file = fs::File::create(&ballast).unwrap();
        let filled = std::io::copy(&mut std::io::repeat(7), &mut file).unwrap_err();
        assert_eq!(filled.kind(), std::io::ErrorKind::StorageFull);

        // The store has some room in its file, and keeps some beside it; both are used up sooner
        // or later.
        let mut tasks = 0;
        let refused = loop {
            tasks += 1;
            let data = Some(vec![7; 128 << 10]);
            peer.launch(TaskInfo { data, ..sleeper(&format!("new{tasks}")) });
            let status = peer.end_or_run().await;
            if status.state() != TaskState::TaskRunning && status.message().contains("checkpoint") {
                break status;
            }
            assert!(tasks < 1000, "the disk is never full: {status:?}");
        };
        assert_eq!(refused.state(), TaskState::TaskFailed);
        assert_eq!(refused.reason(), Reason::ContainerLaunchFailed);
        let health = get(&site.url("/health")).await;
        assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(health.body.contains("agent.redb"), "{}", health.body);
        eventually("the old task runs on", || !site.read("old", "starts").is_empty()).await;

        drop(file);
        fs::remove_file(ballast).unwrap();
        in_health(site).await;
        peer.launch(sleeper("after"));
        loop {
            let status = peer.end_or_run().await;
            if status.task_id.value == "after" {
                assert_eq!(status.state(), TaskState::TaskRunning, "{status:?}");
                break;
            }
        }
    });
}

/// Waits until the agent writes checkpoints again.
async fn in_health(site: &Site) {
    super::site::in_time("the agent is healthy", async {
        while get(&site.url("/health")).await.status != StatusCode::OK {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[test]
fn cleanup_leaves_nothing() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(sleeper("t")).await;
        let pins = site.path("bpf/muster").join(site.name());
        assert!(pins.is_dir());
        site.kill();
        let (status, said) = site.cleanup();
        assert!(status.success(), "{said}");
        assert_eq!(site.cgroups(), [""; 0].map(std::path::PathBuf::from));
        assert!(!pins.exists());
        let mounts = fs::read_to_string("/proc/thread-self/mounts").unwrap();
        assert!(!mounts.contains("/images/"), "{mounts}");
        // The next one is another agent.
        site.start();
        let (_peer, register) = master.register().await;
        assert_eq!((register.tasks, register.info.unwrap().id), (vec![], None));
    });
}
