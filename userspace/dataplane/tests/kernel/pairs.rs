//! A backend that several VIPs have: what is counted in each, and known in all.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use muster_dataplane::{BackendStatus, DataPlane, Protocol};
use muster_packet::Tier;

use crate::{
    machine::Machine,
    server::{PATIENCE, Server, ask, exchange},
    view::{tcp, udp},
};

const ONE: &str = "11.0.0.1:80";
const OTHER: &str = "11.0.0.2:80";

fn at(vip: &str) -> SocketAddr {
    vip.parse().unwrap()
}

/// What is shown of a VIP's backend.
fn shown(plane: &DataPlane, vip: &str, protocol: Protocol, backend: SocketAddr) -> BackendStatus {
    let backends = plane.vip(at(vip), protocol).unwrap().unwrap().backends;
    backends.into_iter().find(|of| of.address == backend).unwrap()
}

/// Begun, succeeded, failed, under way, and in the histogram.
fn counted(backend: &BackendStatus) -> (u64, u64, u64, u64, u64) {
    let BackendStatus { started, successes, failures, pending, latencies, .. } = backend;
    (*started, *successes, *failures, *pending, latencies.count())
}

/// How many places of counters are taken.
fn places(plane: &DataPlane) -> usize {
    let maps = plane.snapshot().unwrap().maps;
    maps.iter().find(|uses| uses.name == "counters").unwrap().entries
}

#[test]
fn connections_are_counted_where_they_were_made() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (config, mut plane) = machine.plane();
    let view = [tcp(ONE, &[server.address]), tcp(OTHER, &[server.address])];
    plane.reconcile(&view).unwrap();
    let counts =
        |plane: &DataPlane, vip| counted(&shown(plane, vip, Protocol::Tcp, server.address));
    let ask = |vip| assert_eq!(ask(at(vip)).unwrap(), server.address);
    (0..3).for_each(|_| ask(ONE));
    (0..2).for_each(|_| ask(OTHER));
    assert_eq!(counts(&plane, ONE), (3, 3, 0, 0, 3));
    assert_eq!(counts(&plane, OTHER), (2, 2, 0, 0, 2));
    // How fast it is is known in both.
    let latency = |plane: &DataPlane, vip| shown(plane, vip, Protocol::Tcp, server.address).latency;
    assert!(latency(&plane, ONE).is_some());
    assert!(latency(&plane, OTHER).is_some());

    // The next agent goes on.
    drop(plane);
    ask(OTHER);
    let mut plane = DataPlane::open(&config).unwrap();
    assert!(plane.reconcile(&view).unwrap().writes.is_empty());
    assert_eq!(counts(&plane, ONE), (3, 3, 0, 0, 3));
    assert_eq!(counts(&plane, OTHER), (3, 3, 0, 0, 3));

    // What is known of a backend is kept while a VIP has it, whichever had it first.
    plane.reconcile(&view[1..]).unwrap();
    ask(OTHER);
    assert_eq!(counts(&plane, OTHER), (4, 4, 0, 0, 4));
    assert!(latency(&plane, OTHER).is_some());
    assert_eq!(places(&plane), 2);
    plane.read_again();
    assert!(plane.reconcile(&view[1..]).unwrap().writes.is_empty());
    plane.reconcile(&[]).unwrap();
    assert_eq!(places(&plane), 0);
    plane.reconcile(&view).unwrap();
    assert_eq!((counts(&plane, ONE), counts(&plane, OTHER)), ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0)));
}

#[test]
fn datagrams_are_counted_where_they_were_sent() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::udp();
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[udp(ONE, &[server.address]), udp(OTHER, &[server.address])]).unwrap();
    let client = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    };
    for _ in 0..3 {
        assert_eq!(exchange(&client(), at(ONE)).unwrap(), (server.address, at(ONE)));
    }
    client().connect(at(ONE)).unwrap();
    client().connect(at(OTHER)).unwrap();
    let counts = |vip| counted(&shown(&plane, vip, Protocol::Udp, server.address));
    assert_eq!(counts(ONE), (4, 4, 0, 0, 0));
    assert_eq!(counts(OTHER), (1, 1, 0, 0, 0));
}

#[test]
fn breaker_that_opens_in_one_vip_is_open_in_the_other() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (config, mut plane) = machine.plane();
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let view = [tcp(ONE, &[nobody]), tcp(OTHER, &[nobody, server.address])];
    plane.reconcile(&view).unwrap();
    for _ in 0..5 {
        ask(at(ONE)).unwrap_err();
    }
    let tier = |plane: &DataPlane, vip| shown(plane, vip, Protocol::Tcp, nobody).tier;
    assert_eq!((tier(&plane, ONE), tier(&plane, OTHER)), (Tier::Down, Tier::Down));
    // Without the VIP that it failed in, as well; and for an agent that reads it from the maps.
    for step in 0..3 {
        for _ in 0..40 {
            assert_eq!(ask(at(OTHER)).unwrap(), server.address);
        }
        let shown = shown(&plane, OTHER, Protocol::Tcp, nobody);
        assert_eq!((counted(&shown), shown.healthy), ((0, 0, 0, 0, 0), false));
        if step == 0 {
            assert_eq!(self::shown(&plane, ONE, Protocol::Tcp, nobody).failures, 5);
            plane.reconcile(&view[1..]).unwrap();
        } else {
            drop(plane);
            plane = DataPlane::open(&config).unwrap();
            plane.reconcile(&view[1..]).unwrap();
        }
    }
}
