//! TCP through VIPs.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream},
};

use muster_dataplane::{BackendStatus, DataPlane, Policy, Protocol};

use crate::{
    machine::{Machine, enter, silent_address, wait_until},
    server::{Server, ask, begin_connect, mapped, servers},
    view::{tcp, udp, weighted},
};

const VIP: &str = "11.0.0.1:80";

fn vip() -> SocketAddr {
    VIP.parse().unwrap()
}

/// How often each server answers at the VIP.
fn answers(count: usize) -> BTreeMap<SocketAddr, usize> {
    let mut answers = BTreeMap::new();
    for _ in 0..count {
        *answers.entry(ask(vip()).unwrap()).or_default() += 1;
    }
    answers
}

/// The VIP's backends as the plane shows them.
fn backends(plane: &DataPlane) -> Vec<BackendStatus> {
    plane.vip(vip(), Protocol::Tcp).unwrap().unwrap().backends
}

#[test]
fn vip_reaches_all_its_backends() {
    let Some(mut machine) = Machine::new() else { return };
    let (servers, addresses) = servers(3, Server::tcp);
    // Whatever latencies this machine shows.
    machine.policy = Policy::Random;
    let (_, mut plane) = machine.plane();
    let changes = plane.reconcile(&[tcp(VIP, &addresses)]).unwrap();
    assert_eq!((changes.added, changes.skipped.len()), (1, 0));

    let answers = answers(300);
    assert_eq!(answers.len(), servers.len());
    // The chance of fewer than 50 of 300 at one third each is below one in a million.
    assert!(answers.values().all(|count| *count > 50), "{answers:?}");
}

#[test]
fn backend_of_weight_zero_gets_no_connections_and_keeps_those_it_has() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(2, Server::tcp);
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_, mut plane) = machine.plane();

    let draining = held.local_addr().unwrap();
    plane.reconcile(&[tcp(VIP, &[draining])]).unwrap();
    let client = TcpStream::connect(vip()).unwrap();
    let (server, _) = held.accept().unwrap();

    let all = [draining, addresses[0], addresses[1]];
    let changes = plane.reconcile(&[weighted(tcp(VIP, &all), &[0, 1, 1])]).unwrap();
    assert_eq!(changes.changed, 1);
    assert!(!answers(100).contains_key(&draining));
    assert_eq!(client.peer_addr().unwrap(), vip());
    assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());

    let drained = backends(&plane).into_iter().find(|b| b.address == draining).unwrap();
    assert_eq!((drained.weight, drained.healthy), (0, false));
}

#[test]
fn program_sees_the_vip_as_its_peer() {
    let Some(mut machine) = Machine::new() else { return };
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[address])]).unwrap();

    let client = TcpStream::connect(vip()).unwrap();
    assert_eq!(client.peer_addr().unwrap(), vip());
    // The server sees the client's own address: no NAT.
    let (stream, _) = server.accept().unwrap();
    assert_eq!(stream.peer_addr().unwrap(), client.local_addr().unwrap());
    // A direct connection shows what it is.
    let direct = TcpStream::connect(address).unwrap();
    assert_eq!(direct.peer_addr().unwrap(), address);
}

#[test]
fn ipv6_socket_reaches_the_vip_by_its_mapped_address() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();

    // As Java does by default.
    let mapped = mapped(vip());
    assert_eq!(ask(mapped).unwrap(), server.address);
    let client = TcpStream::connect(mapped).unwrap();
    assert_eq!(client.peer_addr().unwrap(), mapped);
    // Other IPv6 destinations are left alone.
    let refused = TcpStream::connect((Ipv6Addr::LOCALHOST, 1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn vip_without_a_backend_refuses() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (_, mut plane) = machine.plane();

    plane.reconcile(&[tcp(VIP, &[])]).unwrap();
    assert_eq!(ask(vip()).unwrap_err().kind(), ErrorKind::ConnectionRefused);

    plane.reconcile(&[weighted(tcp(VIP, &[server.address]), &[0])]).unwrap();
    assert_eq!(ask(vip()).unwrap_err().kind(), ErrorKind::ConnectionRefused);

    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    assert_eq!(ask(vip()).unwrap(), server.address);
}

#[test]
fn removed_vip_is_no_vip_any_more() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (_, mut plane) = machine.plane();
    // An address the machine has: whoever listens there is reached once the VIP is gone.
    let local = Server::tcp();
    let at_local = tcp(&local.address.to_string(), &[server.address]);

    plane.reconcile(std::slice::from_ref(&at_local)).unwrap();
    assert_eq!(ask(local.address).unwrap(), server.address);
    let changes = plane.reconcile(&[]).unwrap();
    assert_eq!(changes.removed, 1);
    assert_eq!(ask(local.address).unwrap(), local.address);
    assert!(plane.vips().unwrap().is_empty());
}

