//! Where it is measured: a network of its own with a data plane, removed however it ends.

use std::{fs, net::Ipv4Addr, process::Command};

use aya::{
    EbpfLoader,
    maps::{Array, Map, MapData},
    programs::{
        ProgramInfo,
        links::{FdLink, PinnedLink},
        loaded_programs,
    },
};
use muster_api::muster::{Backend, Vip, VipKey};
use muster_dataplane::{Config, DataPlane, Forward, Protocol};
use muster_packet::Forwarding;
use nix::sched::{CloneFlags, unshare};

use crate::{Failure, config::config, program::Program};

/// What the programs are measured against.
static REFERENCES: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/muster-references"));

/// The interface that the programs are attached to, and the other end of its wire.
const INTERFACE: &str = "eth0";
const WIRE: &str = "wire0";

/// This machine.
const NODE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Two VIPs, each the other's backend, with addresses of this machine.
pub(crate) const HERE: [Ipv4Addr; 2] = [Ipv4Addr::new(11, 0, 0, 1), Ipv4Addr::new(11, 0, 0, 2)];
/// Two more with addresses of other machines.
pub(crate) const ELSEWHERE: [Ipv4Addr; 2] =
    [Ipv4Addr::new(11, 0, 0, 3), Ipv4Addr::new(11, 0, 0, 4)];
/// A VIP without backends.
pub(crate) const NOBODY: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 5);
/// The port of all of them.
pub(crate) const PORT: u16 = 80;
/// Where flows to other machines come from: another one.
pub(crate) const NAT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 8);
/// The only port that they are given.
pub(crate) const NAT_PORT: u16 = 10_000;

/// A data plane, its programs, and those that they are measured against.
pub(crate) struct Bed {
    config: Config,
    plane: Option<DataPlane>,
    /// XDP's.
    pub(crate) forward: Program,
    /// tc's, of what arrives.
    pub(crate) forward_tc: Program,
    /// tc's, of what leaves.
    pub(crate) reply: Program,
    /// Swaps the Ethernet addresses and transmits.
    pub(crate) transmit: Program,
    /// Drops.
    pub(crate) discard: Program,
}

// === impl Bed ===

impl Bed {
    pub(crate) fn make() -> Result<Self, Failure> {
        let config = config(Forward {
            interfaces: format!("{INTERFACE}:xdp").parse()?,
            address: NODE.into(),
            ..Forward::default()
        })?;
        // A network of this process' own, which ends with it.
        unshare(CloneFlags::CLONE_NEWNET)?;
        network()?;
        let made = Self::open(config.clone());
        if made.is_err() {
            DataPlane::remove(&config)?;
        }
        made
    }

    fn open(config: Config) -> Result<Self, Failure> {
        let mut plane = DataPlane::open(&config)?;
        let changes = plane.reconcile(&vips())?;
        if let Some(skipped) = changes.skipped.first() {
            return Err(skipped.to_string().into());
        }
        let attached = |name: &str| {
            let pin = config.directory()?.join("links").join(format!("{name}-{INTERFACE}"));
            let link: FdLink = PinnedLink::from_pin(pin)?.into();
            loaded(link.info()?.program_id())
        };
        let forward = Program::xdp(attached("xdp")?, "forward")?;
        let forward_tc = Program::tc(attached("ingress")?, "forward_tc")?;
        let reply = Program::tc(attached("egress")?, "reply")?;
        one_source(&config)?;
        let mut references = EbpfLoader::new().load(REFERENCES)?;
        let mut reference = |name: &'static str| {
            let program = references.program_mut(name).ok_or("a reference is missing")?;
            let aya::programs::Program::Xdp(program) = program else {
                return Err("a reference is of another kind".into());
            };
            program.load()?;
            Program::xdp(program.info()?, name)
        };
        let (transmit, discard) = (reference("transmit")?, reference("discard")?);
        Ok(Self { config, plane: Some(plane), forward, forward_tc, reply, transmit, discard })
    }

    /// How often the programs have counted something.
    pub(crate) fn counted(&self, name: &str) -> Result<u64, Failure> {
        let counters = self.plane.as_ref().ok_or("the data plane is closed")?.forwarded()?;
        let counter = counters.iter().find(|(of, _)| *of == name);
        Ok(counter.ok_or_else(|| format!("nothing is counted as {name}"))?.1)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        drop(self.plane.take());
        if let Err(error) = DataPlane::remove(&self.config) {
            eprintln!("{error}");
        }
    }
}

/// The kernel gives packets to programs as if they came by the loopback interface, so that is where
/// the other machines are. It has one neighbour, whatever the address.
fn network() -> Result<(), Failure> {
    let mut commands = vec![
        "link set lo up".to_owned(),
        format!("link add {INTERFACE} type veth peer name {WIRE}"),
        format!("addr add {NODE}/24 dev {INTERFACE}"),
        format!("link set {INTERFACE} up"),
        format!("link set {WIRE} up"),
    ];
    commands.extend(HERE.map(|address| format!("addr add {address}/32 dev lo")));
    commands.extend(
        [ELSEWHERE[0], ELSEWHERE[1], NAT].map(|address| format!("route add {address}/32 dev lo")),
    );
    commands
        .push(format!("neigh add {} lladdr 02:00:00:00:00:09 dev lo nud permanent", ELSEWHERE[0]));
    for command in commands {
        if !Command::new("ip").args(command.split(' ')).status()?.success() {
            return Err(format!("ip {command} failed").into());
        }
    }
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    Ok(())
}

/// Pairs of VIPs, each the other's backend, and one without any.
fn vips() -> Vec<Vip> {
    let [here, back_here] = HERE;
    let [elsewhere, back_elsewhere] = ELSEWHERE;
    [
        (here, Some(back_here)),
        (back_here, Some(here)),
        (elsewhere, Some(back_elsewhere)),
        (back_elsewhere, Some(elsewhere)),
        (NOBODY, None),
    ]
    .map(|(vip, backend)| vip_with(vip, backend))
    .to_vec()
}

fn vip_with(vip: Ipv4Addr, backend: Option<Ipv4Addr>) -> Vip {
    let backend = backend.map(|backend| Backend {
        address: backend.to_string(),
        port: PORT.into(),
        weight: 1,
        ..Backend::default()
    });
    let key =
        VipKey { address: vip.to_string(), port: PORT.into(), protocol: Protocol::Tcp.into() };
    Vip { key: Some(key), backends: backend.into_iter().collect(), ..Vip::default() }
}

/// Makes all flows to other machines come from one port of another machine: so what comes from there to a VIP
/// elsewhere, and goes on to its backend, might have come to the other VIP.
fn one_source(config: &Config) -> Result<(), Failure> {
    let map = MapData::from_pin(config.directory()?.join("forwarding"))?;
    let mut map: Array<_, Forwarding> = Map::Array(map).try_into()?;
    let (first_port, last_port) = (NAT_PORT, NAT_PORT);
    let source4 = NAT.to_ipv6_mapped().octets();
    map.set(0, Forwarding { source4, first_port, last_port, ..map.get(&0, 0)? }, 0)?;
    Ok(())
}

fn loaded(id: u32) -> Result<ProgramInfo, Failure> {
    // Others' programs may go away while they are listed.
    Ok(loaded_programs().flatten().find(|program| program.id() == id).ok_or("not loaded")?)
}
