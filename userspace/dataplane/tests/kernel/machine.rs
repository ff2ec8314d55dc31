//! What a test needs of the machine, given back when it ends, however it ends.

use std::{
    env, fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use muster_dataplane::{Config, DataPlane, Forward, Policy, VipBackend, lacking};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::statfs::{FsType, statfs},
    unistd::geteuid,
};

use crate::server::PATIENCE;

const BPFFS: &str = "/sys/fs/bpf";
const BPF_FS_MAGIC: FsType = FsType(0xcafe_4a11);

/// Tests move their process between cgroups, so within one process they take turns.
static TURN: Mutex<()> = Mutex::new(());
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A test's place on the machine.
pub(crate) struct Machine {
    name: String,
    /// cgroup v2 directory that the process is in otherwise.
    home: PathBuf,
    /// The test's cgroup, with one for each agent below it.
    cgroup: PathBuf,
    bpffs: PathBuf,
    agents: Vec<Config>,
    /// Of the agents that are made from now on.
    pub(crate) policy: Policy,
    _turn: MutexGuard<'static, ()>,
}

// === impl Machine ===

impl Machine {
    /// A place of one's own, where VIPs can be served by eBPF. `None`, with the reason printed, where the
    /// kernel lacks what that takes.
    pub(crate) fn new() -> Option<Self> {
        let machine = Self::on_any_kernel()?;
        let lacking: Vec<String> = lacking().iter().map(ToString::to_string).collect();
        if lacking.is_empty() {
            return Some(machine);
        }
        eprintln!("skipped: the kernel lacks {}", lacking.join(", "));
        None
    }

    /// A place of one's own. `None`, with the reason printed, where the test cannot run;
    /// where it must (`CI=true`), a panic.
    pub(crate) fn on_any_kernel() -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        match Self::try_new(turn) {
            Ok(machine) => Some(machine),
            Err(reason) if env::var_os("CI").is_some_and(|value| value == "true") => {
                panic!("cannot run here, and CI=true: {reason}");
            }
            Err(reason) => {
                eprintln!("skipped: {reason}");
                None
            }
        }
    }

    fn try_new(turn: MutexGuard<'static, ()>) -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err("needs root".to_owned());
        }
        let (root, home) = cgroup2().ok_or("no cgroup v2 tree is mounted")?;
        // As the agent's own advice says; it stays mounted.
        if !statfs(BPFFS).is_ok_and(|fs| fs.filesystem_type() == BPF_FS_MAGIC) {
            mount(Some("bpf"), BPFFS, Some("bpf"), MsFlags::empty(), None::<&str>)
                .map_err(|error| format!("mount bpffs at {BPFFS}: {error}"))?;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("muster-dataplane-{}-{number}", process::id());
        let machine = Self {
            cgroup: root.join(&name),
            bpffs: Path::new(BPFFS).join(&name),
            name,
            home,
            agents: Vec::new(),
            policy: Policy::default(),
            _turn: turn,
        };
        fs::create_dir(&machine.cgroup).map_err(|error| format!("cgroup: {error}"))?;
        fs::create_dir(&machine.bpffs).map_err(|error| format!("bpffs: {error}"))?;
        // The namespace ends with the thread; what the thread starts inherits it.
        unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("unshare: {error}"))?;
        ip("link set lo up");
        Ok(machine)
    }

    /// Another agent of this machine.
    pub(crate) fn agent(&mut self) -> Config {
        let agent = format!("a{}", self.agents.len() + 1);
        let config = Config {
            cgroup: self.cgroup.join(&agent),
            bpffs: self.bpffs.clone(),
            agent: format!("{}.{agent}", self.name),
            policy: self.policy,
            backend: VipBackend::default(),
            forward: Forward::default(),
        };
        self.agents.push(config.clone());
        config
    }

    /// An agent whose VIPs are served by this, open, in a network with a route to VIPs, and
    /// this process in its cgroup.
    pub(crate) fn plane_by(&mut self, backend: VipBackend) -> (Config, DataPlane) {
        ip("link add uplink0 type veth peer name uplink1");
        ip("link set uplink0 up");
        ip("link set uplink1 up");
        ip("addr add 10.98.0.1/24 dev uplink0");
        ip("route add 11.0.0.0/8 dev uplink0");
        let config = Config { backend, ..self.agent() };
        let plane = DataPlane::open(&config).unwrap();
        fs::create_dir_all(&config.cgroup).unwrap();
        enter(&config.cgroup);
        (config, plane)
    }

    /// A cgroup that no agent's programs are attached to.
    pub(crate) fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// Puts this process back where it came from.
    pub(crate) fn leave(&self) {
        enter(&self.home);
    }

    /// An agent with its data plane open, and this process in its cgroup.
    pub(crate) fn plane(&mut self) -> (Config, DataPlane) {
        let config = self.agent();
        let plane = DataPlane::open(&config).unwrap();
        enter(&config.cgroup);
        (config, plane)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.leave();
        for agent in &self.agents {
            if let Err(error) = DataPlane::remove(agent) {
                eprintln!("{}: {error}", agent.agent);
            }
        }
        // Killed helpers and threads that end take a moment to leave, perhaps an agent's cgroup, which
        // has then stayed.
        wait_until("the test's cgroup is empty", || {
            for agent in &self.agents {
                // If it is still there, neither can this one be removed.
                let _ = fs::remove_dir(&agent.cgroup);
            }
            fs::remove_dir(&self.cgroup).is_ok()
        });
        fs::remove_dir(&self.bpffs).unwrap();
    }
}

/// An address of this thread's network that takes packets and never answers.
pub(crate) fn silent_address() -> IpAddr {
    ip("link add silent0 type veth peer name silent1");
    ip("link set silent0 up");
    ip("link set silent1 up");
    ip("addr add 10.99.0.1/24 dev silent0");
    ip("neigh add 10.99.0.2 lladdr 02:00:00:00:00:02 dev silent0");
    [10, 99, 0, 2].into()
}

/// Changes this thread's network namespace.
pub(crate) fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// What a program says of this thread's network.
pub(crate) fn said(command: &str) -> String {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Moves this process into a cgroup: sockets made from now on belong to it.
pub(crate) fn enter(cgroup: &Path) {
    fs::write(cgroup.join("cgroup.procs"), process::id().to_string()).unwrap();
}

/// Where cgroup v2 is mounted, and the directory there that this process is in.
fn cgroup2() -> Option<(PathBuf, PathBuf)> {
    let me = procfs::process::Process::myself().ok()?;
    let mounts = me.mountinfo().ok()?;
    let root = mounts.into_iter().find(|mount| mount.fs_type == "cgroup2")?.mount_point;
    let groups = me.cgroups().ok()?;
    let mine = groups.into_iter().find(|group| group.hierarchy == 0)?.pathname;
    let home = root.join(mine.trim_start_matches('/'));
    Some((root, home))
}

/// Waits, generously, for what must become true.
pub(crate) fn wait_until(what: &str, is_true: impl FnMut() -> bool) {
    wait_after(Duration::ZERO, what, is_true);
}

/// The same of what takes so long by itself.
pub(crate) fn wait_after(time: Duration, what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + time + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
