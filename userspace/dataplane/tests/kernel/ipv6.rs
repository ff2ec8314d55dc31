//! VIPs with IPv6 addresses.

use std::{
    io::{ErrorKind, Write as _},
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd as _, OwnedFd},
};

use muster_dataplane::{DataPlane, Protocol};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket,
        sockopt::Ipv6V6Only,
    },
};

use crate::{
    machine::{Machine, ip, wait_until},
    server::{PATIENCE, Server, answer, ask, begin_connect, exchange, servers},
    view::{tcp, udp, weighted},
};

const VIP: &str = "[fd01:c::1]:80";

fn vip() -> SocketAddr {
    VIP.parse().unwrap()
}

/// An unconnected UDP socket.
fn client() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A TCP socket that speaks IPv6 only.
fn only_ipv6() -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet6, SockType::Stream, flags, None).unwrap();
    setsockopt(&socket, Ipv6V6Only, &true).unwrap();
    socket
}

fn connect_to(socket: &OwnedFd, to: SocketAddr) -> Result<(), Errno> {
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to))
}

/// Handshakes or flows that succeeded, failed, and are under way, of the VIP's one backend.
fn counted(plane: &DataPlane, protocol: Protocol) -> (u64, u64, u64) {
    let shown = plane.vip(vip(), protocol).unwrap().unwrap();
    let backend = &shown.backends[0];
    (backend.successes, backend.failures, backend.pending)
}

#[test]
fn tcp_vip_reaches_its_backends_and_is_the_peer() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(3, Server::tcp6);
    let (_, mut plane) = machine.plane();
    let changes = plane.reconcile(&[tcp(VIP, &addresses)]).unwrap();
    assert_eq!((changes.added, changes.skipped.len()), (1, 0));
    let mut seen: Vec<_> = (0..60).map(|_| ask(vip()).unwrap()).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, addresses);

    let server = TcpListener::bind("[::1]:0").unwrap();
    let address = server.local_addr().unwrap();
    plane.reconcile(&[tcp(VIP, &[address])]).unwrap();
    let client = TcpStream::connect(vip()).unwrap();
    assert_eq!(client.peer_addr().unwrap(), vip());
    // The server sees the client's own address: no NAT.
    let (stream, _) = server.accept().unwrap();
    assert_eq!(stream.peer_addr().unwrap(), client.local_addr().unwrap());
    assert_eq!(counted(&plane, Protocol::Tcp), (1, 0, 0));
    // A direct connection shows what it is.
    let direct = TcpStream::connect(address).unwrap();
    assert_eq!(direct.peer_addr().unwrap(), address);
}

#[test]
fn weights_share_connections_out() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(2, Server::tcp6);
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[weighted(tcp(VIP, &addresses), &[9, 1])]).unwrap();
    let first = (0..300).filter(|_| ask(vip()).unwrap() == addresses[0]).count();
    // Expected 270, standard deviation 5.
    assert!((220..=299).contains(&first), "{first}");
}

#[test]
fn handshakes_are_counted_by_what_became_of_them() {
    let Some(mut machine) = Machine::new() else { return };
    let (_, mut plane) = machine.plane();
    // Nobody listens there.
    plane.reconcile(&[tcp(VIP, &["[::1]:1".parse().unwrap()])]).unwrap();
    assert_eq!(ask(vip()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(counted(&plane, Protocol::Tcp), (0, 1, 0));

    // Takes packets, and never answers.
    ip("link add silent6 type veth peer name silent7");
    ip("link set silent6 up");
    ip("link set silent7 up");
    ip("-6 addr add fd00:99::1/64 dev silent6 nodad");
    ip("-6 neigh add fd00:99::2 lladdr 02:00:00:00:00:02 dev silent6");
    plane.reconcile(&[tcp(VIP, &["[fd00:99::2]:80".parse().unwrap()])]).unwrap();
    let client = begin_connect(vip());
    wait_until("the handshake is pending", || counted(&plane, Protocol::Tcp) == (0, 0, 1));
    drop(client);
    assert_eq!(counted(&plane, Protocol::Tcp), (0, 1, 0));
}

#[test]
fn vip_without_a_backend_refuses() {
    let Some(mut machine) = Machine::new() else { return };
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[]), udp(VIP, &[])]).unwrap();
    assert_eq!(ask(vip()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let socket = client();
    let refused = socket.send_to(b"who?", vip()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let refused = socket.connect(vip()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn backend_that_asks_for_its_own_vip_reaches_itself() {
    let Some(mut machine) = Machine::new() else { return };
    let (_, mut plane) = machine.plane();
    ip("-6 addr add fd00:98::1/128 dev lo");
    // Bound to the address that is the backend, by one process that is client and server.
    let listener = TcpListener::bind("[fd00:98::1]:0").unwrap();
    let address = listener.local_addr().unwrap();
    let datagrams = UdpSocket::bind(address).unwrap();
    datagrams.set_read_timeout(Some(PATIENCE)).unwrap();
    plane.reconcile(&[tcp(VIP, &[address]), udp(VIP, &[address])]).unwrap();

    let mut client = TcpStream::connect(vip()).unwrap();
    let (stream, from) = listener.accept().unwrap();
    assert_eq!((from, stream.local_addr().unwrap()), (client.local_addr().unwrap(), address));
    client.write_all(b"x").unwrap();
    assert_eq!(client.peer_addr().unwrap(), vip());

    // A socket that hears its own datagram hears it from the VIP.
    datagrams.send_to(address.to_string().as_bytes(), vip()).unwrap();
    assert_eq!(answer(&datagrams).unwrap(), (address, vip()));
}

#[test]
fn answers_to_datagrams_come_from_the_vip() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(3, Server::udp6);
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[udp(VIP, &addresses)]).unwrap();

    let socket = client();
    let (server, from) = exchange(&socket, vip()).unwrap();
    assert_eq!(from, vip());
    // One socket, one backend.
    for _ in 0..20 {
        assert_eq!(exchange(&socket, vip()).unwrap(), (server, vip()));
    }
    // Direct datagrams stay direct, on the same socket.
    let other = *addresses.iter().find(|a| **a != server).unwrap();
    assert_eq!(exchange(&socket, other).unwrap(), (other, other));
    let mut seen: Vec<_> = (0..60).map(|_| exchange(&client(), vip()).unwrap().0).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, addresses);
}

#[test]
fn connected_udp_socket_talks_to_the_vip() {
    let Some(mut machine) = Machine::new() else { return };
    let (server, other) = (Server::udp6(), Server::udp6());
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[udp(VIP, &[server.address])]).unwrap();

    let socket = client();
    socket.connect(vip()).unwrap();
    assert_eq!(socket.peer_addr().unwrap(), vip());
    socket.send(b"who?").unwrap();
    assert_eq!(answer(&socket).unwrap(), (server.address, vip()));
    assert_eq!(counted(&plane, Protocol::Udp), (1, 0, 0));
    // The same socket, connected to something else.
    socket.connect(other.address).unwrap();
    assert_eq!(socket.peer_addr().unwrap(), other.address);
    socket.send(b"who?").unwrap();
    assert_eq!(answer(&socket).unwrap(), (other.address, other.address));
}

