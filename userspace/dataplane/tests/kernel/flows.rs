//! Flows of other machines in the numbers of backends and packets.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use muster_dataplane::{BackendStatus, DataPlane};

use crate::{
    forwarded::{connect, count, datagram, echo, echo_udp, greeting, vip, with_each},
    hosts::{CLIENT, NODE, SECOND},
    machine::wait_until,
    server::PATIENCE,
    view::{tcp, udp},
};

const VIP: &str = "11.0.0.1:80";

/// A backend as it is told of.
fn backend(plane: &DataPlane, address: SocketAddr) -> BackendStatus {
    let vips = plane.vips().unwrap();
    let mut backends = vips.into_iter().flat_map(|vip| vip.backends);
    backends.find(|backend| backend.address == address).unwrap()
}

#[test]
fn forwarded_flows_count_at_their_backends() {
    with_each(|hosts, plane, _| {
        let (here, here_udp) = (echo(NODE), echo_udp(NODE));
        let (there, there_udp) = hosts.second.run(|| (echo(SECOND), echo_udp(SECOND)));
        for (tcp_server, udp_server) in [(here, here_udp), (there, there_udp)] {
            plane.reconcile(&[tcp(VIP, &[tcp_server]), udp(VIP, &[udp_server])]).unwrap();
            hosts.client.run(|| {
                for _ in 0..5 {
                    greeting(&mut connect(vip()));
                }
                let socket = UdpSocket::bind((CLIENT, 0)).unwrap();
                datagram(&socket, vip());
                datagram(&socket, vip());
            });
            for (server, flows) in [(tcp_server, 5), (udp_server, 1)] {
                let BackendStatus { started, successes, failures, pending, .. } =
                    backend(plane, server);
                assert_eq!((started, successes, failures, pending), (flows, flows, 0, 0));
            }
        }
        let snapshot = plane.snapshot().unwrap();
        assert_eq!(snapshot.forwarded, plane.forwarded().unwrap());
        let flows = snapshot.maps.iter().find(|map| map.name == "tracked").unwrap();
        assert!(flows.entries >= 12, "{flows:?}");
        assert_eq!(count(plane, "opened"), 12);
    });
}

#[test]
fn backend_that_refuses_other_machines_is_given_up_for_one_that_works() {
    with_each(|hosts, plane, _| {
        // Nobody listens there any more.
        let closed = hosts.second.run(|| {
            let listener = TcpListener::bind((SECOND, 0)).unwrap();
            listener.local_addr().unwrap()
        });
        let works = echo(NODE);
        plane.reconcile(&[tcp(VIP, &[closed])]).unwrap();
        for failures in 1..=5 {
            let refused = hosts.client.run(|| TcpStream::connect_timeout(&vip(), PATIENCE));
            assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
            wait_until("it is counted", || backend(plane, closed).refused == failures);
        }
        assert!(!backend(plane, closed).healthy);
        plane.reconcile(&[tcp(VIP, &[closed, works])]).unwrap();
        hosts.client.run(move || {
            for _ in 0..10 {
                assert_eq!(greeting(&mut connect(vip())).0, works);
            }
        });
        assert_eq!(backend(plane, works).successes, 10);
    });
}
