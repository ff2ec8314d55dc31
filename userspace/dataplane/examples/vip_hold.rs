//! Holds one VIP for a bench: loads the data plane on a cgroup, programs the VIP, says
//! `ready`, and removes all of it when standard input ends.
//!
//! `vip_hold AGENT CGROUP ebpf|nfqueue VIP:PORT BACKEND:PORT…` (IPv4, TCP)

use std::{
    env,
    io::{self, Read as _},
    net::SocketAddrV4,
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
        forward: Forward::default(),
    };
    let held = program(&config, vip, backends).and_then(|plane| {
        println!("ready");
        // The end of standard input, also by the death of who holds its other end.
        io::stdin().read_to_end(&mut Vec::new())?;
        drop(plane);
        Ok(())
    });
    DataPlane::remove(&config)?;
    held
}

fn program(
    config: &Config,
    vip: SocketAddrV4,
    backends: Vec<Backend>,
) -> Result<DataPlane, Failure> {
    let mut plane = DataPlane::open(config)?;
    let key = VipKey {
        address: vip.ip().to_string(),
        port: vip.port().into(),
        protocol: Protocol::Tcp.into(),
    };
    plane.reconcile(&[Vip { key: Some(key), backends, ..Vip::default() }])?;
    Ok(plane)
}
