//! Checks of running tasks, whose results are told and no more; and where checks are made.

use std::path::Path;
use std::process::Command;

use muster_api::TaskStateExt;
use muster_api::mesos::capability_info::Capability;
use muster_api::mesos::environment::Variable;
use muster_api::mesos::health_check::HttpCheckInfo;
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{
    CapabilityInfo, CheckInfo, CommandInfo, ContainerInfo, Environment, HealthCheck, LinuxInfo,
    SeccompInfo, TaskInfo, TaskState, TaskStatus, check_info, container_info,
};

use serde_json::json;

use super::groups::{launch, running};
use super::http::get as get_page;
use super::master::{Master, Peer};
use super::site::{Site, eventually, on_site};
use super::tasks::{grace, http, shell, sleeper};

fn often(kind: check_info::Type) -> CheckInfo {
    CheckInfo {
        r#type: Some(kind.into()),
        delay_seconds: Some(0.0),
        interval_seconds: Some(0.05),
        timeout_seconds: Some(20.0),
        ..CheckInfo::default()
    }
}

fn command(line: &str) -> CheckInfo {
    let variable =
        Variable { name: "LIMIT".into(), value: Some("7".into()), ..Variable::default() };
    let command = CommandInfo {
        value: Some(line.into()),
        environment: Some(Environment { variables: vec![variable] }),
        ..CommandInfo::default()
    };
    let command = Some(check_info::Command { command });
    CheckInfo { command, ..often(check_info::Type::Command) }
}

fn get(port: u16) -> CheckInfo {
    let http = Some(check_info::Http { port: port.into(), path: None });
    CheckInfo { http, ..often(check_info::Type::Http) }
}

/// The next update, which must tell what a check has found.
async fn found(peer: &mut Peer) -> TaskStatus {
    let status = peer.expect(TaskState::TaskRunning).await;
    assert_eq!(status.reason(), Reason::TaskCheckStatusUpdated, "{status:?}");
    status
}

/// The exit code that the next update must tell.
async fn code(peer: &mut Peer) -> Option<i32> {
    found(peer).await.check_status.unwrap().command.unwrap().exit_code
}

#[test]
fn what_a_command_returns_is_told_when_it_changes_and_after_a_crash() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        // Each check takes notice of the one before.
        let check = command("echo x >> checks; [ -e bad ] && exit $LIMIT; exit 0");
        let status = peer.run(TaskInfo { check: Some(check), ..sleeper("t") }).await;
        assert_eq!(status.check_status.unwrap().command.unwrap().exit_code, None);
        assert_eq!(code(&mut peer).await, Some(0));
        site.written().await;
        site.kill();
        let before = site.read("t", "checks").len();
        site.start();
        let (mut peer, register) = master.register().await;
        let told = register.tasks[0].status.as_ref().unwrap().check_status.unwrap();
        assert_eq!(told.command.unwrap().exit_code, Some(0));
        // It is checked on, and what was told is not told again.
        eventually("it is checked", || site.read("t", "checks").len() > before + 4).await;
        std::fs::write(site.sandbox("t").join("bad"), "").unwrap();
        assert_eq!(code(&mut peer).await, Some(7));
        let state = get_page(&site.url("/state")).await.json();
        let statuses = &state["frameworks"][0]["executors"][0]["tasks"][0]["statuses"];
        let latest = statuses.as_array().and_then(|all| all.last()).unwrap();
        assert_eq!(latest["check_status"]["command"]["exit_code"], 7, "{latest}");
        peer.kill("t", Some(grace(20)));
        let status = peer.expect(TaskState::TaskKilled).await;
        assert_eq!(status.check_status.unwrap().command.unwrap().exit_code, None);
        let nested = site.sandbox("t").join("containers");
        eventually("nothing is left of the checks", || {
            std::fs::read_dir(&nested).is_ok_and(|entries| entries.count() == 0)
        })
        .await;
    });
}

/// Whether a process of this machine has these arguments.
fn runs(arguments: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.into_iter().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ") == arguments
    })
}

#[test]
fn a_check_that_hangs_is_ended_with_all_that_it_forked() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        // Numbers of this test process alone.
        let (away, here) = (format!("1{}", std::process::id()), format!("2{}", std::process::id()));
        let line = format!(
            "[ -e well ] && exit 0; setsid sleep {away} & echo >> checks; exec sleep {here}"
        );
        let check = CheckInfo { timeout_seconds: Some(1.0), ..command(&line) };
        peer.run(TaskInfo { check: Some(check), ..sleeper("t") }).await;
        // A check that finds nothing is not told, and the next one is carried out.
        eventually("there are checks", || site.read("t", "checks").len() > 2).await;
        std::fs::write(site.sandbox("t").join("well"), "").unwrap();
        assert_eq!(code(&mut peer).await, Some(0));
        let left = || runs(&format!("sleep {away}")) || runs(&format!("sleep {here}"));
        eventually("nothing is left of them", || !left()).await;
    });
}

