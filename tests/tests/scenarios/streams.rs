//! Thousands of TCP connections to a VIP that last, and new ones beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use muster_harness::marathon::Task;
use muster_harness::{Cluster, ready};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::WITHIN;

const PROGRAM: &str = env!("CARGO_BIN_EXE_streams");

/// Makes an instance of [`app`] unhealthy when it is in its sandbox.
const SICK: &str = "sick";

/// The servers, behind the VIP `/streams:80`: checked every second, and never killed for it.
pub(crate) fn app(instances: usize) -> Value {
    json!({
        "id": "/streams",
        "cpus": 0.1,
        "mem": 512,
        "instances": instances,
        "cmd": serve(4096),
        "portDefinitions": [
            // Of a hundred connections some come to each, also to one that was slow.
            {
                "port": 0, "protocol": "tcp",
                "labels": { "VIP_0": "/streams:80", "VIP_0_POLICY": "random" },
            }
        ],
        "healthChecks": [{
            "protocol": "COMMAND",
            "command": { "value": format!("test ! -e \"$MESOS_SANDBOX/{SICK}\"") },
            "delaySeconds": 0, "intervalSeconds": 1, "timeoutSeconds": 20,
            "gracePeriodSeconds": 60, "maxConsecutiveFailures": 1_000_000,
        }]
    })
}

/// The command of [`app`] that, when it is to end, serves on until its clients have left.
pub(crate) fn serve_on() -> String {
    format!("{} drain", serve(4096))
}

/// The command of [`app`], of which `backlog` connections and one may wait to be accepted.
pub(crate) fn serve(backlog: u32) -> String {
    // Of the machine: without an image.
    format!("exec {PROGRAM} serve $PORT0 $MESOS_TASK_ID {backlog}")
}

/// Lets this process, and so all that it starts, have enough files open for `connections`.
pub(crate) fn allow(connections: u64) {
    let enough = connections + 1024;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(enough), hard.max(enough)).unwrap();
}

/// Makes the checks of a task of [`app`] fail from now on.
pub(crate) fn sicken(cluster: &Cluster, task: &str) {
    let sandboxes = cluster.sandboxes().unwrap();
    let sandbox = sandboxes.iter().find(|sandbox| sandbox.task == task).unwrap();
    fs::write(sandbox.path.join(SICK), "").unwrap();
}

/// Where a task of [`app`] serves, as `/vips` names it.
pub(crate) fn address(cluster: &Cluster, task: &Task) -> String {
    let machine = cluster.agents().iter().find(|machine| machine.hostname() == task.host);
    format!("{}:{}", machine.unwrap().address(), task.ports[0])
}

/// Waits until every agent sends new connections to the backend, or none does.
pub(crate) fn await_backend(cluster: &mut Cluster, vip: &str, backend: &str, taken: bool) {
    let what = format!("new connections to {backend} to be {taken}");
    cluster
        .wait_for(&what, WITHIN, |cluster| {
            for index in 0..cluster.agents().len() {
                let vips = cluster.vips(index)?;
                let shown = vips.get(vip).and_then(|backends| backends.get(backend));
                ready(shown == Some(&taken), || format!("agent {index} has {vips:?}"))?;
            }
            Ok(())
        })
        .unwrap();
}

/// A client process on an agent's machine, as a container of the agent would be.
pub(crate) struct Streams {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What came of opening connections: by server, how many.
#[derive(Debug, Deserialize)]
pub(crate) struct Opened {
    pub(crate) opened: BTreeMap<String, u64>,
    pub(crate) failed: Vec<String>,
}

/// What came of another exchange on each: how many live by server, and why others do not.
#[derive(Debug, Deserialize)]
pub(crate) struct Exchanged {
    pub(crate) alive: BTreeMap<String, u64>,
    pub(crate) lost: BTreeMap<String, BTreeMap<String, u64>>,
}

/// What new connections there were since it was last asked.
#[derive(Debug, Deserialize)]
pub(crate) struct Churned {
    pub(crate) servers: BTreeMap<String, Server>,
    pub(crate) failed: Vec<String>,
}

/// What held connections to each server have exchanged since it was last asked, all at once and
/// without a pause, and why some do not any more.
#[derive(Debug, Deserialize)]
pub(crate) struct Pumped {
    pub(crate) servers: BTreeMap<String, Pump>,
    pub(crate) lost: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Held connections to one server.
#[derive(Debug, Deserialize)]
pub(crate) struct Pump {
    pub(crate) alive: u64,
    /// The fewest exchanges of one of them.
    pub(crate) least: u64,
}

/// New connections to one server.
#[derive(Debug, Deserialize)]
pub(crate) struct Server {
    pub(crate) count: u64,
    /// When the last one began, in ms of `CLOCK_MONOTONIC`.
    pub(crate) last_ms: i64,
}

impl Streams {
    pub(crate) fn start(cluster: &Cluster, index: usize) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("hold").stdin(Stdio::piped()).stdout(Stdio::piped());
        cluster.agents()[index].client().unwrap().place(&mut command).unwrap();
        let mut child = command.spawn().unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, commands, answers }
    }

