//! Ten million first packets from addresses that nobody has.
//!
//! A test run repeats a program on one packet, as the last time has left it. So what is repeated is another program,
//! which writes a SYN from a new address over whatever is there, and goes on with `forward`.

use muster_packet::{ACK, Address, Built, Endpoint, Event, Forwarding, SYN, TCP};

use super::{
    backend,
    bed::{Bed, HERE, THERE},
    client, ends, vip,
};
use crate::machine::wait_until;

const PACKETS: u32 = 10_000_000;

/// New flows of a unit of time, where they are limited.
const LIMIT: u32 = 10_000;

/// Where an IPv4 header's source is.
const SOURCE: i16 = 26;

const fn instruction(code: u8, to: u8, from: u8, offset: i16, number: u32) -> u64 {
    code as u64
        | (to as u64) << 8
        | (from as u64) << 12
        | (offset.cast_unsigned() as u64) << 16
        | (number as u64) << 32
}

/// The program's code: `packet`, from a random address, to the program that is first in `programs`.
fn code(packet: &[u8], programs: u32) -> Vec<u64> {
    let length = u32::try_from(packet.len()).unwrap();
    let mut code = vec![
        // r6 = context; r7, r8 = the packet's beginning and end
        instruction(0xbf, 6, 1, 0, 0),
        instruction(0x61, 7, 1, 0, 0),
        instruction(0x61, 8, 1, 4, 0),
        // r2 = r7 + length
        instruction(0xbf, 2, 7, 0, 0),
        instruction(0x07, 2, 0, 0, length),
    ];
    let mut body = Vec::new();
    let (words, rest) = packet.as_chunks::<4>();
    let mut at = 0;
    for word in words {
        body.push(instruction(0x62, 7, 0, at, u32::from_ne_bytes(*word)));
        at += 4;
    }
    for byte in rest {
        body.push(instruction(0x72, 7, 0, at, u32::from(*byte)));
        at += 1;
    }
    body.extend([
        // source = bpf_get_prandom_u32()
        instruction(0x85, 0, 0, 0, 7),
        instruction(0x63, 7, 0, SOURCE, 0),
        // bpf_tail_call(r6, programs, 0)
        instruction(0xbf, 1, 6, 0, 0),
        instruction(0x18, 2, 1, 0, programs),
        0,
        instruction(0xb7, 3, 0, 0, 0),
        instruction(0x85, 0, 0, 0, 12),
    ]);
    // if r2 > r8: over all that
    let over = i16::try_from(body.len()).unwrap();
    code.push(instruction(0x2d, 2, 8, over, 0));
    code.extend(body);
    // return XDP_ABORTED
    code.extend([instruction(0xb7, 0, 0, 0, 0), instruction(0x95, 0, 0, 0, 0)]);
    code
}

#[test]
fn flood_of_first_packets_leaves_connections_alone() {
    flood(0);
}

#[test]
fn flood_beyond_the_limit_of_new_flows_leaves_connections_alone() {
    flood(LIMIT);
}

/// A flood on a processor that may begin so many flows in a unit of time.
fn flood(most_new: u32) {
    let Some(mut bed) = Bed::new() else { return };
    let rules = Forwarding { tracked: 4_096, buckets: 2_048, most_new, ..bed.host.rules };
    bed.rule(rules);
    bed.serve(vip(TCP), &[backend(HERE, TCP), backend(THERE, TCP)]);
    let ask = |port, flags| Built::new(client(port, TCP), vip(TCP), flags).frame();
    let mut live = Vec::new();
    for port in 1_000..1_200 {
        let (_, asked) = bed.run("forward", &ask(port, SYN));
        let (source, to) = ends(&asked);
        let back = if Address::of(&to) == Address::v4(HERE) { "reply" } else { "forward" };
        bed.run(back, &Built::new(to, source, SYN | ACK).frame());
        bed.run("forward", &ask(port, ACK));
        live.push((port, source, to, back));
    }
    let packet = Built::new(Endpoint::v4([0; 4], 5_000, TCP), vip(TCP), SYN).frame();
    bed.repeat("forward", &packet, PACKETS, |programs| code(&packet, programs));
    let opened = bed.counted(Event::Opened);
    let displaced = bed.counted(Event::Displaced);
    let flood = bed.counted(Event::Flood);
    println!("{opened} flows opened, {displaced} of them in the place of another; {flood} not");
    // All but those to backends elsewhere for which there was no port, as others have the few that were tried, and
    // the few from an address that a flow in the table had already.
    let refused = bed.counted(Event::Full) + bed.counted(Event::Ports);
    let missing = u64::from(PACKETS) + 200 - opened - refused - flood;
    assert!(missing < 100, "{missing}");
    let most = if most_new == 0 { displaced } else { flood };
    assert!(most > u64::from(PACKETS) / 2, "{displaced} {flood}");
    assert!(displaced > u64::from(LIMIT) / 2, "{displaced}");
    for (port, source, to, back) in live {
        let (_, asked) = bed.run("forward", &ask(port, ACK));
        assert_eq!(ends(&asked), (source, to), "the same backend, as the same client");
        let (_, answered) = bed.run(back, &Built::new(to, source, ACK).frame());
        assert_eq!(ends(&answered), (vip(TCP), client(port, TCP)));
    }
    assert_eq!(bed.counted(Event::Opened), opened, "none of them began anew");
    let mut is_served = || ends(&bed.run("forward", &ask(2_000, SYN)).1).1 != vip(TCP);
    if most_new == 0 {
        assert!(is_served(), "and new ones are served");
    } else {
        wait_until("new ones are served", is_served);
    }
}
