//! What is measured: packets, and what the programs have to do with them.

use std::net::Ipv4Addr;

use muster_packet::{ACK, Built, Endpoint, SYN, TCP, parse_segment};

use crate::{
    Failure,
    bed::{Bed, ELSEWHERE, HERE, NAT, NAT_PORT, NOBODY, PORT},
    program::Program,
};

/// Another machine, and a port of it.
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 7);
const CLIENT_PORT: u16 = 40_000;
/// A machine that is no VIP, where no VIP is near, and where some are.
const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const NEAR: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 9);

/// Runs in a row, of a packet that can be repeated at will: some milliseconds at most.
pub(crate) const REPEAT: u32 = 10_000;
/// Of one that comes a hop further each time.
const HOPS: u32 = 250;
/// Packets that are given once each, in a round.
const FIRST: u32 = 100;

/// An address and a port.
type Socket = (Ipv4Addr, u16);

/// What a program does with some packets.
pub(crate) struct Case<'a> {
    pub(crate) name: &'static str,
    /// The program's name.
    pub(crate) subject: &'static str,
    pub(crate) program: &'a Program,
    pub(crate) packets: Packets,
    /// What each packet counts as, if it counts.
    pub(crate) counted: Option<&'static str>,
}

/// The packets of a round.
pub(crate) enum Packets {
    /// The same, so many times in a row.
    Repeated(Vec<u8>, u32),
    /// The first ones of connections to a VIP, each from a machine of its own in a network of 2^24. So many there were
    /// already.
    First { network: u8, to: Ipv4Addr, given: u32 },
}

// === impl Packets ===

impl Packets {
    /// Those of another round, and how often each is given.
    pub(crate) fn next(&mut self) -> (Vec<Vec<u8>>, u32) {
        let (network, to, given) = match self {
            Self::Repeated(packet, repeat) => return (vec![packet.clone()], *repeat),
            Self::First { network, to, given } => (*network, *to, given),
        };
        let packet = |number: u32| {
            let [_, b2, b1, b0] = number.to_be_bytes();
            frame((Ipv4Addr::new(network, b2, b1, b0), CLIENT_PORT), (to, PORT), SYN)
        };
        let new = *given..*given + FIRST;
        *given = new.end;
        (new.map(packet).collect(), 1)
    }
}

fn frame(from: Socket, to: Socket, flags: u8) -> Vec<u8> {
    let end = |(address, port): Socket| Endpoint::v4(address.octets(), port, TCP);
    Built { hops: u8::MAX, ..Built::new(end(from), end(to), flags) }.frame()
}

/// All of them.
pub(crate) fn all(bed: &Bed) -> Result<Vec<Case<'_>>, Failure> {
    let client = (CLIENT, CLIENT_PORT);
    let here = connect(bed, client, HERE, &bed.reply)?;
    let elsewhere = connect(bed, (NAT, NAT_PORT), ELSEWHERE, &bed.forward)?;
    let mut cases = Vec::new();
    for (subject, program, network) in
        [("forward", &bed.forward, 100), ("forward_tc", &bed.forward_tc, 110)]
    {
        let first = |to, network| Packets::First { network, to, given: 0 };
        let to = |address| Packets::Repeated(frame(client, (address, PORT), ACK), REPEAT);
        for (name, packets, counted) in [
            ("no VIP, nor any near", to(FAR), None),
            ("no VIP", to(NEAR), None),
            ("tracked, to a backend here", here.asked(REPEAT), Some("local")),
            ("tracked, to a backend elsewhere", elsewhere.asked(HOPS), Some("remote")),
            ("answer of a backend elsewhere", elsewhere.answered(HOPS), Some("remote_replies")),
            ("new flow, to a backend here", first(HERE[0], network), Some("opened")),
            ("VIP without backends", first(NOBODY, network + 1), Some("no_backend")),
        ] {
            cases.push(Case { name, subject, program, packets, counted });
        }
    }
    cases.push(Case {
        name: "answer of a backend here",
        subject: "reply",
        program: &bed.reply,
        packets: here.answered(REPEAT),
        counted: Some("local_replies"),
    });
    Ok(cases)
}

/// A client's connections to two VIPs.
struct Connections {
    client: Socket,
    vips: [Ipv4Addr; 2],
}

// === impl Connections ===

impl Connections {
    /// A packet of the client's.
    fn asked(&self, repeat: u32) -> Packets {
        Packets::Repeated(frame(self.client, (self.vips[0], PORT), ACK), repeat)
    }

    /// A packet to the client.
    fn answered(&self, repeat: u32) -> Packets {
        Packets::Repeated(frame((self.vips[0], PORT), self.client, ACK), repeat)
    }
}

/// Connects a client to two VIPs, each of which is the other's backend. Answers are given to a program of their own.
fn connect(
    bed: &Bed,
    client: Socket,
    vips: [Ipv4Addr; 2],
    back: &Program,
) -> Result<Connections, Failure> {
    let [first, second] = vips.map(|vip| (vip, PORT));
    for (vip, backend) in [(first, second), (second, first)] {
        becomes(&bed.forward, &frame(client, vip, SYN), &frame(client, backend, SYN))?;
        becomes(back, &frame(backend, client, SYN | ACK), &frame(vip, client, SYN | ACK))?;
        becomes(&bed.forward, &frame(client, vip, ACK), &frame(client, backend, ACK))?;
    }
    Ok(Connections { client, vips })
}

/// Has a program make a packet one between the same sockets as another.
fn becomes(program: &Program, packet: &[u8], wanted: &[u8]) -> Result<(), Failure> {
    let after = program.run(packet, 1)?.packet;
    let [after, wanted] = [&after, wanted].map(|frame| Some(parse_segment(frame)?.tuple));
    if after == wanted {
        Ok(())
    } else {
        Err(format!("a packet became one of {after:?}, not of {wanted:?}").into())
    }
}