#[test]
fn other_destinations_protocols_and_cgroups_are_left_alone() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(2, Server::tcp);
    let (_, mut plane) = machine.plane();
    // The address of the first, as a VIP of the second in UDP, and on another port.
    let port = addresses[0].port() ^ 1;
    plane
        .reconcile(&[
            udp(&addresses[0].to_string(), &addresses[1..]),
            tcp(&format!("{}:{port}", addresses[0].ip()), &addresses[1..]),
        ])
        .unwrap();
    assert_eq!(ask(addresses[0]).unwrap(), addresses[0]);

    plane.reconcile(&[tcp(&addresses[0].to_string(), &addresses[1..])]).unwrap();
    assert_eq!(ask(addresses[0]).unwrap(), addresses[1]);
    enter(machine.cgroup());
    assert_eq!(ask(addresses[0]).unwrap(), addresses[0]);
}

#[test]
fn two_agents_do_not_see_each_other() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(2, Server::tcp);
    let (one, mut first) = machine.plane();
    let (two, mut second) = machine.plane();
    first.reconcile(&[tcp(VIP, &addresses[..1])]).unwrap();
    second.reconcile(&[tcp(VIP, &addresses[1..])]).unwrap();

    enter(&one.cgroup);
    assert_eq!(answers(20).keys().collect::<Vec<_>>(), [&addresses[0]]);
    enter(&two.cgroup);
    assert_eq!(answers(20).keys().collect::<Vec<_>>(), [&addresses[1]]);

    // One agent's end is not the other's.
    drop(first);
    DataPlane::remove(&one).unwrap();
    assert_eq!(answers(20).keys().collect::<Vec<_>>(), [&addresses[1]]);
    assert_eq!(second.vips().unwrap().len(), 1);
}

#[test]
fn connections_are_counted_by_what_became_of_them() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (_, mut plane) = machine.plane();

    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    answers(7);
    let counted = &backends(&plane)[0];
    assert_eq!((counted.successes, counted.failures, counted.pending), (7, 0, 0));
    assert_eq!(counted.latencies.count(), 7);
    assert!(counted.latencies.mean().unwrap() >= counted.latencies.min().unwrap());
    assert!(counted.healthy);

    // Nobody listens there: refused at once.
    let closed: SocketAddr = "127.0.0.1:1".parse().unwrap();
    plane.reconcile(&[tcp(VIP, &[closed])]).unwrap();
    for _ in 0..4 {
        assert_eq!(ask(vip()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
    let counted = &backends(&plane)[0];
    assert_eq!((counted.successes, counted.failures, counted.pending), (0, 4, 0));
    assert_eq!((counted.refused, counted.timeouts, counted.latencies.count()), (4, 0, 0));
    assert!(counted.healthy);
    ask(vip()).unwrap_err();
    assert!(!backends(&plane)[0].healthy);

    // The former backend's counters went with it.
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    let counted = &backends(&plane)[0];
    assert_eq!((counted.successes, counted.latencies.count()), (0, 0));
}

#[test]
fn handshake_under_way_is_pending_until_given_up() {
    let Some(mut machine) = Machine::new() else { return };
    let silent = SocketAddr::new(silent_address(), 80);
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[silent])]).unwrap();

    let client = begin_connect(vip());
    wait_until("the handshake is pending", || backends(&plane)[0].pending == 1);
    // Reconciling away and back does not lose what is under way.
    plane.reconcile(&[]).unwrap();
    plane.reconcile(&[tcp(VIP, &[silent])]).unwrap();
    assert_eq!(backends(&plane)[0].pending, 1);

    drop(client);
    let counted = &backends(&plane)[0];
    assert_eq!((counted.successes, counted.failures, counted.pending), (0, 1, 0));
    // Nobody refused it; if the machine is slow, it may be late by now.
    assert_eq!(counted.refused, 0);
}

#[test]
fn failing_backend_is_passed_over() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let closed: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[server.address, closed])]).unwrap();

    // Five failures in a row open the breaker; from then on the other takes everything.
    let failures = (0..200).filter(|_| ask(vip()).is_err()).count();
    assert_eq!(failures, 5);
    let shown = backends(&plane);
    assert!(shown.iter().any(|b| b.address == closed && !b.healthy));
    assert!(shown.iter().any(|b| b.address == server.address && b.healthy));
}
