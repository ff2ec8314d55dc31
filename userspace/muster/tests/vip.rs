//! `muster vip` as it is run, against a data plane in a real kernel. Needs root.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use muster_api::muster::{Backend, Protocol, Vip, VipKey};
use muster_dataplane::{
    Config, DataPlane, Forward, Policy, VipBackend, cgroup2_mount, monitor_router,
};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;

const NAME: &str = "web.marathon.l4lb.thisdcos.directory";

/// A data plane that is served over HTTP; nothing is left of it when it is dropped.
struct Served {
    config: Config,
    plane: Option<Arc<Mutex<DataPlane>>>,
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Served {
    /// `None`, with the reason printed, where there can be none.
    fn new(name: &str) -> Option<Self> {
        let mount = cgroup2_mount();
        let bpffs = PathBuf::from("/sys/fs/bpf");
        let (true, Some(mount), true) = (geteuid().is_root(), mount, bpffs.is_dir()) else {
            assert!(std::env::var_os("CI").is_none(), "needs root, cgroup v2 and bpffs");
            eprintln!("skipped: needs root, cgroup v2 and bpffs");
            return None;
        };
        let agent = format!("muster-vip-{name}-{}", std::process::id());
        let cgroup = mount.join(&agent);
        let (policy, backend) = (Policy::default(), VipBackend::Ebpf);
        let config = Config { agent, bpffs, cgroup, policy, backend, forward: Forward::default() };
        let plane = Arc::new(Mutex::new(DataPlane::open(&config).unwrap()));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = monitor_router(Arc::clone(&plane));
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Some(Self { config, plane: Some(plane), address, runtime: Some(runtime) })
    }

    fn reconcile(&self, vips: &[Vip]) {
        let changes = self.plane.as_ref().unwrap().lock().unwrap().reconcile(vips).unwrap();
        assert!(changes.skipped.is_empty(), "{changes:?}");
    }

    /// Connects from the agent's cgroup; whether it succeeds.
    fn connect(&self, address: &str, port: u16) -> bool {
        let line = format!("echo $$ > \"$0\"/cgroup.procs && exec 3<>/dev/tcp/{address}/{port}");
        let mut bash = Command::new("bash");
        bash.args(["-c", &line]).arg(&self.config.cgroup).stderr(Stdio::null());
        bash.status().unwrap().success()
    }

    fn muster(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.args(["vip", "--agent-url", &self.address.to_string()]).stdin(Stdio::null());
        command
    }

    fn vip(&self, arguments: &[&str]) -> Output {
        self.muster().args(arguments).output().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Whoever serves it has it open.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_mins(1));
        }
        self.plane = None;
        let removed = DataPlane::remove(&self.config);
        if !std::thread::panicking() {
            removed.unwrap();
        }
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The lines of a success.
fn lines(output: &Output) -> Vec<Vec<&str>> {
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).lines().map(|line| line.split_whitespace().collect()).collect()
}

fn view(name: &str, address: &str, port: u32, backends: &[(&str, u16)]) -> Vip {
    let key = VipKey { address: address.into(), port, protocol: Protocol::Tcp.into() };
    let backend = |(address, port): &(&str, u16)| Backend {
        address: (*address).to_owned(),
        port: (*port).into(),
        weight: 1,
        ..Backend::default()
    };
    let backends = backends.iter().map(backend).collect();
    Vip { key: Some(key), name: name.into(), backends, ..Vip::default() }
}

/// A port of loopback where connections are taken.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || while listener.accept().is_ok() {});
    port
}

