//! What flows count at their backends.

use muster_packet::{ACK, Built, Counters, Endpoint, FIN, RST, SYN, TCP, UDP};

use super::{
    backend,
    bed::{Bed, HERE, THERE},
    client, ends, vip,
};

/// Started, succeeded, failed.
fn counted(bed: &mut Bed, backend: &Endpoint) -> (u64, u64, u64) {
    let Counters { started, successes, failures, .. } = bed.counters(backend);
    (started, successes, failures)
}

/// A flow from this port, which begins with `first` and is answered with each of `answers`.
fn flow(bed: &mut Bed, program: &str, port: u16, protocol: u8, first: u8, answers: &[u8]) {
    let ask = Built::new(client(port, protocol), vip(protocol), first).frame();
    let (source, to) = ends(&bed.run(program, &ask).1);
    assert_ne!(to, vip(protocol));
    let back = if to == backend(HERE, protocol) { "reply" } else { program };
    for flags in answers {
        let (_, answered) = bed.run(back, &Built::new(to, source, *flags).frame());
        assert_eq!(ends(&answered).0, vip(protocol));
    }
}

#[test]
fn connections_count_when_they_are_answered_and_datagrams_when_they_are_sent() {
    let Some(mut bed) = Bed::new() else { return };
    for program in ["forward", "forward_tc"] {
        for address in [HERE, THERE] {
            let (tcp, udp) = (backend(address, TCP), backend(address, UDP));
            bed.serve(vip(TCP), &[tcp]);
            bed.serve(vip(UDP), &[udp]);
            let first = u16::try_from(bed.counted(muster_packet::Event::Opened)).unwrap() + 1;
            let mut ports = first..;
            let mut tcp_flow = |bed: &mut Bed, first, answers: &[u8]| {
                flow(bed, program, ports.next().unwrap(), TCP, first, answers);
            };
            // Nobody knows what becomes of it.
            tcp_flow(&mut bed, SYN, &[]);
            assert_eq!(counted(&mut bed, &tcp), (0, 0, 0));
            // Once, however often it is answered.
            tcp_flow(&mut bed, SYN, &[SYN | ACK, SYN | ACK, ACK, ACK | FIN]);
            assert_eq!(counted(&mut bed, &tcp), (1, 1, 0));
            tcp_flow(&mut bed, SYN, &[RST | ACK, RST | ACK]);
            assert_eq!(counted(&mut bed, &tcp), (2, 1, 1));
            assert_eq!(bed.counters(&tcp).consecutive_failures, 1);
            // What answers to no SYN says nothing of the backend, which anybody could ask for.
            tcp_flow(&mut bed, ACK, &[RST]);
            tcp_flow(&mut bed, ACK, &[ACK]);
            assert_eq!(counted(&mut bed, &tcp), (2, 1, 1));
            // Whoever answers is up.
            tcp_flow(&mut bed, SYN, &[SYN | ACK, RST | ACK]);
            assert_eq!(counted(&mut bed, &tcp), (3, 2, 1));
            assert_eq!(bed.counters(&tcp).consecutive_failures, 0);

            for port in ports.by_ref().take(2) {
                flow(&mut bed, program, port, UDP, 0, &[0, 0]);
                flow(&mut bed, program, port, UDP, 0, &[]);
            }
            assert_eq!(counted(&mut bed, &udp), (2, 2, 0));
        }
    }
}
