//! A data plane with a VIP.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use muster_harness::cgroup::Cgroup;
use muster_harness::{NetNs, command, paths};

use super::site::Site;

/// What is held.
pub(super) struct Held<'a> {
    /// `ebpf` or `nfqueue`.
    pub(super) by: &'a str,
    /// As `--vip-interfaces` has it, and the machine's address.
    pub(super) forward: Option<(&'a str, Ipv4Addr)>,
    pub(super) vip: SocketAddrV4,
    /// VIPs in all, the others with the same backends.
    pub(super) services: usize,
    pub(super) backends: &'a [SocketAddrV4],
}

/// Its process, which ends with the value.
pub(super) struct Holder {
    pub(super) cgroup: Cgroup,
    _lifeline: Lifeline,
}

/// What a process waits on the end of.
pub(super) struct Lifeline(#[expect(dead_code, reason = "it is dropped")] ChildStdin);

// === impl Holder ===

impl Holder {
    /// Starts it on a machine, by a name that no other has, and waits until it is there.
    pub(super) fn start(site: &Site, netns: &NetNs, name: &str, held: &Held<'_>) -> Result<Self> {
        let agent = site.name(name);
        let cgroup = Cgroup::create(&format!("muster/{agent}"))?;
        let (interfaces, address) = held.forward.unwrap_or(("none", Ipv4Addr::UNSPECIFIED));
        let mut hold = Command::new(paths::target().join("release/examples/vip_hold"));
        hold.arg(agent).arg(cgroup.directory()).args([held.by, interfaces]);
        hold.args([address.to_string(), held.services.to_string(), held.vip.to_string()]);
        hold.args(held.backends.iter().map(SocketAddrV4::to_string));
        Ok(Self { cgroup, _lifeline: Lifeline::start(site, netns, hold)? })
    }
}

// === impl Lifeline ===

impl Lifeline {
    /// Starts it on a machine, and waits until it says that it is ready.
    pub(super) fn start(site: &Site, netns: &NetNs, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let line = command::line(&command);
        let mut started = site.start_program(command, netns)?;
        let input = started.stdin.take().context("there is no input")?;
        let output = started.stdout.take().context("there is no output")?;
        let mut said = String::new();
        BufReader::new(output).read_line(&mut said)?;
        if said.trim() != "ready" {
            bail!("{line} is not ready: {said:?}");
        }
        Ok(Self(input))
    }
}
