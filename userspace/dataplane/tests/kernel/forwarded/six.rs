//! The same over IPv6.

use muster_dataplane::{Config, Forward};

use super::*;
use crate::hosts::six;

const VIP6: &str = "[fd01:c::1]:80";

fn vip6() -> SocketAddr {
    VIP6.parse().unwrap()
}

/// What a client gets: who serves it by TCP and UDP, and whom those see.
fn asked(hosts: &Hosts) -> [(SocketAddr, IpAddr); 2] {
    hosts.client.run(|| {
        let mut stream = connect(vip6());
        assert_eq!(stream.peer_addr().unwrap(), vip6());
        let seen = greeting(&mut stream);
        there_and_back(&mut stream, 3_000_000);
        [seen, datagram(&UdpSocket::bind((six(CLIENT), 0)).unwrap(), vip6())]
    })
}

#[test]
fn backend_on_the_node_sees_the_client() {
    with_each(|hosts, plane, _| {
        let (tcp_server, udp_server) = (echo(six(NODE)), echo_udp(six(NODE)));
        plane.reconcile(&[tcp(VIP6, &[tcp_server]), udp(VIP6, &[udp_server])]).unwrap();
        let client = IpAddr::V6(six(CLIENT));
        assert_eq!(asked(hosts), [(tcp_server, client), (udp_server, client)]);
        assert!(count(plane, "local") > 0 && count(plane, "local_replies") > 0);
        assert_eq!((count(plane, "remote"), count(plane, "opened")), (0, 2));
    });
}

#[test]
fn backend_on_another_node_sees_the_node_and_answers_through_it() {
    with_each(|hosts, plane, _| {
        let (tcp_server, udp_server) =
            hosts.second.run(|| (echo(six(SECOND)), echo_udp(six(SECOND))));
        plane.reconcile(&[tcp(VIP6, &[tcp_server]), udp(VIP6, &[udp_server])]).unwrap();
        let node = IpAddr::V6(six(NODE));
        assert_eq!(asked(hosts), [(tcp_server, node), (udp_server, node)]);
        assert!(count(plane, "remote") > 0 && count(plane, "remote_replies") > 0);
        assert_eq!((count(plane, "local"), count(plane, "opened")), (0, 2));
    });
}

#[test]
fn both_families_are_served_by_an_agent_at_an_ipv6_address() {
    let Some(mut machine) = Machine::new() else { return };
    let hosts = Hosts::new();
    let config = forwarding(&mut machine, "auto");
    let forward = Forward { address: IpAddr::V6(six(NODE)), ..config.forward.clone() };
    let mut plane = DataPlane::open(&Config { forward, ..config }).unwrap();
    let ((four, other), here) =
        (hosts.second.run(|| (echo(SECOND), echo(six(SECOND)))), echo(six(NODE)));
    plane.reconcile(&[tcp(VIP, &[four]), tcp(VIP6, &[other, here])]).unwrap();
    let (seen, servers) = hosts.client.run(|| {
        let servers = (0..60).map(|_| greeting(&mut connect(vip6())));
        (greeting(&mut connect(vip())), servers.collect::<BTreeSet<_>>())
    });
    assert_eq!(seen, (four, IpAddr::V4(NODE)));
    let wanted = [(other, six(NODE)), (here, six(CLIENT))];
    assert_eq!(servers, wanted.map(|(server, seen)| (server, IpAddr::V6(seen))).into());
}

#[test]
fn client_is_told_that_nobody_listens_at_a_backend() {
    with_each(|hosts, plane, _| {
        let closed = |address| UdpSocket::bind((six(address), 0)).unwrap().local_addr().unwrap();
        for backend in [closed(NODE), hosts.second.run(move || closed(SECOND))] {
            plane.reconcile(&[udp(VIP6, &[backend])]).unwrap();
            hosts.client.run(|| {
                let socket = UdpSocket::bind((six(CLIENT), 0)).unwrap();
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                socket.connect(vip6()).unwrap();
                socket.send(b"who").unwrap();
                let error = socket.recv(&mut [0; 16]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            });
        }
        assert_eq!(count(plane, "errors"), 2);
    });
}

#[test]
fn connections_outlive_the_agent() {
    for means in MEANS {
        let Some(mut machine) = Machine::new() else { return };
        let hosts = Hosts::new();
        let config = forwarding(&mut machine, means);
        let (here, there) = (echo(six(NODE)), hosts.second.run(|| echo(six(SECOND))));
        let view = [tcp(VIP6, &[here, there])];
        DataPlane::open(&config).unwrap().reconcile(&view).unwrap();
        let (talk, talking) = Talk::begin(&hosts.client, 20, vip6());
        talk.goes_on(&talking);
        for _ in 0..2 {
            let mut plane = DataPlane::open(&config).unwrap();
            plane.reconcile(&view).unwrap();
            talk.goes_on(&talking);
        }
        talk.end(talking);
    }
}

#[test]
fn senders_that_leave_checksums_to_their_hardware_are_served_at_tc() {
    let Some(mut machine) = Machine::new() else { return };
    let hosts = Hosts::new();
    offload("eth0", "tx on");
    hosts.client.run(|| offload("eth0", "tx on"));
    hosts.second.run(|| offload("eth0", "tx on"));
    let config = forwarding(&mut machine, "eth0");
    let mut plane = DataPlane::open(&config).unwrap();
    let here = (echo(six(NODE)), echo_udp(six(NODE)));
    let there = hosts.second.run(|| (echo(six(SECOND)), echo_udp(six(SECOND))));
    for (tcp_server, udp_server) in [here, there] {
        plane.reconcile(&[tcp(VIP6, &[tcp_server]), udp(VIP6, &[udp_server])]).unwrap();
        assert_eq!(asked(&hosts).map(|(server, _)| server), [tcp_server, udp_server]);
    }
}

#[test]
fn clients_of_a_vip_with_backends_of_both_families_reach_those_of_its_own() {
    let Some(mut machine) = Machine::new() else { return };
    let hosts = Hosts::new();
    let mut plane = DataPlane::open(&forwarding(&mut machine, "eth0")).unwrap();
    let four = (0..5).map(|_| echo(NODE)).collect::<Vec<_>>();
    let own = echo(six(NODE));
    plane.reconcile(&[tcp(VIP6, &[&four[..], &[own]].concat())]).unwrap();
    let servers = hosts
        .client
        .run(|| (0..40).map(|_| greeting(&mut connect(vip6())).0).collect::<BTreeSet<_>>());
    assert_eq!(servers, [own].into());
    assert_eq!(count(&plane, "no_backend"), 0);
}
