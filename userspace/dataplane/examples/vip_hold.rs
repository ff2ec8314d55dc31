//! Holds VIPs for a bench: loads the data plane on a cgroup and, if named, interfaces, programs the VIPs, says
//! `ready`, and removes all of it when standard input ends.
//!
//! `vip_hold AGENT CGROUP ebpf|nfqueue INTERFACES ADDRESS COUNT VIP:PORT BACKEND:PORT…` (IPv4): so many VIPs,
//! this and others, of TCP and UDP.

use std::{
    env,
    io::{self, Read as _},
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
    process::ExitCode,
};

use muster_api::muster::{Backend, Vip, VipKey};
use muster_dataplane::{Config, DataPlane, Forward, Policy, Protocol, VipBackend};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match hold() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vip_hold: {error}");
            ExitCode::FAILURE
        }
    }
}

fn hold() -> Result<(), Failure> {
    let mut arguments = env::args().skip(1);
    let agent = arguments.next().ok_or("the agent's name is missing")?;
    let cgroup = PathBuf::from(arguments.next().ok_or("the cgroup is missing")?);
    let by = arguments.next().ok_or("ebpf or nfqueue is missing")?;
    let backend = VipBackend::ALL.into_iter().find(|backend| backend.name() == by);
    let backend = backend.ok_or("VIPs are served by ebpf or nfqueue")?;
    let interfaces = arguments.next().ok_or("the interfaces are missing")?.parse()?;
    let address: Ipv4Addr = arguments.next().ok_or("the machine's address is missing")?.parse()?;
    let count: u32 = arguments.next().ok_or("the number of VIPs is missing")?.parse()?;
    let vip: SocketAddrV4 = arguments.next().ok_or("the VIP is missing")?.parse()?;
    let backends = arguments
        .map(|backend| {
            let backend: SocketAddrV4 = backend.parse()?;
            Ok(Backend {
                address: backend.ip().to_string(),
                port: backend.port().into(),
                weight: 1,
                ..Backend::default()
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let config = Config {
        agent,
        bpffs: PathBuf::from("/sys/fs/bpf"),
        cgroup,
        policy: Policy::default(),
        backend,
        forward: Forward { interfaces, address: address.into(), ..Forward::default() },
    };
    let held = program(&config, &vips(vip, count, &backends)).and_then(|plane| {
        println!("ready");
        // The end of standard input, also by the death of who holds its other end.
        io::stdin().read_to_end(&mut Vec::new())?;
        drop(plane);
        Ok(())
    });
    DataPlane::remove(&config)?;
    held
}

/// The address of the first of the others.
const OTHERS: Ipv4Addr = Ipv4Addr::new(11, 2, 0, 0);

/// The VIP and others, so many in all.
fn vips(vip: SocketAddrV4, count: u32, backends: &[Backend]) -> Vec<Vip> {
    let others = (1..count).map(|number| Ipv4Addr::from(u32::from(OTHERS) + number));
    let addresses = [*vip.ip()].into_iter().chain(others);
    let keys = addresses.flat_map(|address| {
        [Protocol::Tcp, Protocol::Udp].map(|protocol| VipKey {
            address: address.to_string(),
            port: vip.port().into(),
            protocol: protocol.into(),
        })
    });
    keys.map(|key| Vip { key: Some(key), backends: backends.to_vec(), ..Vip::default() }).collect()
}

fn program(config: &Config, vips: &[Vip]) -> Result<DataPlane, Failure> {
    let mut plane = DataPlane::open(config)?;
    plane.reconcile(vips)?;
    Ok(plane)
}
