//! What clients outside the cluster are told when their packets cannot go on, as their kernels understand it.

use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    os::fd::AsRawFd as _,
    thread,
};

use muster_api::muster::Vip;
use muster_dataplane::{DataPlane, Protocol};
use nix::sys::{
    socket::{
        AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, recvfrom, setsockopt,
        socket,
        sockopt::{Ipv4Ttl, Ipv6Ttl, ReceiveTimeout},
    },
    time::TimeVal,
};

use crate::{
    forwarded::{
        VIP, connect, count, datagram, echo, echo_udp, greeting, there_and_back, vip, with_each,
    },
    hosts::{CLIENT, Host, Hosts, NODE, SECOND, forwarding, offload, six},
    machine::{Machine, ip},
    server::PATIENCE,
    view::{tcp, udp},
};

/// A host's address of one of the families.
type Family = fn(Ipv4Addr) -> IpAddr;

/// A VIP of each family, and the hosts' addresses of that family.
const FAMILIES: [(&str, Family); 2] =
    [(VIP, IpAddr::V4), ("[fd01:c::1]:80", |address| IpAddr::V6(six(address)))];

/// All VIPs without backends.
fn unserved() -> Vec<Vip> {
    FAMILIES.iter().flat_map(|(vip, _)| [tcp(vip, &[]), udp(vip, &[])]).collect()
}

