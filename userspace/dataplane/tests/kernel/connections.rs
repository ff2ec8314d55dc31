//! The records of TCP connections: whose they are, for how long, and what if there are more
//! than places.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd as _, OwnedFd},
};

use aya::maps::{Array, Map, MapData};
use muster_dataplane::{Config, DataPlane, Protocol};
use muster_packet::{MAX_CONNECTIONS, Peer, Stage};
use nix::{
    errno::Errno,
    libc,
    sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrStorage, connect, getpeername,
        socket,
    },
};

use crate::{
    machine::{Machine, silent_address, wait_until},
    server::{Server, ask, begin_connect},
    view::tcp,
};

const VIP: &str = "11.0.0.1:80";

fn vip() -> SocketAddr {
    VIP.parse().unwrap()
}

/// Nobody listens there.
fn closed() -> SocketAddr {
    "127.0.0.1:1".parse().unwrap()
}

/// The pinned map `connections`.
fn connections(config: &Config) -> Array<MapData, Peer> {
    let data = MapData::from_pin(config.directory().unwrap().join("connections")).unwrap();
    Map::from_map_data(data).unwrap().try_into().unwrap()
}

/// The tags of the places that are taken.
fn taken(config: &Config) -> Vec<u64> {
    connections(config).iter().map(|peer| peer.unwrap().tag).filter(|tag| *tag != 0).collect()
}

/// Gives every place to a socket that is none of ours.
fn take_all(config: &Config) -> Vec<u64> {
    let stranger = 1 << 58;
    let tag = |place| Peer::tag(stranger + place, Stage::Established);
    let tags: Vec<u64> = (0..MAX_CONNECTIONS as u64).map(tag).collect();
    set_all(config, &tags);
    tags
}

fn set_all(config: &Config, tags: &[u64]) {
    let mut map = connections(config);
    for (place, tag) in (0..).zip(tags) {
        let mut peer = map.get(&place, 0).unwrap();
        peer.tag = *tag;
        map.set(place, peer, 0).unwrap();
    }
}

/// Handshakes that succeeded, failed, and are under way, of the VIP's one backend.
fn counted(plane: &DataPlane) -> (u64, u64, u64) {
    let vip = plane.vip(vip(), Protocol::Tcp).unwrap().unwrap();
    let backend = &vip.backends[0];
    (backend.successes, backend.failures, backend.pending)
}

fn fresh() -> OwnedFd {
    socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap()
}

fn connect_to(socket: &OwnedFd, to: SocketAddr) -> Result<(), Errno> {
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to))
}

fn peer(socket: &OwnedFd) -> SocketAddr {
    SocketAddr::V4(getpeername::<SockaddrIn>(socket.as_raw_fd()).unwrap().into())
}

/// Dissolves a connection: the socket may be connected anew.
fn disconnect(socket: &OwnedFd) {
    let nowhere =
        libc::sockaddr { sa_family: libc::AF_UNSPEC.try_into().unwrap(), sa_data: [0; 14] };
    let size = size_of::<libc::sockaddr>().try_into().unwrap();
    // SAFETY: an address of this size that lives beyond the call.
    let result = unsafe { libc::connect(socket.as_raw_fd(), &raw const nowhere, size) };
    Errno::result(result).unwrap();
}

#[test]
fn place_is_free_again_when_its_socket_is_closed() {
    let Some(mut machine) = Machine::new() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[address])]).unwrap();

    let held: Vec<_> = (0..20).map(|_| TcpStream::connect(vip()).unwrap()).collect();
    assert_eq!(taken(&config).len(), 20);
    assert!(taken(&config).iter().all(|tag| Peer::is_at(*tag, Stage::Established)));
    // Servers' sockets and direct connections have none.
    let direct = TcpStream::connect(address).unwrap();
    let accepted: Vec<_> = (0..21).map(|_| listener.accept().unwrap()).collect();
    assert_eq!(taken(&config).len(), 20);
    drop((held, direct, accepted));
    assert_eq!(taken(&config).len(), 0);

    // However they ended.
    plane.reconcile(&[tcp(VIP, &[closed()])]).unwrap();
    ask(vip()).unwrap_err();
    assert_eq!(taken(&config).len(), 0);
    plane.reconcile(&[tcp(VIP, &[SocketAddr::new(silent_address(), 80)])]).unwrap();
    let client = begin_connect(vip());
    assert_eq!(taken(&config).len(), 1);
    drop(client);
    assert_eq!(taken(&config).len(), 0);
}