#[test]
fn one_socket_speaks_to_vips_of_both_families() {
    let Some(mut machine) = Machine::new() else { return };
    let (six, four) = (Server::udp6(), Server::udp());
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[udp(VIP, &[six.address]), udp("11.0.0.1:80", &[four.address])]).unwrap();
    let socket = client();
    let mapped = "[::ffff:11.0.0.1]:80".parse().unwrap();
    assert_eq!(exchange(&socket, vip()).unwrap(), (six.address, vip()));
    assert_eq!(exchange(&socket, mapped).unwrap(), (four.address, mapped));
    assert_eq!(exchange(&socket, vip()).unwrap(), (six.address, vip()));
}

#[test]
fn ipv4_backend_serves_sockets_that_speak_both() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (_, mut plane) = machine.plane();
    let changes = plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    assert_eq!(changes.skipped.len(), 0);
    assert_eq!(ask(vip()).unwrap(), server.address);
    let client = TcpStream::connect(vip()).unwrap();
    assert_eq!(client.peer_addr().unwrap(), vip());
    assert_eq!(counted(&plane, Protocol::Tcp), (2, 0, 0));
    // One that speaks IPv6 only is told by the kernel.
    assert_eq!(connect_to(&only_ipv6(), vip()), Err(Errno::ENETUNREACH));

    let server = Server::tcp6();
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    connect_to(&only_ipv6(), vip()).unwrap();
}

#[test]
fn backends_out_of_reach_are_named_and_the_others_serve() {
    let Some(mut machine) = Machine::new() else { return };
    let (four, six) = (Server::udp(), Server::udp6());
    let (_, mut plane) = machine.plane();
    let both = [four.address, six.address];
    let changes = plane.reconcile(&[udp(VIP, &both), udp("11.0.0.1:80", &both)]).unwrap();
    let skipped: Vec<String> = changes.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(
        skipped,
        [
            format!(
                "VIP 11.0.0.1:80/udp: backends[1] {}: has an IPv6 address, and the VIP an IPv4 \
                 address",
                six.address
            ),
            format!(
                "VIP {VIP}/udp: backends[0] {}: has an IPv4 address, and the VIP an IPv6 address \
                 and UDP",
                four.address
            ),
        ]
    );
    for _ in 0..20 {
        assert_eq!(exchange(&client(), vip()).unwrap().0, six.address);
        let mapped: SocketAddr = "[::ffff:11.0.0.1]:80".parse().unwrap();
        assert_eq!(exchange(&client(), mapped).unwrap().0, four.address);
    }
}

#[test]
fn removed_vip_is_no_vip_any_more_and_others_are_left_alone() {
    let Some(mut machine) = Machine::new() else { return };
    let (server, local) = (Server::tcp6(), Server::tcp6());
    let (_, mut plane) = machine.plane();
    // An address the machine has: who listens there is reached when it is no VIP.
    let view = [tcp(&local.address.to_string(), &[server.address])];
    plane.reconcile(&view).unwrap();
    assert_eq!(ask(local.address).unwrap(), server.address);
    let other_port = TcpStream::connect((Ipv6Addr::LOCALHOST, 1)).unwrap_err();
    assert_eq!(other_port.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(plane.reconcile(&[]).unwrap().removed, 1);
    assert_eq!(ask(local.address).unwrap(), local.address);
}
