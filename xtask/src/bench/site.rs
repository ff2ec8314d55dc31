//! Machines for a bench, and all that runs on them, removed together.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, Result};
use muster_harness::cgroup::Cgroup;
use muster_harness::instance::Instance;
use muster_harness::switch::Switch;
use muster_harness::{NetNs, command, sweep};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// Some machines on one wire.
pub(super) struct Site {
    instance: Instance,
    switch: Switch,
    daemons: Cgroup,
}

impl Site {
    pub(super) fn start(name: &str) -> Result<Self> {
        let instance = Instance::claim(name)?;
        let switch = Switch::create(format!("{}-switch", instance.id()))?;
        let daemons = Cgroup::create(&sweep::daemons(instance.id()))?;
        Ok(Self { instance, switch, daemons })
    }

    /// A name that is removed with the site: of a namespace, a cgroup, a bpffs folder.
    pub(super) fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.instance.id())
    }

    /// A machine on the wire, with room for a new connection for each of many requests.
    pub(super) fn machine(&self, name: &str, address: Ipv4Addr) -> Result<NetNs> {
        let netns = NetNs::create(self.name(name))?;
        self.switch.connect(&netns, name, address)?;
        self.sysctl(&netns, "net/ipv4/ip_local_port_range", "1024 65535")?;
        self.sysctl(&netns, "net/ipv4/tcp_tw_reuse", "1")?;
        self.sysctl(&netns, "net/ipv4/tcp_max_syn_backlog", "8192")?;
        self.sysctl(&netns, "net/core/somaxconn", "8192")?;
        Ok(netns)
    }

    /// The wire's own namespace: each machine has an interface there, by its name.
    pub(super) fn switch(&self) -> Result<NetNs> {
        Ok(NetNs::existing(self.name("switch"))?)
    }

    /// Gives a machine another address on the wire.
    #[expect(clippy::unused_self, reason = "only machines of a site are changed")]
    pub(super) fn address(&self, netns: &NetNs, address: Ipv4Addr) -> Result<()> {
        let mut ip = Command::new("ip");
        ip.args(["address", "add", &format!("{address}/24"), "dev", "eth0"]);
        netns.place(&mut ip)?;
        command::output(&mut ip)?;
        Ok(())
    }

    /// Network settings belong to the network namespace of the thread that writes them.
    #[expect(clippy::unused_self, reason = "only machines of a site are changed")]
    pub(super) fn sysctl(&self, netns: &NetNs, name: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/{name}");
        netns.run(|| {
            fs::write(&path, value).map_err(muster_harness::Error::system("write", path.clone()))
        })?;
        Ok(())
    }

    /// Starts a program that ends with the site.
    pub(super) fn start_program(&self, mut command: Command, netns: &NetNs) -> Result<Child> {
        netns.place(&mut command)?;
        self.start_local(command)
    }

    /// Starts a program of the root's network that ends with the site.
    pub(super) fn start_local(&self, mut command: Command) -> Result<Child> {
        self.daemons.place(&mut command)?;
        let line = command::line(&command);
        command.spawn().with_context(|| format!("run {line}"))
    }

    /// Processor time of the site's programs, and of all that were run to their end.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        let run = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let run = run.user_time().num_microseconds() + run.system_time().num_microseconds();
        let path = self.daemons.directory().join("cpu.stat");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
        let usage: u64 = usage.with_context(|| format!("no usage_usec in {text}"))?.parse()?;
        Ok(Duration::from_micros(usage + u64::try_from(run)?))
    }

    /// Makes a directory in the site's own.
    pub(super) fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.instance.work().join(name);
        fs::create_dir(&path).with_context(|| format!("mkdir {}", path.display()))?;
        Ok(path)
    }

    /// Writes a file into the site's directory.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.instance.work().join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(error) = self.instance.release() {
            eprintln!("not all of the bench could be removed: {error}");
        }
    }
}