#[test]
fn connections_without_a_place_are_served_and_counted_alike() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    let strangers = take_all(&config);

    let held: Vec<_> = (0..20).map(|_| TcpStream::connect(vip()).unwrap()).collect();
    assert!(held.iter().all(|client| client.peer_addr().unwrap() == vip()));
    let direct = TcpStream::connect(server.address).unwrap();
    assert_eq!(direct.peer_addr().unwrap(), server.address);
    assert_eq!(counted(&plane), (20, 0, 0));

    plane.reconcile(&[tcp(VIP, &[closed()])]).unwrap();
    assert_eq!(ask(vip()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(counted(&plane), (0, 1, 0));

    plane.reconcile(&[tcp(VIP, &[SocketAddr::new(silent_address(), 80)])]).unwrap();
    let client = begin_connect(vip());
    wait_until("the handshake is pending", || counted(&plane) == (0, 0, 1));
    drop(client);
    assert_eq!(counted(&plane), (0, 1, 0));
    assert_eq!(taken(&config), strangers);
}

#[test]
fn socket_that_went_elsewhere_after_a_vip_shows_where_it_is() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (config, mut plane) = machine.plane();
    let no_route: SocketAddr = "203.0.113.1:80".parse().unwrap();
    for places in ["free", "taken"] {
        if places == "taken" {
            take_all(&config);
        }
        // Refused.
        plane.reconcile(&[tcp(VIP, &[closed()])]).unwrap();
        let socket = fresh();
        assert_eq!(connect_to(&socket, vip()), Err(Errno::ECONNREFUSED));
        connect_to(&socket, server.address).unwrap();
        assert_eq!(peer(&socket), server.address, "places {places}");
        assert_eq!(counted(&plane), (0, 1, 0), "places {places}");

        // Not even begun; and what follows is not the VIP's.
        plane.reconcile(&[tcp(VIP, &[no_route])]).unwrap();
        let socket = fresh();
        assert_eq!(connect_to(&socket, vip()), Err(Errno::ENETUNREACH));
        assert_eq!(counted(&plane), (0, 0, 0), "places {places}");
        connect_to(&socket, server.address).unwrap();
        assert_eq!(peer(&socket), server.address, "places {places}");
        assert_eq!(counted(&plane), (0, 0, 0), "places {places}");

        // To the VIP's backend itself, and to the VIP again.
        plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
        let socket = fresh();
        for _ in 0..2 {
            connect_to(&socket, vip()).unwrap();
            assert_eq!(peer(&socket), vip(), "places {places}");
            disconnect(&socket);
            connect_to(&socket, server.address).unwrap();
            assert_eq!(peer(&socket), server.address, "places {places}");
            disconnect(&socket);
        }
        assert_eq!(counted(&plane), (2, 0, 0), "places {places}");
        plane.reconcile(&[]).unwrap();
    }
}

#[test]
fn socket_that_had_its_record_in_both_ways_shows_where_it_is() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    let socket = fresh();
    take_all(&config);
    connect_to(&socket, vip()).unwrap();
    disconnect(&socket);
    set_all(&config, &vec![0; MAX_CONNECTIONS]);
    connect_to(&socket, vip()).unwrap();
    assert_eq!(taken(&config).len(), 1);
    assert_eq!(peer(&socket), vip());
    disconnect(&socket);
    connect_to(&socket, server.address).unwrap();
    assert_eq!(peer(&socket), server.address);
    assert_eq!(taken(&config).len(), 0);
    assert_eq!(counted(&plane), (2, 0, 0));
}
