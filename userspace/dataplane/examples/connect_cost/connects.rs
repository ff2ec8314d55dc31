//! `connect()` alone, by the number of VIPs.
//!
//! UDP sockets are connected over and over: a system call and nothing else, so what the hook
//! adds is not lost in the noise of a handshake. A socket made inside the agent's cgroup
//! takes turns with one made outside.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    path::Path,
};

use muster_dataplane::Protocol;

use crate::{
    Failure,
    arguments::Arguments,
    bed::{Bed, enter},
    now_ns,
    report::Report,
    spread::Spread,
    view::{BACKENDS, backend_address, vip, vip_address},
};

const COUNTS: [usize; 3] = [10, 1_000, 10_000];
/// In one round of one arm: well below a scheduler's time slice.
const CONNECTS: usize = 250;

/// To the same VIP always, to any of them (so that none is in the processor's caches), and to
/// an address that is no VIP.
const CASES: [&str; 3] = ["one VIP", "any VIP", "no VIP"];

pub(crate) fn measure(arguments: &Arguments, bed: &mut Bed) -> Result<(), Failure> {
    let backends: Vec<_> = (0..BACKENDS).map(backend_address).collect();
    for count in COUNTS {
        let vips: Vec<_> = (0..count).map(|number| vip(number, Protocol::Udp, &backends)).collect();
        bed.serve(&vips)?;
        let inside = socket(bed.inside())?;
        let outside = socket(bed.outside())?;
        let others: Vec<_> = (0..CONNECTS).map(|n| backend_address(n % BACKENDS)).collect();
        let one = vec![vip_address(count / 2); CONNECTS];

        // Not a figure without this: the sockets are where they should be.
        inside.connect(one[0])?;
        if outside.connect(one[0]).is_ok() {
            return Err("the socket outside reaches the VIP".into());
        }

        let mut ns: [Vec<f64>; CASES.len()] = Default::default();
        let mut direct = Vec::new();
        for round in 0..arguments.rounds {
            // A stretch of the VIPs that no cache foresees, another one each round.
            let any: Vec<_> = (0..CONNECTS)
                .map(|n| vip_address((round * CONNECTS + n) * 7_919 % count))
                .collect();
            let arms = [(&inside, &one), (&inside, &any), (&inside, &others), (&outside, &others)];
            let mut took = [0.0; 4];
            // Every arm comes first in turn, against drift.
            for turn in 0..arms.len() {
                let arm = (turn + round) % arms.len();
                let (socket, addresses) = arms[arm];
                took[arm] = ns_per_connect(socket, addresses)?;
            }
            for (all, took_here) in ns.iter_mut().zip(took) {
                all.push(took_here - took[3]);
            }
            direct.push(took[3]);
        }
        let direct = Spread::of(direct);
        for (case, added) in CASES.into_iter().zip(ns) {
            let report = Report {
                bench: "connect_cost",
                case: &format!("connect(), {count} VIPs, to {case}"),
                added: Spread::of(added),
                direct: ("direct connect()", &direct),
            };
            report.print(arguments);
        }
    }
    Ok(())
}

/// A socket that belongs to the cgroup.
fn socket(cgroup: &Path) -> io::Result<UdpSocket> {
    enter(cgroup)?;
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
}

fn ns_per_connect(socket: &UdpSocket, addresses: &[SocketAddrV4]) -> io::Result<f64> {
    let start = now_ns()?;
    for address in addresses {
        socket.connect(address)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
    Ok((now_ns()? - start) as f64 / addresses.len() as f64)
}
