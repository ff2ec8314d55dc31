//! Clients with a network and an address of their own, in the agent's cgroup: as containers on a
//! bridge are.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use muster_dataplane::{DataPlane, Protocol};

use crate::{
    forwarded::{answered, connect, datagram, echo, echo_udp, greeting, there_and_back},
    hosts::{CLIENT, Hosts, NODE, SECOND, six},
    machine::{Machine, ip},
    view::{tcp, udp},
};

/// How many connections or flows began to the VIP's one backend, and how many succeeded.
fn counted(plane: &DataPlane, vip: SocketAddr, protocol: Protocol) -> (u64, u64) {
    let backend = &plane.vip(vip, protocol).unwrap().unwrap().backends[0];
    (backend.started, backend.successes)
}

/// What a client in a network of its own gets of a VIP of both protocols: who serves it, and whom
/// those see, by TCP, by datagrams, and by datagrams of a connected socket.
fn asked(hosts: &Hosts, client: IpAddr, vip: SocketAddr) -> [(SocketAddr, IpAddr); 3] {
    hosts.client.run(move || {
        let mut stream = connect(vip);
        assert_eq!(stream.peer_addr().unwrap(), vip);
        assert_eq!(stream.local_addr().unwrap().ip(), client);
        let seen = greeting(&mut stream);
        there_and_back(&mut stream, 300_000);
        let of_any = datagram(&UdpSocket::bind((client, 0)).unwrap(), vip);
        let connected = UdpSocket::bind((client, 0)).unwrap();
        connected.connect(vip).unwrap();
        assert_eq!(connected.peer_addr().unwrap(), vip);
        connected.send(b"who").unwrap();
        [seen, of_any, answered(&connected, vip)]
    })
}

/// Two VIPs, served on the machine itself and on another, to a client that has no route to any.
fn reaches(machine: &mut Machine, vips: [&str; 2], client: IpAddr, [near, far]: [IpAddr; 2]) {
    let hosts = Hosts::new();
    let (_, mut plane) = machine.plane();
    hosts.client.run(|| {
        ip("route del 11.0.0.0/8");
        ip("-6 route del fd01:c::/64");
    });
    let here = (echo(near), echo_udp(near));
    let there = hosts.second.run(move || (echo(far), echo_udp(far)));
    let view: Vec<_> = vips
        .iter()
        .zip([here, there])
        .flat_map(|(vip, (stream, datagrams))| [tcp(vip, &[stream]), udp(vip, &[datagrams])])
        .collect();
    let changes = plane.reconcile(&view).unwrap();
    assert_eq!((changes.added, changes.skipped.len()), (4, 0));
    for (vip, (stream, datagrams)) in vips.iter().zip([here, there]) {
        let vip = vip.parse().unwrap();
        let wanted = [stream, datagrams, datagrams].map(|server| (server, client));
        assert_eq!(asked(&hosts, client, vip), wanted, "{vip}");
        assert_eq!(counted(&plane, vip, Protocol::Tcp), (1, 1));
        assert_eq!(counted(&plane, vip, Protocol::Udp), (2, 2));
    }
}

#[test]
fn client_with_an_address_of_its_own_reaches_vips_by_ipv4() {
    let Some(mut machine) = Machine::new() else { return };
    let servers = [NODE, SECOND].map(IpAddr::V4);
    reaches(&mut machine, ["11.0.0.1:80", "11.0.0.2:80"], CLIENT.into(), servers);
}

#[test]
fn client_with_an_address_of_its_own_reaches_vips_by_ipv6() {
    let Some(mut machine) = Machine::new() else { return };
    let servers = [NODE, SECOND].map(|address| IpAddr::V6(six(address)));
    let vips = ["[fd01:c::1]:80", "[fd01:c::2]:80"];
    reaches(&mut machine, vips, six(CLIENT).into(), servers);
}
