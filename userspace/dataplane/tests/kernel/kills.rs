//! An agent killed before each of the calls by which it attaches to an interface, one after the other.

use std::{
    ffi::CStr,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::Command,
};

use aya::programs::{SchedClassifier, TcAttachType};
use muster_dataplane::{Config, DataPlane, Forward};
use nix::{
    libc,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill, raise},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, fork},
};
use serde_json::Value;

use crate::{
    forwarded::{Talk, connect, echo, greeting, vip},
    front::{filters, pins},
    hosts::{Hosts, NODE, SECOND, forwarding},
    machine::Machine,
    view::tcp,
};

/// More than there are.
const POINTS_MAX: usize = 200;

/// The first point after the tables of flows have been put into their places: three maps, two calls each.
const AFTER_TABLES: usize = 7;

/// What comes of an agent.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It was killed before its turn was over.
    Killed,
    /// It did all it had to do.
    Done,
}

/// Bytes of a process' memory; zeros where there is none.
fn bytes<const COUNT: usize>(process: Pid, at: u64) -> [u8; COUNT] {
    let mut bytes = [0; COUNT];
    File::open(format!("/proc/{process}/mem")).unwrap().read_at(&mut bytes, at).unwrap();
    bytes
}

/// A path that a process names in a call.
fn path(process: Pid, at: u64) -> PathBuf {
    let bytes = bytes::<512>(process, at);
    PathBuf::from(CStr::from_bytes_until_nul(&bytes).unwrap().to_str().unwrap())
}

/// What a call changes.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    /// The programs of the cgroup are attached; it is the interface's turn.
    First,
    Some,
}

fn change(process: Pid, number: i64, arguments: [u64; 6]) -> Change {
    let is_change = match number {
        // Pinning, and making, changing and detaching links.
        libc::SYS_bpf => matches!(arguments[0], 6 | 28 | 29 | 34),
        libc::SYS_rename => true,
        // Netlink's questions change nothing: two bits of a message's type say what it is.
        libc::SYS_sendto => bytes::<6>(process, arguments[1])[4] & 3 < 2,
        libc::SYS_unlink => {
            let path = path(process, arguments[0]);
            if path.ends_with("forwarding_next") {
                return Change::First;
            }
            path.exists()
        }
        _ => false,
    };
    if is_change { Change::Some } else { Change::None }
}

/// Runs an agent in a process of its own; kills it before its `point`th change at the interface.
fn run(config: &Config, view: &[muster_api::muster::Vip], point: usize) -> End {
    // SAFETY: as in `process`: the child uses memory, files and bpf(2).
    let agent = match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let done = catch_unwind(AssertUnwindSafe(|| {
                ptrace::traceme().unwrap();
                raise(Signal::SIGSTOP).unwrap();
                DataPlane::open(config).unwrap().reconcile(view).unwrap();
            }));
            // SAFETY: ends the process, and nothing else of the parent's.
            unsafe { libc::_exit(i32::from(done.is_err())) }
        }
    };
    waitpid(agent, Some(WaitPidFlag::__WALL)).unwrap();
    ptrace::setoptions(agent, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL).unwrap();
    let (mut has_begun, mut seen) = (false, 0);
    let mut signal = None;
    loop {
        // It may be dead by now.
        let _ = ptrace::syscall(agent, signal.take());
        match waitpid(agent, Some(WaitPidFlag::__WALL)).unwrap() {
            WaitStatus::PtraceSyscall(_) => {
                let Ok(info) = ptrace::syscall_info(agent) else { continue };
                if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
                    continue;
                }
                // SAFETY: that is what is there on the entry of a call.
                let call = unsafe { info.u.entry };
                match change(agent, call.nr.cast_signed(), call.args) {
                    Change::First => has_begun = true,
                    Change::Some if has_begun => seen += 1,
                    _ => {}
                }
                if seen == point {
                    kill(agent, Signal::SIGKILL).unwrap();
                    waitpid(agent, Some(WaitPidFlag::__WALL)).unwrap();
                    return End::Killed;
                }
            }
            WaitStatus::Exited(_, code) => {
                assert_eq!(code, 0, "the agent has failed");
                return End::Done;
            }
            WaitStatus::Stopped(_, other) => signal = Some(other),
            other => panic!("{other:?}"),
        }
    }
}