#[test]
fn vips_are_listed_and_shown() {
    let Some(plane) = Served::new("list") else { return };
    let port = server();
    plane.reconcile(&[
        view(NAME, "11.0.0.1", 80, &[("127.0.0.1", port)]),
        view("", "11.0.0.2", 81, &[("127.0.0.1", 1)]),
    ]);
    for _ in 0..3 {
        assert!(plane.connect("11.0.0.1", 80));
    }
    assert!(!plane.connect("11.0.0.2", 81));

    let output = plane.vip(&["list"]);
    let rows = lines(&output);
    assert_eq!(rows[0][..4], ["NAME", "VIP", "PROTO", "POLICY"]);
    assert_eq!(rows[1][..8], [NAME, "11.0.0.1:80", "tcp", "p2c-ewma", "1/1", "0", "3", "0"]);
    assert!(rows[1][8].ends_with('s'), "a latency: {rows:?}");
    assert_eq!(rows[2], ["-", "11.0.0.2:81", "tcp", "p2c-ewma", "1/1", "0", "0", "1", "-", "-"]);

    let output = plane.vip(&["show", "web"]);
    let rows = lines(&output);
    assert_eq!(rows[0], [NAME, "11.0.0.1:80/tcp", "p2c-ewma"]);
    let backend = format!("127.0.0.1:{port}");
    assert_eq!(rows[2][..8], [backend.as_str(), "1", "up", "0", "3", "0", "0", "0"]);
    let output = plane.vip(&["show", "11.0.0.2:81"]);
    let unused = ["0", "0", "1", "1", "0", "-", "-", "-", "0", "0", "0", "-"];
    assert_eq!(lines(&output)[2][3..], unused);

    let output = plane.vip(&["show", "11.0.0.1", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown[0]["backends"][0]["latency"]["count"], 3, "{shown}");
    let output = plane.vip(&["list", "--json"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed["vips"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_wrong_is_said() {
    let Some(plane) = Served::new("wrong") else { return };
    let refused = |mut command: Command, code: i32, expected: &[&str]| {
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_eq!(text(&output.stdout), "");
        for part in expected {
            assert!(text(&output.stderr).contains(part), "{part}: {output:?}");
        }
    };
    let with = |arguments: &[&str]| {
        let mut command = plane.muster();
        command.args(arguments);
        command
    };
    refused(with(&["show", "nothing"]), 1, &["there is no VIP nothing", "muster vip list"]);
    refused(with(&["watch", "nothing"]), 1, &["there is no VIP nothing"]);
    refused(with(&["show"]), 2, &["<VIP>"]);
    refused(with(&["watch", "--interval", "0secs"]), 2, &["--interval"]);
    refused(with(&["watch", "--interval", "soon"]), 2, &["no duration"]);
    refused(with(&["watch", "--count", "0"]), 2, &["--count"]);
    let mut nobody = Command::new(env!("CARGO_BIN_EXE_muster"));
    nobody.args(["vip", "list", "--agent-url", "127.0.0.1:1"]);
    refused(nobody, 1, &["asking the agent at 127.0.0.1:1"]);
    let mut nobody = Command::new(env!("CARGO_BIN_EXE_muster"));
    nobody.args(["vip", "list", "--master-url", "127.0.0.1:1"]);
    refused(nobody, 1, &["asking the master at 127.0.0.1:1"]);
    // Something else listens there.
    let mut other = Command::new(env!("CARGO_BIN_EXE_muster"));
    other.args(["vip", "list", "--master-url", &plane.address.to_string()]);
    refused(other, 1, &["asking the master", "404"]);
}

/// Started, and killed if the test fails.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn watching_shows_rates_and_ends_when_it_is_interrupted() {
    let Some(plane) = Served::new("watch") else { return };
    plane.reconcile(&[view(NAME, "11.0.0.1", 80, &[("127.0.0.1", server())])]);
    let mut command = plane.muster();
    command.args(["watch", "--interval", "100ms", "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watching = Watching(command.spawn().unwrap());
    let mut looks = BufReader::new(watching.0.stdout.take().unwrap()).lines();
    let mut look = || -> Value { serde_json::from_str(&looks.next().unwrap().unwrap()).unwrap() };
    let first = look();
    assert_eq!((&first[0]["vip"], &first[0]["health"]), (&"11.0.0.1:80".into(), &"1/1".into()));
    assert_eq!(first[0]["successes_per_second"], Value::Null);
    assert!(plane.connect("11.0.0.1", 80));
    // Sooner or later it is in what a look finds new, with its latency.
    let seen = loop {
        let seen = look();
        if seen[0]["successes_per_second"].as_f64().unwrap() > 0.0 {
            break seen;
        }
    };
    assert_eq!(seen[0]["latency"]["count"], 1, "{seen}");

    let pid = Pid::from_raw(i32::try_from(watching.0.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    while looks.next().is_some() {}
    let status = watching.0.wait().unwrap();
    let mut said = String::new();
    watching.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(status.success(), "{status}: {said}");
    assert_eq!(said, "");

    // Without a terminal it prints tables, one after the other.
    let output = plane.vip(&["watch", "web", "--interval", "50ms", "--count", "2"]);
    let rows = lines(&output);
    assert_eq!(rows[0][..2], ["NAME", "BACKEND"]);
    assert_eq!(rows.iter().filter(|row| row.first() == Some(&NAME)).count(), 2, "{rows:?}");
    assert!(!text(&output.stdout).contains('\x1b'));
}
