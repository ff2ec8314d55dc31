//! Clients outside the cluster: through the VIP to backends on the node that forwards and on another.

use std::{
    collections::BTreeSet,
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use muster_dataplane::DataPlane;

use crate::{
    hosts::{CLIENT, Host, Hosts, NODE, SECOND, forwarding, offload},
    machine::{Machine, ip, wait_until},
    server::PATIENCE,
    view::{tcp, udp},
};

mod six;

/// By which packets can be caught.
pub(crate) const MEANS: [&str; 4] = ["eth0:xdp", "eth0:xdp-generic", "eth0:tc", "eth0:clsact"];

pub(crate) const VIP: &str = "11.0.0.1:80";

pub(crate) fn vip() -> SocketAddr {
    VIP.parse().unwrap()
}

/// Serves connections until the namespace's thread ends: says whom it sees, then repeats what it
/// hears.
pub(crate) fn echo(address: impl Into<IpAddr>) -> SocketAddr {
    let listener = TcpListener::bind((address.into(), 0)).unwrap();
    let local = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, peer)) = listener.accept() {
            thread::spawn(move || {
                let _ = writeln!(stream, "{local} {}", peer.ip());
                let mut buffer = vec![0; 65_536];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    local
}

/// Answers datagrams with whom it sees.
pub(crate) fn echo_udp(address: impl Into<IpAddr>) -> SocketAddr {
    let socket = UdpSocket::bind((address.into(), 0)).unwrap();
    let local = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(format!("{local} {}", peer.ip()).as_bytes(), peer);
        }
    });
    local
}

pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Who serves a connection, and whom that one sees.
pub(crate) fn greeting(stream: &mut TcpStream) -> (SocketAddr, IpAddr) {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        if byte[0] == b'\n' {
            break;
        }
        line.push(byte[0]);
    }
    seen(&String::from_utf8(line).unwrap())
}

fn seen(text: &str) -> (SocketAddr, IpAddr) {
    let (server, client) = text.split_once(' ').unwrap();
    (server.parse().unwrap(), client.parse().unwrap())
}

/// Sends bytes and has them back.
pub(crate) fn there_and_back(stream: &mut TcpStream, bytes: usize) {
    let sent: Vec<u8> = (0..bytes).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let (mut writer, to_write) = (stream.try_clone().unwrap(), sent.clone());
    let writing = thread::spawn(move || writer.write_all(&to_write).unwrap());
    let mut received = vec![0; bytes];
    stream.read_exact(&mut received).unwrap();
    writing.join().unwrap();
    assert!(received == sent, "other bytes came back");
}

pub(crate) fn count(plane: &DataPlane, name: &str) -> u64 {
    let counters = plane.forwarded().unwrap();
    counters.iter().find(|(of, _)| *of == name).unwrap().1
}

/// Runs a test with each means.
pub(crate) fn with_each(test: impl Fn(&Hosts, &mut DataPlane, &str)) {
    for means in MEANS {
        let Some(mut machine) = Machine::new() else { return };
        let hosts = Hosts::new();
        let config = forwarding(&mut machine, means);
        let mut plane = DataPlane::open(&config).unwrap();
        println!("{means}");
        test(&hosts, &mut plane, means);
    }
}

#[test]
fn backend_on_the_node_sees_the_client() {
    with_each(|hosts, plane, _| {
        let (tcp_server, udp_server) = (echo(NODE), echo_udp(NODE));
        plane.reconcile(&[tcp(VIP, &[tcp_server]), udp(VIP, &[udp_server])]).unwrap();
        let (stream_seen, datagram_seen) = hosts.client.run(|| {
            let mut stream = connect(vip());
            assert_eq!(stream.peer_addr().unwrap(), vip());
            let seen = greeting(&mut stream);
            there_and_back(&mut stream, 3_000_000);
            (seen, datagram(&UdpSocket::bind((CLIENT, 0)).unwrap(), vip()))
        });
        assert_eq!(stream_seen, (tcp_server, IpAddr::V4(CLIENT)));
        assert_eq!(datagram_seen, (udp_server, IpAddr::V4(CLIENT)));
        assert!(count(plane, "local") > 0 && count(plane, "local_replies") > 0);
        assert_eq!((count(plane, "remote"), count(plane, "opened")), (0, 2));
    });
}

