//! What flows count at their backends.

use muster_packet::{ACK, Built, Endpoint, FIN, Handshakes, RST, SYN, TCP, UDP};

use super::{
    backend,
    bed::{Bed, HERE, THERE},
    client, ends, vip,
};

/// Started, succeeded, failed.
fn counted(bed: &mut Bed, backend: &Endpoint) -> (u64, u64, u64) {
    let vip = vip(backend.protocol);
    let Handshakes { started, successes, failures, .. } = bed.known(vip, *backend).1;
    (started, successes, failures)
}

#[test]
fn flows_count_at_their_vip_and_failures_in_a_row_at_the_backend() {
    let Some(mut bed) = Bed::new() else { return };
    for program in ["forward", "forward_tc"] {
        let (one, other) = (vip(TCP), Endpoint::v4([11, 0, 0, 2], 80, TCP));
        let backend = backend(HERE, TCP);
        bed.serve(one, &[backend]);
        bed.serve(other, &[backend]);
        let first = u16::try_from(bed.counted(muster_packet::Event::Opened)).unwrap() + 1;
        for (port, (vip, answer)) in (first..).zip([
            (one, SYN | ACK),
            (one, SYN | ACK),
            (other, RST | ACK),
            (one, RST | ACK),
        ]) {
            let ask = Built::new(client(port, TCP), vip, SYN).frame();
            let (source, to) = ends(&bed.run(program, &ask).1);
            assert_eq!(to, backend);
            let (_, answered) = bed.run("reply", &Built::new(to, source, answer).frame());
            assert_eq!(ends(&answered).0, vip);
        }
        let mut shown = |vip| {
            let (known, shown) = bed.known(vip, backend);
            (shown.started, shown.successes, shown.failures, known.consecutive_failures)
        };
        assert_eq!(shown(one), (3, 2, 1, 2));
        assert_eq!(shown(other), (1, 0, 1, 2));
    }
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
            assert_eq!(bed.known(vip(TCP), tcp).0.consecutive_failures, 1);
            // What answers to no SYN says nothing of the backend, which anybody could ask for.
            tcp_flow(&mut bed, ACK, &[RST]);
            tcp_flow(&mut bed, ACK, &[ACK]);
            assert_eq!(counted(&mut bed, &tcp), (2, 1, 1));
            // Whoever answers is up.
            tcp_flow(&mut bed, SYN, &[SYN | ACK, RST | ACK]);
            assert_eq!(counted(&mut bed, &tcp), (3, 2, 1));
            assert_eq!(bed.known(vip(TCP), tcp).0.consecutive_failures, 0);

            for port in ports.by_ref().take(2) {
                flow(&mut bed, program, port, UDP, 0, &[0, 0]);
                flow(&mut bed, program, port, UDP, 0, &[]);
            }
            assert_eq!(counted(&mut bed, &udp), (2, 2, 0));
        }
    }
}