#[test]
fn a_check_under_way_when_the_agent_is_killed_is_removed_by_the_next_one() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let here = format!("3{}", std::process::id());
        let line = format!("[ -e well ] && exit 0; echo >> checks; exec sleep {here}");
        peer.run(TaskInfo { check: Some(command(&line)), ..sleeper("t") }).await;
        let hangs = format!("sleep {here}");
        eventually("the check hangs", || runs(&hangs)).await;
        let sandboxes = || {
            let all = std::fs::read_dir(site.sandbox("t").join("containers")).unwrap();
            all.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
        };
        let before = sandboxes();
        let [sandbox] = &before[..] else { panic!("{before:?}") };
        site.kill();
        assert!(sandbox.exists() && runs(&hangs));
        std::fs::write(site.sandbox("t").join("well"), "").unwrap();
        site.start();
        let (mut peer, _) = master.register().await;
        assert_eq!(code(&mut peer).await, Some(0));
        eventually("nothing is left of it", || !sandbox.exists() && !runs(&hangs)).await;
    });
}

#[test]
fn tasks_of_a_group_are_checked_where_they_are() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let check = command("echo x > checked; exit 3");
        launch(&peer, vec![TaskInfo { check: Some(check), ..sleeper("a") }], true);
        let status = running(&mut peer, 1).await.remove(0);
        let id = status.container_status.unwrap().container_id.unwrap();
        assert_eq!(code(&mut peer).await, Some(3));
        let sandbox = site.sandbox("pods").join("containers").join(&id.value);
        assert!(sandbox.join("checked").is_file());
        peer.kill("a", Some(grace(20)));
        assert!(peer.update().await.state().is_terminal());
    });
}

/// A task that may make a network namespace.
fn free(id: &str, line: &str) -> TaskInfo {
    let all = vec![
        Capability::SysAdmin.into(),
        Capability::NetAdmin.into(),
        Capability::NetBindService.into(),
        Capability::DacOverride.into(),
        Capability::Kill.into(),
    ];
    let capabilities = Some(CapabilityInfo { capabilities: all });
    let linux = LinuxInfo {
        effective_capabilities: capabilities.clone(),
        bounding_capabilities: capabilities,
        seccomp: Some(SeccompInfo { unconfined: Some(true), ..SeccompInfo::default() }),
        ..LinuxInfo::default()
    };
    let container = ContainerInfo {
        r#type: container_info::Type::Mesos.into(),
        linux_info: Some(linux),
        ..ContainerInfo::default()
    };
    TaskInfo { container: Some(container), ..shell(id, line) }
}

#[test]
fn checks_are_made_in_the_network_of_the_container() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        let bound = "SYS_ADMIN NET_ADMIN NET_BIND_SERVICE DAC_OVERRIDE KILL";
        let bound: Vec<_> = bound.split(' ').collect();
        site.set("bounding_capabilities", json!({ "capabilities": bound }).to_string().into());
        site.start();
        let (mut peer, _) = master.register().await;
        let line = "exec unshare -n /bin/sh -c 'ip link set lo up; echo hello > index.html; \
                    exec busybox httpd -f -p 127.0.0.1:8077'";
        let health = HealthCheck { grace_period_seconds: Some(60.0), ..http(8077) };
        let task =
            TaskInfo { check: Some(get(8077)), health_check: Some(health), ..free("t", line) };
        peer.run(task).await;
        let (mut healthy, mut status_code) = (None, None);
        // Which of them is first, and how often nothing listens yet, is not said.
        while healthy.is_none() || status_code.is_none() {
            let status = peer.expect(TaskState::TaskRunning).await;
            healthy = status.healthy;
            status_code = status.check_status.unwrap().http.unwrap().status_code;
        }
        assert_eq!((healthy, status_code), (Some(true), Some(200)));
        // It is not in the agent's.
        let port = ("127.0.0.1", 8077);
        assert!(std::net::TcpStream::connect(port).is_err());
    });
}

fn certificate(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=nobody", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

#[test]
fn https_is_checked_whoever_the_certificate_is_of() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let directory = site.path("tls");
        certificate(&directory);
        let port = Site::free_port();
        let line = format!(
            "cd {}; exec openssl s_server -accept 127.0.0.1:{port} -www -quiet -cert cert.pem \
             -key key.pem",
            directory.display()
        );
        let info = HttpCheckInfo {
            port: port.into(),
            scheme: Some("https".into()),
            statuses: vec![200],
            ..HttpCheckInfo::default()
        };
        let check =
            |info| HealthCheck { http: Some(info), grace_period_seconds: Some(60.0), ..http(port) };
        let task = TaskInfo { health_check: Some(check(info.clone())), ..shell("t", &line) };
        peer.run(task).await;
        let status = peer.expect(TaskState::TaskRunning).await;
        assert_eq!(status.healthy, Some(true), "{status:?}");
        peer.kill("t", Some(grace(0)));
        peer.end().await;
        // Plain HTTP is no answer there, and another status than the good one is none either.
        for info in [
            HttpCheckInfo { scheme: None, ..info.clone() },
            HttpCheckInfo { statuses: vec![204], ..info },
        ] {
            let check = HealthCheck { grace_period_seconds: Some(0.0), ..check(info) };
            let task = TaskInfo { health_check: Some(check), ..shell("t", &line) };
            peer.run(task).await;
            let status = peer.end().await;
            assert_eq!(status.state(), TaskState::TaskKilled);
            assert_eq!(status.healthy, Some(false), "{status:?}");
        }
    });
}
