//! A machine for one test: namespaces, directories, and an agent that can be killed. When
//! it is dropped nothing is left of it, whether the test passed or not.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::http::get;
use super::master::{AGENT, FRAMEWORK};

/// Longer than anything here takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Site {
    directory: tempfile::TempDir,
    config: Value,
    agent: Option<Child>,
}

/// Runs a test on a site of its own.
pub(crate) fn on_site(test: impl AsyncFnOnce(&mut Site)) {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "agents run containers, which needs root");
        return eprintln!("skipped: agents run containers, which needs root");
    }
    let mut site = Site::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test(&mut site));
}

/// What `work` gives, if it does so in time.
pub(crate) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("never: {what}"))
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    in_time(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

impl Site {
    fn new() -> Self {
        // Of this thread, and of all it starts.
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
        assert!(up.success());
        let directory = tempfile::tempdir().unwrap();
        let bpffs = directory.path().join("bpf");
        fs::create_dir(&bpffs).unwrap();
        mount(Some("bpf"), &bpffs, Some("bpf"), MsFlags::empty(), None::<&str>).unwrap();
        let name = format!("t{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let port = |n: u16| 10_000 + n;
        let config = json!({
            "dir": directory.path(),
            "name": name,
            "ip": "127.0.0.1",
            "master": "127.0.0.1:5052",
            "port": port(5051),
            "vip_port": port(61_421 - 51_421),
            "resources": "cpus:4;mem:1024;ports:[31000-32000]",
            "cgroups_root": format!("muster-agent-test/{name}"),
            "bpffs": bpffs,
        });
        Self { directory, config, agent: None }
    }

    /// Sets something for the agents to be started.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.config[name] = value;
    }

    /// Where a master is to listen.
    pub(crate) fn master(&self) -> SocketAddr {
        self.config["master"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn name(&self) -> &str {
        self.config["name"].as_str().unwrap()
    }

    /// The URL of a path of the agent's HTTP interface.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.config["port"])
    }

    /// The URL of a path of the VIPs' HTTP interface.
    pub(crate) fn vip_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.config["vip_port"])
    }

    /// The URL of a path of dcos-net's HTTP interface.
    pub(crate) fn net_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.config["vip_port"].as_u64().unwrap() + 659)
    }

    fn spawn(&self, config: &Value) -> Child {
        let own = std::env::current_exe().unwrap();
        let agent = own.parent().and_then(Path::parent).unwrap().join("examples/agent");
        assert!(agent.is_file(), "run: cargo build -p muster-agent --example agent");
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        Command::new(agent)
            .arg("run")
            .arg(config.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    pub(crate) fn start(&mut self) {
        assert!(self.agent.is_none(), "an agent is running already");
        self.agent = Some(self.spawn(&self.config));
    }

    /// Ends the agent with SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
    }

    /// Asks the agent to end, and sees how it does.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let mut agent = self.agent.take().unwrap();
        kill(Pid::from_raw(agent.id().cast_signed()), Signal::SIGTERM).unwrap();
        agent.wait().unwrap()
    }

    /// Runs an agent that is expected to end by itself; gives how, and what it said.
    pub(crate) fn run(&self, change: impl FnOnce(&mut Value)) -> (ExitStatus, String) {
        let mut config = self.config.clone();
        change(&mut config);
        let before = self.log().len();
        let mut agent = self.spawn(&config);
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = agent.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                agent.kill().unwrap();
                agent.wait().unwrap();
                panic!("the agent does not end:\n{}", &self.log()[before..]);
            }
            std::thread::park_timeout(Duration::from_millis(10));
        };
        (status, self.log()[before..].to_owned())
    }

    /// Destroys all that belongs to the agent.
    pub(crate) fn cleanup(&self) -> (ExitStatus, String) {
        self.run(|config| config["recover"] = "cleanup".into())
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// What a task has written to a file of its latest sandbox.
    pub(crate) fn read(&self, task: &str, file: &str) -> String {
        fs::read_to_string(self.sandbox(task).join(file)).unwrap_or_default()
    }

    pub(crate) fn sandbox(&self, task: &str) -> PathBuf {
        let runs = format!("work/slaves/{AGENT}/frameworks/{FRAMEWORK}/executors/{task}/runs");
        self.path(&runs).join("latest")
    }

    /// The directories of the agent's root cgroup, in every hierarchy where it is.
    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        let mounts = fs::read_to_string("/proc/thread-self/mounts").unwrap();
        let trees = mounts.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            fields[2].starts_with("cgroup").then(|| PathBuf::from(fields[1]))
        });
        let root = self.config["cgroups_root"].as_str().unwrap();
        trees.map(|tree| tree.join(root)).filter(|path| path.exists()).collect()
    }

    /// The ids of all containers that have a cgroup.
    pub(crate) fn containers(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .cgroups()
            .iter()
            .flat_map(|root| fs::read_dir(root).unwrap())
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Waits until all that was said to the agent is dealt with and on disk.
    pub(crate) async fn written(&self) {
        in_time("the agent has written its checkpoints", async {
            loop {
                let metrics = get(&self.url("/metrics/snapshot")).await.json();
                let pending = ["slave/status_updates_pending", "slave/checkpoints_pending"];
                if pending.iter().all(|name| metrics[name] == 0) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// A port that nobody listens on.
    pub(crate) fn free_port() -> u16 {
        TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if self.agent.is_some() {
            self.kill();
        }
        let cleanup = || {
            let (status, said) = self.cleanup();
            assert!(status.success(), "{said}");
            assert_eq!(self.cgroups(), [""; 0].map(PathBuf::from));
        };
        if failed {
            eprintln!("{}", self.log());
            // It prints what is wrong; a second panic would hide the first.
            let _ = catch_unwind(AssertUnwindSafe(cleanup));
        } else {
            cleanup();
        }
    }
}