    /// Opens `count` more connections, and holds them.
    pub(crate) fn open(&mut self, count: u64, vip: &str) -> Opened {
        self.ask(&format!("open {count} {vip}"))
    }

    /// Exchanges something on all that are held.
    pub(crate) fn exchange(&mut self) -> Exchanged {
        self.ask("exchange")
    }

    /// All connections that are `expected` live, each by another exchange; nothing else was lost.
    pub(crate) fn prove(&mut self, expected: &BTreeMap<String, u64>, when: &str) {
        let exchanged = self.exchange();
        assert!(exchanged.lost.is_empty(), "{when}: {exchanged:?}");
        assert_eq!(&exchanged.alive, expected, "{when}");
    }

    /// Opens `count` connections at once, and closes each that has exchanged something, or has
    /// not for seconds.
    pub(crate) fn burst(&mut self, count: u64, vip: &str) -> Opened {
        self.ask(&format!("burst {count} {vip}"))
    }

    /// Begins making new connections, one after the other.
    pub(crate) fn churn(&mut self, vip: &str) {
        let _: Value = self.ask(&format!("churn {vip}"));
    }

    /// What has become of them since this was last asked.
    pub(crate) fn churned(&mut self) -> Churned {
        self.ask("churned")
    }

    /// Begins exchanging something on all that are held, all the time.
    pub(crate) fn pump(&mut self) {
        let _: Value = self.ask("pump");
    }

    /// Waits until each of the connections has exchanged something several times from now on:
    /// those that are `expected`, and no other was lost.
    pub(crate) fn pumped(
        &mut self,
        cluster: &mut Cluster,
        expected: &BTreeMap<String, u64>,
        when: &str,
    ) {
        let mut exchanges = BTreeMap::<String, u64>::new();
        let mut first = true;
        cluster
            .wait_for(&format!("exchanges on all connections {when}"), WITHIN, |_| {
                let now: Pumped = self.ask("pumped");
                assert!(now.lost.is_empty(), "{when}: {:?}", now.lost);
                let alive = now.servers.iter().map(|(server, pump)| (server.clone(), pump.alive));
                assert_eq!(&alive.collect::<BTreeMap<_, _>>(), expected, "{when}");
                // Those that were under way may have begun before.
                if std::mem::take(&mut first) {
                    return ready(false, || "the first are left out".into());
                }
                for (server, pump) in now.servers {
                    *exchanges.entry(server).or_default() += pump.least;
                }
                ready(exchanges.values().all(|least| *least > 3), || format!("{exchanges:?}"))
            })
            .unwrap();
    }

    /// Closes the connections to a server that are being exchanged on.
    pub(crate) fn leave(&mut self, server: &str) {
        let _: Value = self.ask(&format!("leave {server}"));
    }

    fn ask<T: for<'de> Deserialize<'de>>(&mut self, command: &str) -> T {
        writeln!(self.commands, "{command}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// Waits until at least `count` new connections were made, all from now on and none failed,
    /// and says to which servers.
    pub(crate) fn new_ones(&mut self, cluster: &mut Cluster, count: u64) -> BTreeSet<String> {
        let before = self.churned();
        assert!(before.failed.is_empty(), "{:?}", before.failed);
        // The one that was under way may have been decided before.
        let mut servers = BTreeMap::<String, u64>::new();
        let mut skipped = false;
        cluster
            .wait_for(&format!("{count} new connections"), WITHIN, |_| {
                let now = self.churned();
                assert!(now.failed.is_empty(), "{:?}", now.failed);
                if !std::mem::replace(&mut skipped, true) {
                    return ready(false, || "the first are left out".into());
                }
                for (server, made) in now.servers {
                    *servers.entry(server).or_default() += made.count;
                }
                let made: u64 = servers.values().sum();
                ready(made >= count, || format!("{servers:?}"))
            })
            .unwrap();
        servers.into_keys().collect()
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is to be waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
