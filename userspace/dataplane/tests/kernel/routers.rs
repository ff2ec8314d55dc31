//! What routers do with packets, and what they say of them.
//!
//! ```text
//!  client 10.7.0.2 ──┐
//!  node   10.7.0.1 ──┼── second 10.7.0.3, a router ── 1,200 bytes at most ── far 10.8.0.2
//! ```

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    process::Command,
    thread,
};

use muster_dataplane::DataPlane;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};
use serde_json::Value;

use crate::{
    forwarded::{connect, count, echo, greeting, there_and_back, vip, with_each},
    hosts::{CLIENT, Host, Hosts, NODE, SECOND, offload},
    machine::ip,
    view::{tcp, udp},
};

const VIP: &str = "11.0.0.1:80";
const FAR: Ipv4Addr = Ipv4Addr::new(10, 8, 0, 2);

/// The most that the router's way to the far host takes.
const LEAST_MTU: u64 = 1_200;

/// Makes the second host a router to another one. What that sends may be larger than what it is sent.
fn far(hosts: &Hosts) -> Host {
    let far = Host::new();
    let tid = far.tid;
    hosts.second.run(move || {
        ip(&format!("link add far type veth peer name eth0 netns {tid}"));
        ip("addr add 10.8.0.1/24 dev far");
        offload("far", "tx off");
        ip("link set far up");
        // The interface itself takes more: what comes from there may be larger.
        ip(&format!("route replace 10.8.0.0/24 dev far mtu {LEAST_MTU}"));
        ip(&format!("route add 11.0.0.0/8 via {NODE}"));
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    });
    far.run(|| {
        ip(&format!("addr add {FAR}/24 dev eth0"));
        offload("eth0", "tx off");
        ip("link set eth0 up");
        ip("route add default via 10.8.0.1");
    });
    let to_far = format!("route add 10.8.0.0/24 via {SECOND}");
    ip(&to_far);
    hosts.client.run(move || ip(&to_far));
    far
}

/// What this network has learned of the largest packet on the way to an address.
fn learned(to: impl Into<IpAddr>) -> Option<u64> {
    let to: IpAddr = to.into();
    let output = Command::new("ip").args(["-j", "route", "get", &to.to_string()]).output().unwrap();
    let routes: Value = serde_json::from_slice(&output.stdout).unwrap();
    routes[0]["metrics"][0]["mtu"].as_u64()
}

/// Exchanges through the VIP, with a server, what is larger than the way takes.
fn exchange(client: &Host, server: SocketAddr) {
    client.run(move || {
        let mut stream = connect(vip());
        assert_eq!(greeting(&mut stream).0, server);
        there_and_back(&mut stream, 200_000);
    });
}

#[test]
fn clients_are_told_what_is_too_large_for_the_way_to_a_backend() {
    with_each(|hosts, plane, _| {
        let far = far(hosts);
        let server = far.run(|| echo(FAR));
        plane.reconcile(&[tcp(VIP, &[server])]).unwrap();
        exchange(&hosts.client, server);
        // It was told about its own packets, to the VIP: nobody else could have.
        assert_eq!(hosts.client.run(|| learned(vip().ip())), Some(LEAST_MTU));
        assert!(count(plane, "errors") > 0);
    });
}

#[test]
fn backends_are_told_what_is_too_large_for_the_way_to_a_client() {
    with_each(|hosts, plane, _| {
        let far = far(hosts);
        // Here, it knows the client by its own address; elsewhere, as this node.
        let here = echo(NODE);
        plane.reconcile(&[tcp(VIP, &[here])]).unwrap();
        exchange(&far, here);
        assert_eq!(learned(FAR), Some(LEAST_MTU));
        let errors = count(plane, "errors");
        assert!(errors > 0);

        let there = hosts.client.run(|| echo(CLIENT));
        plane.reconcile(&[tcp(VIP, &[there])]).unwrap();
        exchange(&far, there);
        assert_eq!(hosts.client.run(|| learned(NODE)), Some(LEAST_MTU));
        // By the router, or by the node, which has learned it above.
        assert!(count(plane, "errors") + count(plane, "told_too_big") > errors);
    });
}

/// Answers datagrams from this address with how many hops were left of them, at `hops` itself.
fn hop_server(address: Ipv4Addr, hops: u32) -> SocketAddr {
    let server = UdpSocket::bind((address, 0)).unwrap();
    server.set_ttl(hops).unwrap();
    let local = server.local_addr().unwrap();
    let packets = hops_of(address);
    thread::spawn(move || {
        while let Ok((_, peer)) = server.recv_from(&mut [0; 64]) {
            let _ = server.send_to(&[packets()], peer);
        }
    });
    local
}

/// Says how many hops were left of the next datagram that arrives at this address.
fn hops_of(address: Ipv4Addr) -> impl Fn() -> u8 + Send + 'static {
    let flags = SockFlag::SOCK_CLOEXEC;
    let raw = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Udp).unwrap();
    let patience = nix::sys::time::TimeVal::new(30, 0);
    setsockopt(&raw, sockopt::ReceiveTimeout, &patience).unwrap();
    move || {
        let mut packet = [0; 128];
        loop {
            let length = recv(
                std::os::fd::AsRawFd::as_raw_fd(&raw),
                &mut packet,
                nix::sys::socket::MsgFlags::empty(),
            );
            assert!(length.unwrap() >= 28);
            // Another's, if any; it is a network of its own.
            if packet[16..20] == address.octets() {
                return packet[8];
            }
        }
    }
}

/// What was left of the hops of a request at its backend, and of the answer at the client.
fn hops(hosts: &Hosts, plane: &mut DataPlane, server: SocketAddr) -> (u8, u8) {
    plane.reconcile(&[udp(VIP, &[server])]).unwrap();
    hosts.client.run(|| {
        let socket = UdpSocket::bind((CLIENT, 0)).unwrap();
        socket.set_read_timeout(Some(crate::server::PATIENCE)).unwrap();
        socket.set_ttl(5).unwrap();
        let answered = hops_of(CLIENT);
        socket.send_to(b"hops", vip()).unwrap();
        let mut there = [0];
        socket.recv_from(&mut there).unwrap();
        (there[0], answered())
    })
}

#[test]
fn forwarding_takes_a_hop_as_a_router_does_and_delivering_none() {
    with_each(|hosts, plane, _| {
        let there = hosts.second.run(|| hop_server(SECOND, 9));
        assert_eq!(hops(hosts, plane, there), (4, 8));
        let here = hop_server(NODE, 9);
        assert_eq!(hops(hosts, plane, here), (5, 9));
    });
}
