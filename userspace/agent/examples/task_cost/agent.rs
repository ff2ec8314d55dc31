//! The agent, a process of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Failure;
use crate::memory::{self, Memory};

/// How many times it is looked at once whether nothing is left, before it is looked less often.
const LOOKS: u32 = 100;
/// Looks less often until it is given up.
const ATTEMPTS: u32 = 60_000;

/// An agent; it ends with this.
pub(crate) struct Agent {
    child: Child,
    work: PathBuf,
    /// The cgroups, in the v2 tree, of its containers, and of this program and the agent.
    containers: PathBuf,
    own: PathBuf,
}

impl Agent {
    /// Starts it. There is room for any number of tasks in what it offers.
    pub(crate) fn start(
        muster: &str,
        images: &str,
        work: &Path,
        cgroups: &str,
        master: SocketAddr,
    ) -> Result<Self, Failure> {
        let at = |name: &str| work.join(name).display().to_string();
        let log = File::create(work.join("log"))?;
        let mut command = Command::new(muster);
        command.args(["agent", "--master", &master.to_string(), "--ip", "127.0.0.1"]);
        command.args(["--port", "0", "--vip-port", "0", "--net-port", "0"]);
        command.args(["--name", "bench-launch", "--hostname", "bench-launch"]);
        command.args(["--work-dir", &at("work"), "--runtime-dir", &at("run/agent")]);
        command.args(["--fetcher-cache-dir", &at("fetch"), "--bpffs", &at("bpf")]);
        command.args(["--image-dir", images, "--cgroups-root", cgroups]);
        command.args(["--resources", "cpus:10000;mem:1000000;ports:[31000-32000]"]);
        command.arg("--cgroups-enable-cfs");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().map_err(|error| format!("run {muster}: {error}"))?;
        let unified = Path::new("/sys/fs/cgroup/unified");
        let tree = if unified.is_dir() { unified } else { Path::new("/sys/fs/cgroup") };
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
        let own = tree.join(own.ok_or("/proc/self/cgroup has no v2 tree")?);
        Ok(Self { child, work: work.to_owned(), containers: tree.join(cgroups), own })
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.work.join("log")).unwrap_or_default()
    }

    /// Waits until nothing is left of any container.
    pub(crate) async fn idle(&self) -> Result<(), Failure> {
        let known = self.work.join("run/agent/containers");
        for look in 0..ATTEMPTS {
            if !has_directories(&known)? && !has_directories(&self.containers)? {
                return Ok(());
            }
            if look < LOOKS {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Err("containers of ended tasks are never removed".into())
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> Result<Memory, Failure> {
        memory::of(&self.child.id().to_string())
    }

    /// Processor time of this program, of the agent and of its containers.
    pub(crate) fn processor(&self) -> Result<Duration, Failure> {
        Ok(usage(&self.own)? + usage(&self.containers)?)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn has_directories(path: &Path) -> Result<bool, Failure> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    for entry in entries {
        if entry?.file_type()?.is_dir() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Processor time of a cgroup and of all that was ever in it.
fn usage(cgroup: &Path) -> Result<Duration, Failure> {
    let path = cgroup.join("cpu.stat");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
    Ok(Duration::from_micros(usage.ok_or("cpu.stat has no usage_usec")?.parse()?))
}
