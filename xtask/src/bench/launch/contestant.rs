//! What runs containers, one for each request.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use muster_harness::cgroup::Cgroup;
use muster_harness::paths;

use super::bundle;
use crate::bench::site::Site;

/// Who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Muster,
    Agent,
    Floor,
    Unshare,
    Crun,
    Runc,
    Docker,
}

/// A program that takes requests.
pub(super) struct Contestant {
    kind: Kind,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Muster => "muster's containerizer",
            Self::Agent => "muster agent",
            Self::Floor => "clone, chroot, exec",
            Self::Unshare => "unshare(1), chroot(1)",
            Self::Crun => "crun run",
            Self::Runc => "runc run",
            Self::Docker => "docker run",
        }
    }
}

impl Contestant {
    /// The containerizer, with `helper` as its helper.
    pub(super) fn muster(site: &Site, helper: &Path) -> Result<Self> {
        let root = format!("muster/{}", site.name("agent"));
        // Removed with the site.
        Cgroup::create(&root)?;
        let work = site.directory("muster")?;
        // As /run usually is, where agents keep what is known of containers.
        let script = "set -e; mkdir $1/run; mount -t tmpfs tmpfs $1/run; shift; exec \"$@\"";
        let mut command = apart(script);
        command.arg(&work).arg(program().get_program());
        command.arg("muster").arg(paths::images()).arg(work).arg(helper).arg(root);
        let mut contestant = Self::start(site, Kind::Muster, command)?;
        contestant.request("one")?;
        Ok(contestant)
    }

    /// A whole agent, `muster agent`, to which a small master gives tasks.
    pub(super) fn agent(site: &Site, muster: &Path) -> Result<Self> {
        let root = format!("muster/{}", site.name("tasks"));
        // Removed with the site.
        Cgroup::create(&root)?;
        let work = site.directory("agent")?;
        // Its pins go with its mounts.
        let script = "set -e; mkdir $1/run $1/bpf; mount -t tmpfs tmpfs $1/run; \
             mount -t bpf bpf $1/bpf; shift; exec \"$@\"";
        let mut command = apart(script);
        command.arg(&work).arg(paths::target().join("release/examples/task_cost"));
        command.arg(muster).arg(paths::images()).arg(work).arg(root);
        let mut contestant = Self::start(site, Kind::Agent, command)?;
        contestant.request("one")?;
        Ok(contestant)
    }

    /// Nothing but the kernel.
    pub(super) fn floor(site: &Site) -> Result<Self> {
        let mut command = program();
        command.arg("floor").arg(bundle::root()?);
        Self::start(site, Kind::Floor, command)
    }

    /// The same by programs that anybody has, as one would type it.
    pub(super) fn unshare(site: &Site) -> Result<Self> {
        let mut command = program();
        command.args(["command", "unshare", "--mount", "--pid", "--fork", "--uts", "--ipc"]);
        command.arg("chroot").arg(bundle::root()?).arg("/bin/true");
        Self::start(site, Kind::Unshare, command)
    }

    /// An OCI runtime. crun 1.8 refuses a v2 tree beside v1 controllers, so that it sees none.
    pub(super) fn runtime(site: &Site, kind: Kind) -> Result<Self> {
        let name = if kind == Kind::Crun { "crun" } else { "runc" };
        let bundle = bundle::make(site, name)?;
        let script = "set -e; if [ -d /sys/fs/cgroup/unified ]; then umount /sys/fs/cgroup/unified; fi; \
             mount -t overlay overlay -o \"lowerdir=$1,upperdir=$2/upper,workdir=$2/work\" $2/rootfs; \
             mount -t tmpfs tmpfs $2/state; shift 2; exec \"$@\"";
        let mut command = apart(script);
        command.arg(bundle::root()?).arg(&bundle).arg(program().get_program());
        command.arg("command").arg(name);
        command.arg("--root").arg(bundle.join("state"));
        command.arg("run").arg("--bundle").arg(&bundle).arg(site.name(name));
        Self::start(site, kind, command)
    }

    /// Starts a program that takes requests.
    pub(super) fn start(site: &Site, kind: Kind, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = site.start_local(command)?;
        let input = child.stdin.take().context("it has no input")?;
        let output = child.stdout.take().context("it has no output")?;
        let mut contestant = Self { kind, input, output: BufReader::new(output) };
        let line = contestant.line()?;
        ensure!(line == "ready", "{} is not ready: {line:?}", kind.name());
        Ok(contestant)
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The numbers that answer a request.
    pub(super) fn request(&mut self, request: &str) -> Result<Vec<f64>> {
        writeln!(self.input, "{request}")?;
        let line = self.line()?;
        let numbers = line.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        ensure!(numbers.len() > 1, "{} answers {line:?} to {request}", self.kind.name());
        Ok(numbers)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(!line.is_empty(), "{} ended; it said why above", self.kind.name());
        Ok(line.trim_end().to_owned())
    }
}

/// A shell script, which gets the arguments that are added, with mounts of its own.
fn apart(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
    command
}

/// The program that all are measured by.
pub(super) fn program() -> Command {
    Command::new(paths::target().join("release/examples/launch_cost"))
}