/// Asks a VIP with a datagram. The answer must come from the VIP.
pub(crate) fn datagram(socket: &UdpSocket, vip: SocketAddr) -> (SocketAddr, IpAddr) {
    socket.send_to(b"who", vip).unwrap();
    answered(socket, vip)
}

/// Who answers a datagram to a VIP, and whom that one sees.
pub(crate) fn answered(socket: &UdpSocket, vip: SocketAddr) -> (SocketAddr, IpAddr) {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 256];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(from, vip);
    seen(std::str::from_utf8(&buffer[..length]).unwrap())
}

#[test]
fn backend_on_another_node_sees_the_node_and_answers_through_it() {
    with_each(|hosts, plane, _| {
        let (tcp_server, udp_server) = hosts.second.run(|| (echo(SECOND), echo_udp(SECOND)));
        plane.reconcile(&[tcp(VIP, &[tcp_server]), udp(VIP, &[udp_server])]).unwrap();
        let (stream_seen, datagram_seen) = hosts.client.run(|| {
            let mut stream = connect(vip());
            let seen = greeting(&mut stream);
            there_and_back(&mut stream, 3_000_000);
            (seen, datagram(&UdpSocket::bind((CLIENT, 0)).unwrap(), vip()))
        });
        assert_eq!(stream_seen, (tcp_server, IpAddr::V4(NODE)));
        assert_eq!(datagram_seen, (udp_server, IpAddr::V4(NODE)));
        assert!(count(plane, "remote") > 0 && count(plane, "remote_replies") > 0);
        assert_eq!((count(plane, "local"), count(plane, "opened")), (0, 2));
    });
}

#[test]
fn many_connections_are_shared_by_all_backends() {
    with_each(|hosts, plane, _| {
        let here = echo(NODE);
        let there = hosts.second.run(|| echo(SECOND));
        plane.reconcile(&[tcp(VIP, &[here, there])]).unwrap();
        let servers = hosts.client.run(|| {
            let mut streams: Vec<TcpStream> = (0..300).map(|_| connect(vip())).collect();
            let servers: BTreeSet<_> = streams.iter_mut().map(|s| greeting(s).0).collect();
            // All at once, each with its own.
            for stream in &mut streams {
                there_and_back(stream, 2_000);
            }
            servers
        });
        assert_eq!(servers, BTreeSet::from([here, there]));
        assert_eq!(count(plane, "opened"), 300);
    });
}

/// Talks on connections to the VIP until told to stop; how often it was answered.
pub(crate) struct Talk {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
}

// === impl Talk ===

