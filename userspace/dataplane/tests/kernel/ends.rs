//! What becomes of connections after their handshakes: segments sent again, and how they end.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use aya::maps::{Array, Map, MapData};
use muster_dataplane::{Config, DataPlane, Established, Protocol};
use muster_packet::Peer;
use nix::{libc, sys::socket::setsockopt};

use crate::{
    hosts::{Hosts, SECOND},
    machine::{Machine, ip, wait_until},
    view::tcp,
};

const VIP: &str = "11.0.0.1:80";

fn vip() -> SocketAddr {
    VIP.parse().unwrap()
}

fn established(plane: &DataPlane) -> Established {
    plane.vip(vip(), Protocol::Tcp).unwrap().unwrap().backends[0].established
}

/// How many places for connections are taken.
fn taken(config: &Config) -> usize {
    let data = MapData::from_pin(config.directory().unwrap().join("connections")).unwrap();
    let map: Array<MapData, Peer> = Map::from_map_data(data).unwrap().try_into().unwrap();
    map.iter().filter(|peer| peer.as_ref().unwrap().tag != 0).count()
}

/// Both ends of a new connection through the VIP, which a listener accepts.
fn connect(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(vip()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn listen(address: Ipv4Addr) -> TcpListener {
    TcpListener::bind((IpAddr::V4(address), 0)).unwrap()
}

/// Closing the socket resets its connection.
fn reset(socket: TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&socket, nix::sys::socket::sockopt::Linger, &linger).unwrap();
    drop(socket);
}

/// Waits for the end of what is read, whatever it is.
fn read_to_end(mut socket: &TcpStream) -> Result<(), ErrorKind> {
    socket.read_to_end(&mut Vec::new()).map(drop).map_err(|error| error.kind())
}

#[test]
fn ends_are_counted_by_who_brought_them_about() {
    let Some(mut machine) = Machine::new() else { return };
    let listener = listen(Ipv4Addr::LOCALHOST);
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[listener.local_addr().unwrap()])]).unwrap();
    let await_ended = |count: u64, resets: u64| {
        wait_until("the end is counted", || established(&plane).ended == count);
        let counted = established(&plane);
        assert_eq!((counted.resets, counted.expired, counted.retransmits), (resets, 0, 0));
        assert!(counted.rtt().is_some());
    };

    // The client closes first.
    let (client, server) = connect(&listener);
    assert_eq!((established(&plane), taken(&config)), (Established::default(), 1));
    drop(client);
    await_ended(1, 0);
    assert_eq!(taken(&config), 0);
    drop(server);

    // The server does. The place stays the client's for as long as it has its socket.
    let (client, server) = connect(&listener);
    drop(server);
    read_to_end(&client).unwrap();
    await_ended(2, 0);
    assert_eq!((client.peer_addr().unwrap(), taken(&config)), (vip(), 1));
    drop(client);
    assert_eq!(taken(&config), 0);

    // Half of it is closed, then the other.
    let (client, server) = connect(&listener);
    client.shutdown(Shutdown::Write).unwrap();
    await_ended(3, 0);
    read_to_end(&server).unwrap();
    drop((server, client));

    // The client resets it, as one does that has not read all.
    let (client, server) = connect(&listener);
    reset(client);
    assert_eq!(read_to_end(&server), Err(ErrorKind::ConnectionReset));
    await_ended(4, 0);

    // The server does.
    let (client, server) = connect(&listener);
    reset(server);
    assert_eq!(read_to_end(&client), Err(ErrorKind::ConnectionReset));
    await_ended(5, 1);
    assert_eq!(taken(&config), 1);
    drop(client);
    assert_eq!((established(&plane).ended, taken(&config)), (5, 0));

    // Those of a time, however they end.
    let (clients, servers): (Vec<_>, Vec<_>) = (0..40).map(|_| connect(&listener)).unzip();
    drop(servers.into_iter().step_by(2).collect::<Vec<_>>());
    drop(clients);
    await_ended(45, 1);
    assert_eq!(taken(&config), 0);
}

#[test]
fn lost_segments_and_what_comes_of_them_are_counted() {
    let Some(mut machine) = Machine::new() else { return };
    let hosts = Hosts::new();
    let listener = hosts.second.run(|| listen(SECOND));
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[listener.local_addr().unwrap()])]).unwrap();

    // What is sent is lost until the other host is there again; then it arrives.
    let (mut client, mut server) = connect(&listener);
    hosts.second.run(|| ip("link set eth0 down"));
    client.write_all(b"hello").unwrap();
    wait_until("it is sent again", || established(&plane).retransmits >= 2);
    hosts.second.run(|| ip("link set eth0 up"));
    let mut heard = [0; 5];
    server.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    let counted = established(&plane);
    assert_eq!((counted.ended, counted.resets, counted.expired), (0, 0, 0));
    drop((client, server));
    wait_until("the end is counted", || established(&plane).ended == 1);

    // One that is not there again in time.
    let (mut client, server) = connect(&listener);
    let patience = Duration::from_millis(700);
    let option = nix::sys::socket::sockopt::TcpUserTimeout;
    setsockopt(&client, option, &u32::try_from(patience.as_millis()).unwrap()).unwrap();
    hosts.second.run(|| ip("link set eth0 down"));
    client.write_all(b"hello").unwrap();
    assert_eq!(read_to_end(&client), Err(ErrorKind::TimedOut));
    let counted = established(&plane);
    assert_eq!((counted.ended, counted.resets, counted.expired), (2, 0, 1));
    assert_eq!(taken(&config), 1);
    drop((client, server));
    assert_eq!((established(&plane).ended, taken(&config)), (2, 0));
}