/// How many programs are at the interface: XDP, tcx of both sides, filters of both sides.
fn attached() -> [usize; 3] {
    let xdp = Command::new("bpftool").args(["-j", "net", "show", "dev", "eth0"]).output().unwrap();
    let xdp: Value = serde_json::from_slice(&xdp.stdout).unwrap();
    let tcx = [TcAttachType::Ingress, TcAttachType::Egress].map(|side| {
        SchedClassifier::query_tcx("eth0", side).map_or(0, |(_, programs)| programs.len())
    });
    let filters = ["ingress", "egress"].map(|side| filters(side).matches("direct-action").count());
    [xdp[0]["xdp"].as_array().map_or(0, Vec::len), tcx.iter().sum(), filters.iter().sum()]
}

/// Names in the agent's folder.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A node whose agent is to be killed, with backends here and elsewhere.
struct Node {
    hosts: Hosts,
    config: Config,
    view: [muster_api::muster::Vip; 1],
    means: &'static Means,
    /// Ends last.
    _machine: Machine,
}

/// By which packets are caught, and what is then there.
struct Means {
    interfaces: &'static str,
    pins: &'static [&'static str],
    attached: [usize; 3],
}

const XDP: Means = Means {
    interfaces: "eth0:xdp",
    pins: &["egress-eth0", "ingress-eth0", "xdp-eth0"],
    attached: [1, 2, 0],
};

const CLSACT: Means = Means {
    interfaces: "eth0:clsact",
    pins: &["filter-egress-eth0", "filter-ingress-eth0"],
    attached: [0, 0, 2],
};

// === impl Node ===

impl Node {
    fn new(means: &'static Means) -> Option<Self> {
        let mut machine = Machine::new()?;
        let hosts = Hosts::new();
        let config = forwarding(&mut machine, means.interfaces);
        let here = echo(NODE);
        let there = hosts.second.run(|| echo(SECOND));
        let view = [tcp("11.0.0.1:80", &[here, there])];
        Some(Self { hosts, config, view, means, _machine: machine })
    }

    fn open(&self, config: &Config) {
        DataPlane::open(config).unwrap().reconcile(&self.view).unwrap();
    }

    /// Nothing that was begun is left, and each program is there once.
    fn is_whole(&self) {
        let directory = self.config.directory().unwrap();
        for directory in [directory.clone(), directory.join("links")] {
            let names = names(&directory);
            assert!(names.iter().all(|name| !name.ends_with("_next")), "{names:?}");
        }
        assert_eq!(pins(&self.config), self.means.pins);
        assert_eq!(attached(), self.means.attached);
    }

    /// Kills an agent at each point of attaching for the first time.
    fn attach_killed(&self) {
        let killed = (AFTER_TABLES..POINTS_MAX).take_while(|point| {
            DataPlane::remove(&self.config).unwrap();
            assert_eq!(attached(), [0; 3]);
            let end = run(&self.config, &self.view, *point);
            self.open(&self.config);
            self.is_whole();
            self.hosts.client.run(|| greeting(&mut connect(vip())));
            end == End::Killed
        });
        self.is_enough(killed.count());
    }

    /// Kills one agent after the other at each point of replacing what is attached, and the tables of flows by
    /// others of another size, while connections go on.
    fn replace_killed(&self) {
        self.open(&self.config);
        let (talk, talking) = Talk::begin(&self.hosts.client, 20, vip());
        let sizes = [2_048, 2_048, 4_096, 4_096].into_iter().cycle();
        let killed = (1..POINTS_MAX).zip(sizes).take_while(|(point, flows)| {
            let forward = Forward { flows: *flows, ..self.config.forward.clone() };
            let end = run(&Config { forward, ..self.config.clone() }, &self.view, *point);
            assert_eq!(attached(), self.means.attached);
            talk.goes_on(&talking);
            end == End::Killed
        });
        self.is_enough(killed.count());
        self.open(&self.config);
        self.is_whole();
        talk.goes_on(&talking);
        talk.end(talking);
    }

    /// Two or three programs are put into their places, each in three calls; or three maps in two, and then a call
    /// for each program.
    fn is_enough(&self, points: usize) {
        println!("{}: killed at {points} points", self.means.interfaces);
        assert!((6..POINTS_MAX / 2).contains(&points), "{points} points");
    }
}

#[test]
fn agent_killed_while_it_attaches_links() {
    if let Some(node) = Node::new(&XDP) {
        node.attach_killed();
    }
}

#[test]
fn agent_killed_while_it_attaches_filters() {
    if let Some(node) = Node::new(&CLSACT) {
        node.attach_killed();
    }
}

#[test]
fn agent_killed_while_it_replaces_links() {
    if let Some(node) = Node::new(&XDP) {
        node.replace_killed();
    }
}

#[test]
fn agent_killed_while_it_replaces_filters() {
    if let Some(node) = Node::new(&CLSACT) {
        node.replace_killed();
    }
}
