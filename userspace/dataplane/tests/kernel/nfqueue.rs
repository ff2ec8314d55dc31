//! What is special about NFQUEUE: rules, the set, clients and backends on other machines.

use std::{
    fs::{self, File},
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    process, thread,
};

use muster_dataplane::{DataPlane, Error, Protocol, VipBackend};
use nix::sched::{CloneFlags, setns, unshare};

use crate::{
    machine::{Machine, ip, said},
    server::{Live, Server, ask, echo},
    view::{tcp, udp},
};

const VIP: &str = "11.0.0.1:80";

fn vip() -> SocketAddr {
    VIP.parse().unwrap()
}

/// Another machine, on a wire of its own to this one.
struct Elsewhere {
    network: File,
    address: Ipv4Addr,
}

// === impl Elsewhere ===

impl Elsewhere {
    /// Its address ends in 2, and this machine's on the same wire in 1.
    fn new(number: u8) -> Self {
        let network = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let network = network.join().unwrap();
        let elsewhere = Self { network, address: Ipv4Addr::new(10, 97, number, 2) };
        let path = format!("/proc/{}/fd/{}", process::id(), elsewhere.network.as_raw_fd());
        ip(&format!("link add wire{number} type veth peer name far netns {path}"));
        ip(&format!("link set wire{number} up"));
        ip(&format!("addr add 10.97.{number}.1/24 dev wire{number}"));
        elsewhere.run(|| {
            ip("link set lo up");
            ip("link set far up");
            ip(&format!("addr add {}/24 dev far", elsewhere.address));
            ip(&format!("route add default via 10.97.{number}.1"));
        });
        elsewhere
    }

    /// Does something there. Threads that it starts stay there.
    fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let there = scope.spawn(|| {
                setns(&self.network, CloneFlags::CLONE_NEWNET).unwrap();
                act()
            });
            there.join().unwrap()
        })
    }
}

/// A listener and where it is.
fn listener(address: Ipv4Addr) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn rules_and_set_are_minutemans_and_go_with_the_agent() {
    let Some(mut machine) = Machine::on_any_kernel() else { return };
    let (config, mut plane) = machine.plane_by(VipBackend::Nfqueue);
    plane.reconcile(&[tcp(VIP, &[]), tcp("11.0.0.2:443", &[]), tcp("11.0.0.3:1", &[])]).unwrap();
    plane.reconcile(&[tcp("11.0.0.2:443", &[]), tcp(VIP, &[])]).unwrap();
    let syn = "-p tcp -m set --match-set minuteman dst,dst \
               -m tcp --tcp-flags FIN,SYN,RST,ACK SYN";
    let of = |table: &str| said(&format!("iptables -w -t {table} -S"));
    for chain in ["OUTPUT", "PREROUTING"] {
        let rule = format!("-A {chain} {syn} -j NFQUEUE --queue-balance 50:58\n");
        assert_eq!(of("raw").matches(&rule).count(), 1, "{}", of("raw"));
    }
    for chain in ["OUTPUT", "FORWARD"] {
        let rule = format!("-A {chain} {syn} -j REJECT --reject-with icmp-port-unreachable\n");
        assert_eq!(of("filter").matches(&rule).count(), 1, "{}", of("filter"));
    }
    assert_eq!(said("ipset list -n"), "minuteman\n");
    let saved = said("ipset save minuteman");
    assert!(saved.starts_with("create minuteman hash:ip,port family inet"), "{saved}");
    for member in ["11.0.0.1,tcp:80", "11.0.0.2,tcp:443"] {
        assert!(saved.contains(&format!("add minuteman {member}\n")), "{saved}");
    }
    assert_eq!(saved.matches("add ").count(), 2, "{saved}");

    // What is removed by hand is put back, and nothing is there twice.
    said("iptables -w -t raw -F OUTPUT");
    plane.reconcile(&[tcp(VIP, &[])]).unwrap();
    assert_eq!(of("raw").matches("minuteman").count(), 2);
    assert_eq!(of("filter").matches("minuteman").count(), 2);

    assert!(matches!(DataPlane::open(&config), Err(Error::QueueBusy { queue: 50 })));
    assert!(matches!(DataPlane::remove(&config), Err(Error::QueueBusy { .. })));
    drop(plane);
    assert_eq!(of("raw").matches("minuteman").count(), 2, "the rules outlive the agent");
    DataPlane::remove(&config).unwrap();
    let left = ["raw", "filter", "nat"].map(of).concat();
    assert!(!left.contains("minuteman") && !left.contains("255.255.255.255"), "{left}");
    assert_eq!(said("ipset list -n"), "");
}

