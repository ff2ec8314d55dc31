//! UDP through VIPs, connected and not.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use muster_dataplane::{DataPlane, Protocol};

use crate::{
    machine::Machine,
    server::{PATIENCE, Server, answer, ask, exchange, mapped, servers},
    view::{tcp, udp},
};

const VIP: &str = "11.0.0.1:53";

fn vip() -> SocketAddr {
    VIP.parse().unwrap()
}

fn client() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn flows(plane: &DataPlane) -> u64 {
    let vip = plane.vip(vip(), Protocol::Udp).unwrap().unwrap();
    vip.backends.iter().map(|backend| backend.successes).sum()
}

#[test]
fn answers_come_from_the_vip() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(3, Server::udp);
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[udp(VIP, &addresses)]).unwrap();

    let socket = client();
    let (server, from) = exchange(&socket, vip()).unwrap();
    assert_eq!(from, vip());
    // One socket, one backend: a conversation stays at one server.
    for _ in 0..20 {
        assert_eq!(exchange(&socket, vip()).unwrap(), (server, vip()));
    }
    assert_eq!(flows(&plane), 1);
    // Direct datagrams stay direct, on the same socket.
    let other = addresses.iter().find(|a| **a != server).unwrap();
    assert_eq!(exchange(&socket, *other).unwrap(), (*other, *other));
}

#[test]
fn sockets_are_spread_over_backends() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(3, Server::udp);
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[udp(VIP, &addresses)]).unwrap();
    let mut seen: Vec<_> = (0..60).map(|_| exchange(&client(), vip()).unwrap().0).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, addresses);
}

#[test]
fn connected_socket_talks_to_the_vip() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::udp();
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[udp(VIP, &[server.address])]).unwrap();

    let socket = client();
    socket.connect(vip()).unwrap();
    assert_eq!(socket.peer_addr().unwrap(), vip());
    socket.send(b"who?").unwrap();
    assert_eq!(answer(&socket).unwrap(), (server.address, vip()));
    assert_eq!(flows(&plane), 1);

    // The same socket, connected to something else.
    let other = Server::udp();
    socket.connect(other.address).unwrap();
    assert_eq!(socket.peer_addr().unwrap(), other.address);
    socket.send(b"who?").unwrap();
    assert_eq!(answer(&socket).unwrap(), (other.address, other.address));
    // And to the VIP's backend itself, whose VIP is forgotten.
    socket.connect(server.address).unwrap();
    assert_eq!(socket.peer_addr().unwrap(), server.address);
}

#[test]
fn socket_speaks_to_several_vips_at_once() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(4, Server::udp);
    let (_, mut plane) = machine.plane();
    let vips: Vec<String> = (1..=4).map(|last| format!("11.0.0.{last}:53")).collect();
    let view: Vec<_> = vips.iter().zip(&addresses).map(|(v, b)| udp(v, &[*b])).collect();
    plane.reconcile(&view).unwrap();

    let socket = client();
    for vip in &vips {
        socket.send_to(b"who?", vip).unwrap();
    }
    for _ in &vips {
        let (server, from) = answer(&socket).unwrap();
        let index = addresses.iter().position(|a| *a == server).unwrap();
        assert_eq!(from.to_string(), vips[index]);
    }
}

#[test]
fn ipv6_socket_reaches_the_vip_by_its_mapped_address() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::udp();
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[udp(VIP, &[server.address])]).unwrap();
    let mapped = mapped(vip());

    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(exchange(&socket, mapped).unwrap(), (server.address, mapped));
    socket.connect(mapped).unwrap();
    assert_eq!(socket.peer_addr().unwrap(), mapped);
    socket.send(b"who?").unwrap();
    assert_eq!(answer(&socket).unwrap(), (server.address, mapped));
}

#[test]
fn vip_without_a_backend_refuses() {
    let Some(mut machine) = Machine::new() else { return };
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[udp(VIP, &[])]).unwrap();
    let socket = client();
    let refused = socket.send_to(b"who?", vip()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let refused = socket.connect(vip()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn new_backends_get_the_next_datagram_and_the_old_ones_answer_still_counts() {
    let Some(mut machine) = Machine::new() else { return };
    let late = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let late_address = late.local_addr().unwrap();
    let server = Server::udp();
    let (_, mut plane) = machine.plane();

    plane.reconcile(&[udp(VIP, &[late_address])]).unwrap();
    let socket = client();
    socket.send_to(b"who?", vip()).unwrap();
    let mut buffer = [0; 64];
    let (_, asker) = late.recv_from(&mut buffer).unwrap();

    plane.reconcile(&[udp(VIP, &[server.address])]).unwrap();
    assert_eq!(exchange(&socket, vip()).unwrap(), (server.address, vip()));
    late.send_to(late_address.to_string().as_bytes(), asker).unwrap();
    assert_eq!(answer(&socket).unwrap(), (late_address, vip()));
}

#[test]
fn tcp_and_udp_of_one_address_are_two_vips() {
    let Some(mut machine) = Machine::new() else { return };
    let (stream, datagram) = (Server::tcp(), Server::udp());
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[stream.address]), udp(VIP, &[datagram.address])]).unwrap();
    assert_eq!(ask(vip()).unwrap(), stream.address);
    assert_eq!(exchange(&client(), vip()).unwrap().0, datagram.address);
    plane.reconcile(&[udp(VIP, &[datagram.address])]).unwrap();
    assert_eq!(exchange(&client(), vip()).unwrap().0, datagram.address);
    assert!(plane.vip(vip(), Protocol::Tcp).unwrap().is_none());
}