impl Talk {
    pub(crate) fn begin(
        client: &Host,
        connections: usize,
        vip: SocketAddr,
    ) -> (Self, thread::JoinHandle<()>) {
        let talk = Self { stop: Arc::default(), answers: Arc::default() };
        let (stop, answers) = (Arc::clone(&talk.stop), Arc::clone(&talk.answers));
        let talking = client.run(move || {
            let mut streams: Vec<TcpStream> = (0..connections).map(|_| connect(vip)).collect();
            for stream in &mut streams {
                greeting(stream);
            }
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    for stream in &mut streams {
                        there_and_back(stream, 100);
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        });
        (talk, talking)
    }

    /// Waits until it has gone on for a while.
    pub(crate) fn goes_on(&self, talking: &thread::JoinHandle<()>) {
        let reached = self.answers.load(Ordering::Relaxed) + 40;
        wait_until("it is talked on", || {
            self.answers.load(Ordering::Relaxed) > reached || talking.is_finished()
        });
    }

    pub(crate) fn end(self, talking: thread::JoinHandle<()>) {
        self.stop.store(true, Ordering::Relaxed);
        talking.join().unwrap();
    }
}

#[test]
fn connections_outlive_the_agent_and_its_upgrade() {
    for means in MEANS {
        let Some(mut machine) = Machine::new() else { return };
        let hosts = Hosts::new();
        let config = forwarding(&mut machine, means);
        let here = echo(NODE);
        let there = hosts.second.run(|| echo(SECOND));
        let view = [tcp(VIP, &[here, there])];
        DataPlane::open(&config).unwrap().reconcile(&view).unwrap();
        // No agent runs.
        let (talk, talking) = Talk::begin(&hosts.client, 20, vip());
        talk.goes_on(&talking);
        for _ in 0..5 {
            let mut plane = DataPlane::open(&config).unwrap();
            plane.reconcile(&view).unwrap();
            talk.goes_on(&talking);
        }
        talk.end(talking);
    }
}

#[test]
fn connections_stay_with_a_backend_that_drains_or_gets_company() {
    with_each(|hosts, plane, _| {
        let here = echo(NODE);
        let (there, other) = hosts.second.run(|| (echo(SECOND), echo(SECOND)));
        plane.reconcile(&[tcp(VIP, &[here, there])]).unwrap();
        let (talk, talking) = Talk::begin(&hosts.client, 20, vip());
        for weights in [[0, 0, 1], [1, 0, 0], [0, 1, 1], [1, 1, 1]] {
            let view = crate::view::weighted(tcp(VIP, &[here, there, other]), &weights);
            plane.reconcile(&[view]).unwrap();
            talk.goes_on(&talking);
        }
        // New ones go where they are to go.
        let view = crate::view::weighted(tcp(VIP, &[here, there, other]), &[0, 0, 1]);
        plane.reconcile(&[view]).unwrap();
        let server = hosts.client.run(|| greeting(&mut connect(vip())).0);
        assert_eq!(server, other);
        talk.end(talking);
    });
}

#[test]
fn senders_that_leave_checksums_to_their_hardware_are_served_at_tc() {
    let Some(mut machine) = Machine::new() else { return };
    let hosts = Hosts::new();
    offload("eth0", "tx on");
    hosts.client.run(|| offload("eth0", "tx on"));
    hosts.second.run(|| offload("eth0", "tx on"));
    // What is best for a veth is not XDP, for this very reason.
    let config = forwarding(&mut machine, "eth0");
    let mut plane = DataPlane::open(&config).unwrap();
    let here = echo(NODE);
    let there = hosts.second.run(|| echo(SECOND));
    for backend in [here, there] {
        plane.reconcile(&[tcp(VIP, &[backend])]).unwrap();
        let server = hosts.client.run(|| {
            let mut stream = connect(vip());
            let server = greeting(&mut stream).0;
            there_and_back(&mut stream, 3_000_000);
            server
        });
        assert_eq!(server, backend);
    }
}

#[test]
fn addresses_are_kept_current() {
    let Some(mut machine) = Machine::new() else { return };
    let hosts = Hosts::new();
    let config = forwarding(&mut machine, "eth0");
    let mut plane = DataPlane::open(&config).unwrap();
    let later = Ipv4Addr::new(10, 7, 0, 77);
    ip("addr add 10.7.0.77/24 dev eth0");
    let server = echo(later);
    plane.reconcile(&[tcp(VIP, &[server])]).unwrap();
    let seen = hosts.client.run(|| greeting(&mut connect(vip())));
    assert_eq!(seen, (server, IpAddr::V4(CLIENT)));
    // Without a change of the view.
    ip("addr del 10.7.0.77/24 dev eth0");
    hosts.second.run(|| ip("addr add 10.7.0.77/24 dev eth0"));
    let moved = hosts.second.run(move || {
        let listener = TcpListener::bind((later, server.port())).unwrap();
        thread::spawn(move || {
            while let Ok((mut stream, peer)) = listener.accept() {
                let _ = writeln!(stream, "{server} {}", peer.ip());
            }
        });
        server
    });
    ip("neigh flush dev eth0");
    plane.refresh().unwrap();
    let seen = hosts.client.run(|| greeting(&mut connect(vip())));
    assert_eq!(seen, (moved, IpAddr::V4(NODE)));
}

#[test]
fn packets_to_no_vip_are_none_of_our_business() {
    with_each(|hosts, plane, _| {
        let here = echo(NODE);
        plane.reconcile(&[tcp(VIP, &[here])]).unwrap();
        let seen = hosts.client.run(move || greeting(&mut connect(here)));
        assert_eq!(seen, (here, IpAddr::V4(CLIENT)));
        // The VIP's address, but not its port: to the kernel, which has no such address.
        let refused = hosts.client.run(|| {
            let other = SocketAddr::new(vip().ip(), 81);
            TcpStream::connect_timeout(&other, std::time::Duration::from_millis(200)).map(drop)
        });
        let kind = refused.unwrap_err().kind();
        assert!(
            matches!(
                kind,
                ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
            ),
            "{kind}"
        );
        assert_eq!(count(plane, "opened"), 0);
    });
}
