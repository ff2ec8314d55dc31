//! What holds of TCP through VIPs whichever means serves them.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use muster_api::muster::Vip as View;
use muster_dataplane::{BackendStatus, DataPlane, Policy, Protocol, VipBackend};
use muster_packet::BREAKER_BACKOFF_NS;

use crate::{
    breaker::{Hanging, pass_backoff},
    machine::{Machine, silent_address, wait_after, wait_until},
    process::Child,
    server::{Live, Server, ask, begin_connect, echo, mapped, servers},
    view::{tcp, weighted},
};

const VIP: &str = "11.0.0.1:80";

fn vip() -> SocketAddr {
    VIP.parse().unwrap()
}

/// Runs each of these functions once with eBPF and once with NFQUEUE.
macro_rules! by_each {
    ($($scenario:ident),* $(,)?) => {
        mod by_ebpf {
            use super::*;
            $(#[test] fn $scenario() { run(VipBackend::Ebpf, super::$scenario); })*
        }
        mod by_nfqueue {
            use super::*;
            $(#[test] fn $scenario() { run(VipBackend::Nfqueue, super::$scenario); })*
        }
    };
}

by_each!(
    weights_share_connections_out,
    backend_of_weight_zero_gets_no_connections_and_keeps_those_it_has,
    vip_without_a_backend_refuses,
    removed_vip_is_no_vip_any_more,
    connections_are_counted_by_what_became_of_them,
    failing_backend_is_passed_over,
    silent_backend_gets_nothing_after_five_failures,
    half_open_backend_gets_one_connection_and_is_up_when_it_answers,
    maglev_keeps_a_client_at_its_backend,
    program_sees_the_vip_as_its_peer,
    backend_connects_to_itself_through_its_vip,
    connections_live_through_a_swap_of_backends,
    connections_live_through_the_death_of_the_agent,
);

fn run(backend: VipBackend, scenario: fn(&mut Machine, VipBackend)) {
    let machine = match backend {
        VipBackend::Nfqueue => Machine::on_any_kernel(),
        _ => Machine::new(),
    };
    if let Some(mut machine) = machine {
        scenario(&mut machine, backend);
    }
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

/// The same, once nothing is under way.
fn decided(plane: &DataPlane) -> Vec<BackendStatus> {
    wait_until("no handshake is under way", || backends(plane).iter().all(|b| b.pending == 0));
    backends(plane)
}

fn weights_share_connections_out(machine: &mut Machine, by: VipBackend) {
    let (_servers, addresses) = servers(3, Server::tcp);
    // Whatever latencies this machine shows.
    machine.policy = Policy::Random;
    let (_, mut plane) = machine.plane_by(by);
    assert_eq!(plane.backend(), by);
    let changes = plane.reconcile(&[weighted(tcp(VIP, &addresses), &[9, 1, 0])]).unwrap();
    assert_eq!((changes.added, changes.skipped.len()), (1, 0));
    let answers = answers(300);
    // Expected 270 and 30, standard deviation 5.
    assert!((220..=299).contains(&answers[&addresses[0]]), "{answers:?}");
    assert!(!answers.contains_key(&addresses[2]), "{answers:?}");
    let again = plane.reconcile(&[weighted(tcp(VIP, &addresses), &[9, 1, 0])]).unwrap();
    assert!(again.is_empty() && again.unchanged == 1);
}

fn backend_of_weight_zero_gets_no_connections_and_keeps_those_it_has(
    machine: &mut Machine,
    by: VipBackend,
) {
    let server = Server::tcp();
    let (_, mut plane) = machine.plane_by(by);
    let draining = echo();
    plane.reconcile(&[tcp(VIP, &[draining])]).unwrap();
    // They exchange something before, while and after it begins to drain.
    let busy = Live::connect(vip(), 300).busy();
    busy.another_round();
    let all = [draining, server.address];
    let changes = plane.reconcile(&[weighted(tcp(VIP, &all), &[0, 1])]).unwrap();
    assert_eq!(changes.changed, 1);
    busy.another_round();
    assert_eq!(answers(50).into_keys().collect::<Vec<_>>(), [server.address]);
    busy.another_round();
    let drained = backends(&plane).into_iter().find(|b| b.weight == 0).unwrap();
    assert!(!drained.healthy);
    // One after the other they end by themselves, and the backend may go.
    drop(busy.rest());
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    assert_eq!(answers(10).into_keys().collect::<Vec<_>>(), [server.address]);
}

fn vip_without_a_backend_refuses(machine: &mut Machine, by: VipBackend) {
    let server = Server::tcp();
    let (_, mut plane) = machine.plane_by(by);
    for view in [tcp(VIP, &[]), weighted(tcp(VIP, &[server.address]), &[0])] {
        plane.reconcile(&[view]).unwrap();
        assert_eq!(ask(vip()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    assert_eq!(ask(vip()).unwrap(), server.address);
}

fn removed_vip_is_no_vip_any_more(machine: &mut Machine, by: VipBackend) {
    let server = Server::tcp();
    let (_, mut plane) = machine.plane_by(by);
    // An address the machine has: whoever listens there is reached once the VIP is gone.
    let local = Server::tcp();
    plane.reconcile(&[tcp(&local.address.to_string(), &[server.address])]).unwrap();
    assert_eq!(ask(local.address).unwrap(), server.address);
    assert_eq!(plane.reconcile(&[]).unwrap().removed, 1);
    assert_eq!(ask(local.address).unwrap(), local.address);
    assert!(plane.vips().unwrap().is_empty());
}

fn connections_are_counted_by_what_became_of_them(machine: &mut Machine, by: VipBackend) {
    let server = Server::tcp();
    let (_, mut plane) = machine.plane_by(by);
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    answers(7);
    let counted = &decided(&plane)[0];
    assert_eq!((counted.successes, counted.failures), (7, 0));
    assert!(counted.healthy && counted.latency.is_some());

    // Nobody listens there: refused at once.
    plane.reconcile(&[tcp(VIP, &["127.0.0.1:1".parse().unwrap()])]).unwrap();
    for failures in 1..=5 {
        assert_eq!(ask(vip()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let counted = &decided(&plane)[0];
        assert_eq!((counted.successes, counted.failures), (0, failures));
        assert_eq!(counted.healthy, failures < 5);
    }
    // The former backend's counters went with it.
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    assert_eq!(backends(&plane)[0].successes, 0);
}

fn failing_backend_is_passed_over(machine: &mut Machine, by: VipBackend) {
    let server = Server::tcp();
    let closed: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let (_, mut plane) = machine.plane_by(by);
    plane.reconcile(&[tcp(VIP, &[server.address, closed])]).unwrap();
    // Five failures in a row open the breaker; from then on the other takes everything.
    let failed = |_: &i32| {
        let failed = ask(vip()).is_err();
        decided(&plane);
        failed
    };
    assert_eq!((0..100).filter(failed).count(), 5);
    let shown = backends(&plane);
    assert!(shown.iter().any(|b| b.address == closed && !b.healthy));
    assert!(shown.iter().any(|b| b.address == server.address && b.healthy));
}

fn silent_backend_gets_nothing_after_five_failures(machine: &mut Machine, by: VipBackend) {
    let silent = SocketAddr::new(silent_address(), 80);
    let server = Server::tcp();
    let (_, mut plane) = machine.plane_by(by);
    plane.reconcile(&[tcp(VIP, &[silent])]).unwrap();
    let waiting: Vec<_> = (0..5).map(|_| begin_connect(vip())).collect();
    wait_until("five SYNs have gone unanswered", || backends(&plane)[0].failures == 5);
    let shown = &backends(&plane)[0];
    assert_eq!((shown.pending, shown.healthy), (0, false));
    plane.reconcile(&[tcp(VIP, &[silent, server.address])]).unwrap();
    assert_eq!(answers(50).into_keys().collect::<Vec<_>>(), [server.address]);
    drop(waiting);
    let shown = backends(&plane).into_iter().find(|b| b.address == silent).unwrap();
    assert_eq!((shown.failures, shown.successes), (5, 0));
}

fn half_open_backend_gets_one_connection_and_is_up_when_it_answers(
    machine: &mut Machine,
    by: VipBackend,
) {
    let server = Server::tcp();
    let mut hanging = Hanging::new();
    let (config, mut plane) = machine.plane_by(by);
    plane.reconcile(&[tcp(VIP, &[hanging.address])]).unwrap();
    let shown = |plane: &DataPlane, address| {
        backends(plane).into_iter().find(|backend| backend.address == address).unwrap()
    };
    let lost: Vec<_> = (0..5).map(|_| begin_connect(vip())).collect();
    wait_until("five have failed", || shown(&plane, hanging.address).failures == 5);
    drop(lost);
    plane.reconcile(&[tcp(VIP, &[hanging.address, server.address])]).unwrap();
    let down = shown(&plane, hanging.address);
    assert_eq!((down.started, down.healthy), (5, false));

    if by == VipBackend::Ebpf {
        pass_backoff(&config);
    }
    // What NFQUEUE knows is in memory, where nobody can put it back in time.
    let backoff = Duration::from_nanos(BREAKER_BACKOFF_NS);
    wait_after(backoff, "the breaker is half open", || shown(&plane, hanging.address).healthy);
    let begun = |plane: &DataPlane| backends(plane).iter().map(|b| b.started).sum::<u64>();
    let wanted = begun(&plane) + 50;
    let tests: Vec<_> = (0..50).map(|_| begin_connect(vip())).collect();
    wait_until("all have begun", || begun(&plane) == wanted);
    assert_eq!(shown(&plane, hanging.address).started, 6, "it gets one");
    wait_until("that has failed", || shown(&plane, hanging.address).failures == 6);
    assert!(!shown(&plane, hanging.address).healthy);

    // It goes on: the SYN is sent again, and answered.
    hanging.go_on();
    wait_until("it is up", || shown(&plane, hanging.address).healthy);
    drop(tests);
    let up = shown(&plane, hanging.address);
    assert_eq!((up.successes, up.failures, up.pending), (0, 6, 0));
    plane.reconcile(&[tcp(VIP, &[hanging.address])]).unwrap();
    assert_eq!(ask(vip()).unwrap(), hanging.address);
}

fn maglev_keeps_a_client_at_its_backend(machine: &mut Machine, by: VipBackend) {
    let (_servers, addresses) = servers(5, Server::tcp);
    let (_, mut plane) = machine.plane_by(by);
    let hashed =
        |all: &[SocketAddr]| View { policy: Policy::Maglev.name().to_owned(), ..tcp(VIP, all) };
    plane.reconcile(&[hashed(&addresses)]).unwrap();
    assert_eq!(plane.vips().unwrap()[0].policy, Some(Policy::Maglev));
    let only = || {
        let answers = answers(20);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.into_keys().next().unwrap()
    };
    let own = only();
    // When it goes, another one takes its place, and it gets the client again when it comes back.
    let others: Vec<_> = addresses.iter().copied().filter(|address| *address != own).collect();
    plane.reconcile(&[hashed(&others)]).unwrap();
    let other = only();
    assert!(others.contains(&other));
    plane.reconcile(&[hashed(&addresses)]).unwrap();
    assert_eq!(only(), own);
    let weights: Vec<_> = addresses.iter().map(|address| u32::from(*address != own)).collect();
    plane.reconcile(&[weighted(hashed(&addresses), &weights)]).unwrap();
    assert_eq!(only(), other, "draining is as good as gone");
}

fn program_sees_the_vip_as_its_peer(machine: &mut Machine, by: VipBackend) {
    let (_, mut plane) = machine.plane_by(by);
    plane.reconcile(&[tcp(VIP, &[echo()])]).unwrap();
    let client = TcpStream::connect(vip()).unwrap();
    assert_eq!(client.peer_addr().unwrap(), vip());
    // As Java does by default.
    let mapped = mapped(vip());
    assert_eq!(TcpStream::connect(mapped).unwrap().peer_addr().unwrap(), mapped);
}

fn backend_connects_to_itself_through_its_vip(machine: &mut Machine, by: VipBackend) {
    let (_, mut plane) = machine.plane_by(by);
    let listener = TcpListener::bind("10.98.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    plane.reconcile(&[tcp(VIP, &[address])]).unwrap();
    let client = TcpStream::connect(vip()).unwrap();
    let (served, _) = listener.accept().unwrap();
    assert_eq!(client.peer_addr().unwrap(), vip());
    assert_eq!(served.local_addr().unwrap(), address);
}

fn connections_live_through_a_swap_of_backends(machine: &mut Machine, by: VipBackend) {
    let (old, new) = (echo(), Server::tcp());
    let (_, mut plane) = machine.plane_by(by);
    plane.reconcile(&[tcp(VIP, &[old])]).unwrap();
    let live = Live::connect(vip(), 100);
    plane.reconcile(&[tcp(VIP, &[new.address])]).unwrap();
    assert_eq!(ask(vip()).unwrap(), new.address);
    live.check();
    plane.reconcile(&[]).unwrap();
    live.check();
}

fn connections_live_through_the_death_of_the_agent(machine: &mut Machine, by: VipBackend) {
    let backend = echo();
    let (config, plane) = machine.plane_by(by);
    drop(plane);
    let view = [tcp(VIP, &[backend])];
    let agent = Child::run(|ready| {
        let mut plane = DataPlane::open(&config).unwrap();
        plane.reconcile(&view).unwrap();
        ready.tell();
        loop {
            std::thread::park();
        }
    });
    agent.wait_ready();
    let live = Live::connect(vip(), 100);
    assert!(DataPlane::open(&config).is_err(), "there is one already");
    agent.kill();
    live.check();
    // Who connects meanwhile is served now or when the next agent is there.
    let waiting = begin_connect(vip());
    let mut plane = DataPlane::open(&config).unwrap();
    plane.reconcile(&view).unwrap();
    let waiting = TcpStream::from(waiting);
    wait_until("who waited is connected", || waiting.peer_addr().is_ok());
    live.check();
    Live::connect(vip(), 10).check();
}
