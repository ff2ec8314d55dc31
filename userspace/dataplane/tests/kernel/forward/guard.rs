//! More new flows than one processor may begin in a unit of time.

use muster_packet::{ACK, Address, Built, Endpoint, Event, Forwarding, SYN, TCP, UDP, World as _};

use super::{
    bed::{Bed, HERE, THERE},
    client, ends, vip,
};
use crate::machine::wait_until;

/// How many may begin, and how many are to.
const MOST: u32 = 3;
const FLOWS: u16 = 1_000;

/// The backend that the Maglev table names for a client.
fn choice(bed: &Bed, from: &Endpoint, to: &Endpoint) -> Endpoint {
    let tuple = muster_packet::Tuple {
        source: Address::of(from),
        destination: Address::of(to),
        source_port: from.port,
        destination_port: to.port,
        protocol: to.protocol,
    };
    bed.host.backend(to, &bed.host.vip(to).unwrap(), tuple.spread()).unwrap()
}

/// Backends on a machine.
fn backends(address: [u8; 4], protocol: u8, ports: std::ops::RangeInclusive<u16>) -> Vec<Endpoint> {
    ports.map(|port| Endpoint::v4(address, port, protocol)).collect()
}

/// Begins a flow, or is over the limit: where it went, and whether it is remembered.
fn begin(bed: &mut Bed, program: &str, from: Endpoint, to: Endpoint) -> (Endpoint, bool) {
    let counts = |bed: &mut Bed| [Event::Opened, Event::Flood].map(|event| bed.counted(event));
    let [opened, flood] = counts(bed);
    let (_, asked) = bed.run(program, &Built::new(from, to, SYN).frame());
    let [opened, flood] = [counts(bed)[0] - opened, counts(bed)[1] - flood];
    assert_eq!(opened + flood, 1, "one or the other");
    (ends(&asked).1, opened == 1)
}

#[test]
fn new_flows_beyond_the_limit_are_not_remembered() {
    let Some(mut bed) = Bed::new() else { return };
    for (first, (program, protocol, address)) in (1..).step_by(5_000).zip([
        ("forward", UDP, HERE),
        ("forward_tc", UDP, HERE),
        ("forward", UDP, THERE),
        ("forward", TCP, HERE),
        ("forward_tc", TCP, THERE),
    ]) {
        let to = vip(protocol);
        bed.rule(Forwarding { most_new: 0, ..bed.host.rules });
        bed.serve(to, &backends(address, protocol, 1..=9));
        let mut known = Vec::new();
        for port in first..first + 50 {
            let (backend, is_known) = begin(&mut bed, program, client(port, protocol), to);
            assert!(is_known);
            known.push((client(port, protocol), backend));
        }
        bed.rule(Forwarding { most_new: MOST, ..bed.host.rules });
        // Those that are known keep theirs, all others have the ones that are there now.
        bed.serve(to, &backends(address, protocol, 1..=12));
        let mut over = 0;
        for port in first + 1_000..first + 1_000 + FLOWS {
            let from = client(port, protocol);
            let (backend, is_known) = begin(&mut bed, program, from, to);
            let is_sent = is_known || (protocol, address) == (UDP, HERE);
            assert_eq!(backend, if is_sent { choice(&bed, &from, &to) } else { to });
            if is_known {
                known.push((from, backend));
            } else {
                over += 1;
            }
        }
        assert!(over > FLOWS / 2, "{over}");
        bed.serve(to, &backends(address, protocol, 1..=15));
        let (opened, flood) = (bed.counted(Event::Opened), bed.counted(Event::Flood));
        for (from, backend) in known {
            let (_, asked) = bed.run(program, &Built::new(from, to, ACK).frame());
            assert_eq!(ends(&asked).1, backend);
        }
        assert_eq!((bed.counted(Event::Opened), bed.counted(Event::Flood)), (opened, flood));
        // What was sent again is served when the time has come.
        wait_until("it is in the table", || {
            begin(&mut bed, program, client(first + 3_000, protocol), to).1
        });
    }
}

#[test]
fn datagram_beyond_the_limit_is_of_no_flow() {
    let Some(mut bed) = Bed::new() else { return };
    let backend = Endpoint::v4(HERE, 9, UDP);
    bed.serve(vip(UDP), &[backend]);
    bed.rule(Forwarding { most_new: 1, ..bed.host.rules });
    for port in 1..100 {
        begin(&mut bed, "forward", client(port, UDP), vip(UDP));
    }
    assert!(bed.counted(Event::Flood) > 0);
    assert_eq!(bed.known(vip(UDP), backend).1.started, bed.counted(Event::Opened));
    assert_eq!(bed.counted(Event::Local), 99);
}