/// Asks a VIP that has no backend; what the client's calls fail with.
fn refusals(client: &Host, vip: &str, client_address: IpAddr) -> [ErrorKind; 2] {
    let vip: SocketAddr = vip.parse().unwrap();
    client.run(move || {
        let stream = TcpStream::connect_timeout(&vip, PATIENCE).unwrap_err();
        let socket = UdpSocket::bind((client_address, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(vip).unwrap();
        socket.send(b"who").unwrap();
        let datagram = socket.recv(&mut [0; 64]).unwrap_err();
        [stream.kind(), datagram.kind()]
    })
}

#[test]
fn vip_without_backends_refuses() {
    with_each(|hosts, plane, _| {
        plane.reconcile(&unserved()).unwrap();
        for (vip, family) in FAMILIES {
            let refused = refusals(&hosts.client, vip, family(CLIENT));
            assert_eq!(refused, [ErrorKind::ConnectionRefused; 2], "{vip}");
        }
        let counted = ["no_backend", "told_reset", "told_unreachable", "opened", "untold"];
        assert_eq!(counted.map(|name| count(plane, name)), [4, 2, 2, 0, 0]);
        // Not a VIP any more: as if the agent was not there.
        plane.reconcile(&[]).unwrap();
        assert!(plane.vip(vip(), Protocol::Udp).unwrap().is_none());
    });
}

#[test]
fn vip_without_backends_refuses_senders_that_leave_checksums_to_their_hardware() {
    for means in ["eth0:tc", "eth0:clsact"] {
        let Some(mut machine) = Machine::new() else { return };
        let hosts = Hosts::new();
        // What the node sends is summed up, so that the client's kernel looks whether it is right.
        hosts.client.run(|| offload("eth0", "tx on"));
        let config = forwarding(&mut machine, means);
        let mut plane = DataPlane::open(&config).unwrap();
        plane.reconcile(&unserved()).unwrap();
        for (vip, family) in FAMILIES {
            let refused = refusals(&hosts.client, vip, family(CLIENT));
            assert_eq!(refused, [ErrorKind::ConnectionRefused; 2], "{vip}");
        }
    }
}

#[test]
fn connection_whose_backends_are_gone_is_reset() {
    with_each(|hosts, plane, _| {
        let server = hosts.second.run(|| echo(SECOND));
        // The client is in the middle of a connection of which the node knows nothing: it was another's.
        let stream = hosts.client.run(move || {
            let mut stream = connect(server);
            greeting(&mut stream);
            stream
        });
        plane.reconcile(&[tcp(&server.to_string(), &[])]).unwrap();
        hosts.client.run(|| {
            ip(&format!("route add {SECOND}/32 via {NODE}"));
            ip("route flush cache");
        });
        let error = hosts.client.run(move || {
            let mut stream = stream;
            let sent = std::io::Write::write_all(&mut stream, b"anybody there?");
            sent.and_then(|()| std::io::Read::read_exact(&mut stream, &mut [0; 64])).unwrap_err()
        });
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(count(plane, "told_reset") > 0);
    });
}

/// Lets no larger packets than this through, from the node on.
fn narrow(to: IpAddr, mtu: u16) {
    let (family, bits) = if to.is_ipv4() { ("-4", 32) } else { ("-6", 128) };
    ip(&format!("{family} route replace {to}/{bits} dev eth0 mtu lock {mtu}"));
}

/// Sends a lot through the VIPs, by ways that are narrower than both ends know.
fn discover(hosts: &Hosts, plane: &mut DataPlane) {
    for (vip, family) in FAMILIES {
        let server = hosts.second.run(move || echo(family(SECOND)));
        plane.reconcile(&[tcp(vip, &[server])]).unwrap();
        let vip: SocketAddr = vip.parse().unwrap();
        let told = |plane: &DataPlane| {
            hosts.client.run(move || {
                let mut stream = connect(vip);
                greeting(&mut stream);
                there_and_back(&mut stream, 3_000_000);
            });
            count(plane, "told_too_big")
        };
        let before = count(plane, "told_too_big");
        assert_eq!(told(plane), before, "{vip}");
        narrow(family(SECOND), 1_400);
        let asked = told(plane);
        assert!(asked > before, "{vip}");
        // What the backend sends is too big for the client's side now.
        narrow(family(CLIENT), 1_300);
        assert!(told(plane) > asked, "{vip}");
    }
    assert_eq!(count(plane, "too_big"), count(plane, "told_too_big"));
}

#[test]
fn path_mtu_is_discovered() {
    with_each(|hosts, plane, _| discover(hosts, plane));
}

#[test]
fn path_mtu_is_discovered_by_senders_of_large_segments() {
    let Some(mut machine) = Machine::new() else { return };
    let hosts = Hosts::new();
    offload("eth0", "tx on");
    hosts.client.run(|| offload("eth0", "tx on"));
    hosts.second.run(|| offload("eth0", "tx on"));
    let config = forwarding(&mut machine, "eth0:tc");
    discover(&hosts, &mut DataPlane::open(&config).unwrap());
}

#[test]
fn answer_that_may_be_fragmented_is() {
    with_each(|hosts, plane, _| {
        let server = hosts.second.run(|| {
            fs::write("/proc/sys/net/ipv4/ip_no_pmtu_disc", "1").unwrap();
            let socket = UdpSocket::bind((SECOND, 0)).unwrap();
            let local = socket.local_addr().unwrap();
            thread::spawn(move || {
                while let Ok((_, peer)) = socket.recv_from(&mut [0; 64]) {
                    let _ = socket.send_to(&[7; 1_400], peer);
                }
            });
            local
        });
        plane.reconcile(&[udp(VIP, &[server])]).unwrap();
        narrow(IpAddr::V4(CLIENT), 1_000);
        let (received, from) = hosts.client.run(|| {
            let socket = UdpSocket::bind((CLIENT, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.send_to(b"who", vip()).unwrap();
            let mut buffer = [0; 2_048];
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            (buffer[..length].to_vec(), from)
        });
        assert_eq!((received, from), (vec![7; 1_400], vip()));
        assert_eq!((count(plane, "too_big"), count(plane, "told_too_big")), (1, 0));
    });
}

/// Sends a datagram that has one hop before it; who says that it has not arrived, and the ICMP error.
fn expired(vip: SocketAddr, client: IpAddr) -> (IpAddr, Vec<u8>) {
    let (family, protocol) = if vip.is_ipv4() {
        (AddressFamily::Inet, SockProtocol::Icmp)
    } else {
        (AddressFamily::Inet6, SockProtocol::IcmpV6)
    };
    let icmp = socket(family, SockType::Raw, SockFlag::empty(), protocol).unwrap();
    let patience = TimeVal::new(PATIENCE.as_secs().try_into().unwrap(), 0);
    setsockopt(&icmp, ReceiveTimeout, &patience).unwrap();
    let sender = UdpSocket::bind((client, 0)).unwrap();
    last_hop(&sender, vip);
    sender.send_to(b"who", vip).unwrap();
    loop {
        let mut buffer = [0; 2_048];
        let (length, from) = recvfrom::<SockaddrStorage>(icmp.as_raw_fd(), &mut buffer).unwrap();
        let from = from.unwrap();
        // IPv4 comes with its header.
        let (from, error) = match (from.as_sockaddr_in(), from.as_sockaddr_in6()) {
            (Some(four), _) => (IpAddr::V4(four.ip()), &buffer[20..length]),
            (_, Some(six)) => (IpAddr::V6(six.ip()), &buffer[..length]),
            _ => panic!("from nowhere"),
        };
        // There are neighbours, too.
        if [3, 11].contains(&error[0]) {
            return (from, error.to_vec());
        }
    }
}

fn last_hop(socket: &UdpSocket, to: SocketAddr) {
    if to.is_ipv4() {
        setsockopt(socket, Ipv4Ttl, &1).unwrap();
    } else {
        setsockopt(socket, Ipv6Ttl, &1).unwrap();
    }
}

#[test]
fn last_hop_is_told_by_the_node() {
    with_each(|hosts, plane, _| {
        for ((vip, family), kind) in FAMILIES.into_iter().zip([11, 3]) {
            let here = echo_udp(family(NODE));
            let there = hosts.second.run(move || echo_udp(family(SECOND)));
            plane.reconcile(&[udp(vip, &[there])]).unwrap();
            let vip_address: SocketAddr = vip.parse().unwrap();
            let client = family(CLIENT);
            let (from, error) = hosts.client.run(move || expired(vip_address, client));
            assert_eq!((from, error[0], error[1]), (family(NODE), kind, 0));
            assert!(error.ends_with(b"who"), "{error:02x?}");
            // A backend on the node is no further.
            plane.reconcile(&[udp(vip, &[here])]).unwrap();
            let seen = hosts.client.run(move || {
                let socket = UdpSocket::bind((client, 0)).unwrap();
                last_hop(&socket, vip_address);
                datagram(&socket, vip_address)
            });
            assert_eq!(seen, (here, client));
        }
        assert_eq!((count(plane, "hops"), count(plane, "told_expired")), (2, 2));
        assert_eq!(count(plane, "local"), 2);
    });
}
