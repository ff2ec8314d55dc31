//! Whole TCP connections: made, accepted, and closed at both ends, on loopback.
//!
//! Each arm is a process of its own, which is both client and server, on one processor all of
//! them share: everything that a connection costs the kernel is in its processor time. The
//! server's socket is outside of the agent's cgroup.

use std::net::{Ipv4Addr, SocketAddrV4};

use muster_dataplane::Protocol;

use crate::{
    Failure,
    arguments::Arguments,
    bed::{Bed, enter},
    client::Client,
    report::Report,
    spread::Spread,
    view::{vip, vip_address},
};

/// In one round of one arm: some 2 ms.
const CONNECTIONS: usize = 50;
/// Before anything is measured.
const WARM_UP: usize = 1_000;

pub(crate) fn measure(arguments: &Arguments, bed: &mut Bed) -> Result<(), Failure> {
    let server = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    bed.serve(&[vip(0, Protocol::Tcp, &[server(8003)])])?;
    // Clients begin outside, whatever was measured before.
    enter(bed.outside())?;
    let arms = [
        (bed.outside(), server(8000), server(8000), ""),
        (bed.empty(), server(8001), server(8001), "in a cgroup without programs"),
        (bed.inside(), server(8002), server(8002), "in the agent's cgroup, to no VIP"),
        (bed.inside(), server(8003), vip_address(0), "in the agent's cgroup, to a VIP"),
    ];
    let mut clients = Vec::new();
    for (cgroup, listen, to, _) in arms {
        let mut client = Client::start(cgroup, listen, to)?;
        client.connect(WARM_UP)?;
        clients.push(client);
    }
    let mut ns = vec![Vec::new(); arms.len()];
    for round in 0..arguments.rounds {
        for turn in 0..arms.len() {
            // There and back again, so that no arm is always another's next.
            let arm = (turn + round / 2) % arms.len();
            let arm = if round % 2 == 0 { arm } else { arms.len() - 1 - arm };
            ns[arm].push(clients[arm].connect(CONNECTIONS)?);
        }
    }
    let direct = Spread::of(ns[0].clone());
    for ((_, _, _, case), own) in arms.iter().zip(&ns).skip(1) {
        let added = own.iter().zip(&ns[0]).map(|(own, direct)| own - direct).collect();
        let report = Report {
            bench: "connect_cost",
            case: &format!("connection {case}"),
            added: Spread::of(added),
            direct: ("a connection outside", &direct),
        };
        report.print(arguments);
    }
    Ok(())
}
