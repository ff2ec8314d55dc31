//! Backends that hang, and what becomes of connections meanwhile.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::fd::{AsRawFd as _, OwnedFd},
    time::Duration,
};

use aya::maps::{Array, Map, MapData};
use muster_dataplane::{BackendStatus, Config, DataPlane, Protocol};
use muster_packet::{BREAKER_BACKOFF_NS, Counters};
use nix::{
    sys::{
        signal::Signal,
        socket::{
            AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, accept, bind, getsockname,
            listen, socket,
        },
    },
    unistd::write,
};

use crate::{
    machine::{Machine, wait_until},
    process::Child,
    server::{Server, ask, begin_connect, servers},
    view::tcp,
};

const VIP: &str = "11.0.0.1:80";

fn vip() -> SocketAddr {
    VIP.parse().unwrap()
}

/// A server in a process of its own, whose kernel keeps two connections for it.
pub(crate) struct Hanging {
    pub(crate) address: SocketAddr,
    child: Child,
    /// What fills its backlog.
    waiting: Vec<OwnedFd>,
}

impl Hanging {
    /// Stopped, with its backlog full: it answers no SYN.
    pub(crate) fn new() -> Self {
        let listener =
            socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        listen(&listener, Backlog::new(1).unwrap()).unwrap();
        let address = getsockname::<SockaddrIn>(listener.as_raw_fd()).unwrap();
        let address = SocketAddr::V4(address.into());
        let child = Child::run(|ready| {
            ready.tell();
            loop {
                let connection = accept(listener.as_raw_fd()).unwrap();
                // SAFETY: the kernel has just made this descriptor for us.
                let connection =
                    unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(connection) };
                // The client may be gone: its problem.
                let _ = write(&connection, address.to_string().as_bytes());
            }
        });
        child.wait_ready();
        child.stop();
        let waiting = (0..4).map(|_| begin_connect(address)).collect();
        Self { address, child, waiting }
    }

    /// It works again.
    pub(crate) fn go_on(&mut self) {
        self.waiting.clear();
        self.child.signal(Signal::SIGCONT);
    }
}

/// What the plane knows of a backend of the VIP.
fn backend(plane: &DataPlane, address: SocketAddr) -> BackendStatus {
    let backends = plane.vip(vip(), Protocol::Tcp).unwrap().unwrap().backends;
    backends.into_iter().find(|backend| backend.address == address).unwrap()
}

fn tried(plane: &DataPlane, address: SocketAddr) -> u64 {
    let backend = backend(plane, address);
    backend.pending + backend.successes + backend.failures
}

/// The pinned map `counters`.
fn counters(config: &Config) -> Array<MapData, Counters> {
    let data = MapData::from_pin(config.directory().unwrap().join("counters")).unwrap();
    Map::from_map_data(data).unwrap().try_into().unwrap()
}

/// Puts everything that is known of backends back in time by a breaker's backoff.
pub(crate) fn pass_backoff(config: &Config) {
    let mut map = counters(config);
    for index in 0..4 {
        let mut counters = map.get(&index, 0).unwrap();
        for time in [&mut counters.last_failure_ns, &mut counters.probe_ns] {
            *time = time.saturating_sub(BREAKER_BACKOFF_NS + 1_000_000_000);
        }
        map.set(index, counters, 0).unwrap();
    }
}

#[test]
fn stopped_backend_gets_nothing_after_five_failures_until_it_answers_again() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let mut hanging = Hanging::new();
    let (config, mut plane) = machine.plane();
    // With nobody else there, it gets all.
    plane.reconcile(&[tcp(VIP, &[hanging.address])]).unwrap();
    let lost: Vec<_> = (0..5).map(|_| begin_connect(vip())).collect();
    wait_until("five SYNs have gone unanswered", || backend(&plane, hanging.address).failures == 5);
    assert_eq!(backend(&plane, hanging.address).pending, 0);
    assert!(!backend(&plane, hanging.address).healthy);
    // A connection that is counted as failed is not counted again when it is given up.
    drop(lost);
    assert_eq!(backend(&plane, hanging.address).failures, 5);

    // The last resort, as long as there is no other.
    drop(begin_connect(vip()));
    assert_eq!(backend(&plane, hanging.address).failures, 6);

    plane.reconcile(&[tcp(VIP, &[hanging.address, server.address])]).unwrap();
    for _ in 0..100 {
        assert_eq!(ask(vip()).unwrap(), server.address);
    }
    assert_eq!(tried(&plane, hanging.address), 6);

    // After the backoff it gets one connection, which fails: nothing for another backoff.
    pass_backoff(&config);
    assert!(backend(&plane, hanging.address).healthy);
    let tests: Vec<_> = (0..50).map(|_| begin_connect(vip())).collect();
    assert_eq!(tried(&plane, hanging.address), 7);
    wait_until("the test has failed", || backend(&plane, hanging.address).failures == 7);
    assert!(!backend(&plane, hanging.address).healthy);
    drop(tests);

    // It works again, and so does the next test.
    hanging.go_on();
    ask(hanging.address).unwrap();
    pass_backoff(&config);
    let mut answers = 0;
    // Every other one; fewer if the machine delays a handshake, but more than one in a backoff.
    wait_until("it gets its share again", || {
        answers += u32::from(ask(vip()).unwrap() == hanging.address);
        answers > 10
    });
    assert!(backend(&plane, hanging.address).healthy);
}

#[test]
fn late_handshake_is_a_failure_and_its_completion_closes_the_breaker() {
    let Some(mut machine) = Machine::new() else { return };
    let mut hanging = Hanging::new();
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[hanging.address])]).unwrap();
    let late: Vec<_> = (0..5).map(|_| begin_connect(vip())).collect();
    wait_until("all are late", || !backend(&plane, hanging.address).healthy);
    hanging.go_on();
    // Their SYNs are sent again and again, and answered now.
    wait_until("one is complete", || backend(&plane, hanging.address).healthy);
    drop(late);
    let shown = backend(&plane, hanging.address);
    assert_eq!((shown.successes, shown.failures, shown.pending), (0, 5, 0));
    assert_eq!((shown.timeouts, shown.refused), (5, 0));
    // Those that were completed took longer than the kernel waits before it sends a SYN again.
    assert!(shown.latencies.count() >= 1);
    assert!(shown.latencies.min().unwrap() >= Duration::from_millis(500), "{shown:?}");
    assert_eq!(ask(vip()).unwrap(), hanging.address);
}

#[test]
fn busy_backend_is_passed_over() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(2, Server::tcp);
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &addresses)]).unwrap();
    // Three handshakes that last as long as the test needs.
    let mut map = counters(&config);
    let place = (0..4).find(|at| map.get(at, 0).unwrap().backend.port == addresses[0].port());
    let mut busy = map.get(&place.unwrap(), 0).unwrap();
    busy.pending += 3;
    map.set(place.unwrap(), busy, 0).unwrap();
    let answers = (0..100).filter(|_| ask(vip()).unwrap() == addresses[1]).count();
    // All of them, unless the machine made a handshake to the other slow.
    assert!(answers > 70, "{answers}");
}

#[test]
fn backend_connects_to_itself_through_its_vip() {
    let Some(mut machine) = Machine::new() else { return };
    let (_, mut plane) = machine.plane();
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    plane.reconcile(&[tcp(VIP, &[address])]).unwrap();
    let client = TcpStream::connect(vip()).unwrap();
    let (served, from) = listener.accept().unwrap();
    assert_eq!(from, client.local_addr().unwrap());
    assert_eq!(client.peer_addr().unwrap(), vip());
    assert_eq!(served.local_addr().unwrap(), address);
}