#[test]
fn what_nfqueue_cannot_serve_is_named() {
    let Some(mut machine) = Machine::on_any_kernel() else { return };
    let server = Server::tcp();
    let (_, mut plane) = machine.plane_by(VipBackend::Nfqueue);
    let view = [
        udp("11.0.0.1:53", &[server.address]),
        tcp(VIP, &[server.address]),
        tcp("[fd01:c::1]:80", &[server.address]),
    ];
    let changes = plane.reconcile(&view).unwrap();
    let skipped: Vec<String> = changes.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(
        skipped,
        [
            "VIP 11.0.0.1:53/udp: key.protocol 17: NFQUEUE serves TCP only",
            "VIP [fd01:c::1]:80/tcp: key.address fd01:c::1: NFQUEUE serves IPv4 only",
        ]
    );
    assert_eq!(ask(vip()).unwrap(), server.address);
    assert!(plane.vip("11.0.0.1:53".parse().unwrap(), Protocol::Udp).unwrap().is_none());
}

#[test]
fn clients_and_backends_on_other_machines_meet() {
    let Some(mut machine) = Machine::on_any_kernel() else { return };
    let (_, mut plane) = machine.plane_by(VipBackend::Nfqueue);
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    let (client, other) = (Elsewhere::new(1), Elsewhere::new(2));
    let connect = || client.run(|| TcpStream::connect(vip()));

    // A backend here sees the client's own address.
    let (here, address) = listener(Ipv4Addr::new(10, 97, 1, 1));
    plane.reconcile(&[tcp(VIP, &[address])]).unwrap();
    let stream = connect().unwrap();
    let (served, from) = here.accept().unwrap();
    assert_eq!(from.ip(), client.address);
    assert_eq!(stream.peer_addr().unwrap(), vip());
    assert_eq!(served.local_addr().unwrap(), address);

    // One elsewhere sees this machine, so that its answers come back here.
    let (there, address) = other.run(|| listener(other.address));
    plane.reconcile(&[tcp(VIP, &[address])]).unwrap();
    let _stream = connect().unwrap();
    assert_eq!(there.accept().unwrap().1.ip(), Ipv4Addr::new(10, 97, 2, 1));
    // So does it when the client is here, whichever address that would have used for the VIP.
    let _stream = TcpStream::connect(vip()).unwrap();
    assert_eq!(there.accept().unwrap().1.ip(), Ipv4Addr::new(10, 97, 2, 1));
    // And when client and backend are neighbours, or one.
    let _stream = other.run(|| TcpStream::connect(vip())).unwrap();
    assert_eq!(there.accept().unwrap().1.ip(), Ipv4Addr::new(10, 97, 2, 1));

    // Without a backend, clients elsewhere are refused at once, too.
    plane.reconcile(&[tcp(VIP, &[])]).unwrap();
    assert_eq!(connect().unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn port_that_a_client_uses_again_is_led_anew() {
    let Some(mut machine) = Machine::on_any_kernel() else { return };
    let (old, new) = (echo(), Server::tcp());
    let (_, mut plane) = machine.plane_by(VipBackend::Nfqueue);
    // Few ports, so that the same ones come again while their entries wait to end.
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40003").unwrap();
    plane.reconcile(&[tcp(VIP, &[old])]).unwrap();
    for _ in 0..20 {
        let live = Live::connect(vip(), 2);
        // Ended by a reset, which leaves the client's port free at once.
        live.reset();
    }
    plane.reconcile(&[tcp(VIP, &[new.address])]).unwrap();
    for _ in 0..4 {
        assert_eq!(ask(vip()).unwrap(), new.address);
    }
}
