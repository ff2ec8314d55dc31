//! What becomes of VIPs when agents end, start again, or are killed.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use aya::maps::{Array, Map, MapData, MapInfo};
use muster_dataplane::{Config, DataPlane, Error};
use muster_packet::Meta;

use crate::{
    machine::{Machine, enter, wait_until},
    process::Child,
    server::{Server, ask, servers},
    view::{tcp, udp},
};

const VIP: &str = "11.0.0.1:80";

fn vip() -> SocketAddr {
    VIP.parse().unwrap()
}

/// Identity of a pinned map.
pub(crate) fn map_id(config: &Config, name: &str) -> u32 {
    MapInfo::from_pin(config.directory().unwrap().join(name)).unwrap().id()
}

/// Makes the pinned maps look like those of a build with another layout.
pub(crate) fn pretend_other_layout(config: &Config) {
    let meta = MapData::from_pin(config.directory().unwrap().join("meta")).unwrap();
    let mut map = Map::from_map_data(meta).unwrap();
    let mut meta = Array::<_, Meta>::try_from(&mut map).unwrap();
    let former = meta.get(&0, 0).unwrap();
    meta.set(0, Meta { layout: 1, ..former }, 0).unwrap();
}

/// Connects to the VIP over and over while something happens. Every connection must
/// succeed; the result is how many there were.
fn under_load(something: impl FnOnce()) -> u64 {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                ask(vip()).unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let so_far = || count.load(Ordering::Relaxed);
        wait_until("the client is at work", || so_far() > 10);
        something();
        let reached = so_far() + 10;
        wait_until("it went on", || so_far() > reached || client.is_finished());
        stop.store(true, Ordering::Relaxed);
        client.join().unwrap();
    });
    count.into_inner()
}

#[test]
fn vips_are_served_while_no_agent_runs_and_adopted_by_the_next() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    ask(vip()).unwrap();
    let (before, id) = (plane.vips().unwrap(), map_id(&config, "vips"));
    drop(plane);
    assert_eq!(ask(vip()).unwrap(), server.address);

    let mut plane = DataPlane::open(&config).unwrap();
    assert_eq!(map_id(&config, "vips"), id);
    // Counters went on while nobody was there.
    let vips = plane.vips().unwrap();
    assert_eq!(vips[0].backends[0].successes, before[0].backends[0].successes + 1);
    assert_eq!(ask(vip()).unwrap(), server.address);
    let changes = plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    assert!(changes.is_empty() && changes.unchanged == 1);
    // What the last agent knew and the view no longer has goes away.
    assert_eq!(plane.reconcile(&[]).unwrap().removed, 1);
}

#[test]
fn reopening_never_interrupts_service() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    drop(plane);
    under_load(|| {
        for _ in 0..10 {
            drop(DataPlane::open(&config).unwrap());
        }
    });
}

#[test]
fn changing_backends_never_interrupts_service() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(4, Server::tcp);
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &addresses)]).unwrap();
    under_load(|| {
        for round in 0..60 {
            let first = round % 4;
            let view = tcp(VIP, &addresses[first..=(first + round % 2).min(3)]);
            plane.reconcile(&[view]).unwrap();
        }
    });
}

#[test]
fn no_connection_ever_sees_a_half_written_or_another_vip() {
    let Some(mut machine) = Machine::new() else { return };
    let (_, mut plane) = machine.plane();
    let backends: Vec<SocketAddr> =
        (1..=4).map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)).collect();
    // Nobody connects to the VIPs of this backend, so nobody may end up there.
    let forbidden = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 9);
    plane.reconcile(&[udp(VIP, &backends)]).unwrap();

    // Connecting UDP sockets is a system call and nothing else: millions of looks at the
    // maps while they change.
    let stop = AtomicBool::new(false);
    let looks = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let mut looks = 0u64;
            while !stop.load(Ordering::Relaxed) {
                socket.connect(vip()).unwrap();
                looks += 1;
            }
            looks
        });
        for round in 0..300 {
            let others = (0..=round % 6).map(|n| udp(&format!("11.0.1.{n}:80"), &[forbidden]));
            let first = round % 4;
            let view = udp(VIP, &backends[first..=(first + round % 3).min(3)]);
            let changes = plane.reconcile(&others.chain([view]).collect::<Vec<_>>()).unwrap();
            assert_eq!(changes.skipped.len(), 0);
            if client.is_finished() {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        client.join().unwrap()
    });
    assert!(looks > 1000, "only {looks} looks");
    let others: Vec<_> = (0..7).map(|n| udp(&format!("11.0.1.{n}:80"), &[forbidden])).collect();
    plane.reconcile(&others).unwrap();
    let vips = plane.vips().unwrap();
    assert!(vips.iter().flat_map(|vip| &vip.backends).all(|backend| backend.successes == 0));
}

#[test]
fn maps_of_another_layout_serve_until_new_ones_are_filled() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(2, Server::tcp);
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &addresses[..1])]).unwrap();
    drop(plane);
    let old = map_id(&config, "vips");
    pretend_other_layout(&config);

    under_load(|| {
        let mut plane = DataPlane::open(&config).unwrap();
        assert_eq!(ask(vip()).unwrap(), addresses[0]);
        let changes = plane.reconcile(&[tcp(VIP, &addresses[1..])]).unwrap();
        assert_eq!(changes.added, 1);
        assert_ne!(map_id(&config, "vips"), old);
        wait_until("the new maps serve", || ask(vip()).unwrap() == addresses[1]);
    });
    // The new set is whole: the next adopts it.
    let new = map_id(&config, "vips");
    DataPlane::open(&config).unwrap();
    assert_eq!(map_id(&config, "vips"), new);
}

#[test]
fn new_maps_that_could_not_be_put_in_place_are_the_next_time() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(2, Server::tcp);
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &addresses[..1])]).unwrap();
    drop(plane);
    let folder = config.directory().unwrap();
    let whole = map_id(&config, "vips");
    // What is in the way stops it before a map is in its place, at the last map, or at the programs.
    for obstacle in ["vips_next", "meta_next", "links/release_next"].map(|name| folder.join(name)) {
        pretend_other_layout(&config);
        let mut plane = DataPlane::open(&config).unwrap();
        if obstacle.ends_with("release_next") {
            // A link that is not there is made anew, by way of this name.
            fs::remove_file(folder.join("links/release")).unwrap();
        }
        fs::create_dir(&obstacle).unwrap();
        for _ in 0..2 {
            let error = plane.reconcile(&[tcp(VIP, &addresses[1..])]).err().unwrap();
            let named = obstacle.file_name().unwrap().to_str().unwrap();
            assert!(error.to_string().contains(named), "{error}");
        }
        fs::remove_dir(&obstacle).unwrap();
        plane.reconcile(&[tcp(VIP, &addresses[1..])]).unwrap();
        assert_eq!(ask(vip()).unwrap(), addresses[1]);
        // What the attached programs read is what is changed from here on.
        plane.reconcile(&[tcp(VIP, &addresses[..1])]).unwrap();
        assert_eq!(ask(vip()).unwrap(), addresses[0]);
        drop(plane);
        assert_ne!(map_id(&config, "vips"), whole);
        let adopted = map_id(&config, "vips");
        drop(DataPlane::open(&config).unwrap());
        assert_eq!(map_id(&config, "vips"), adopted);
    }
}

#[test]
fn killed_agent_leaves_vips_served() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let config = machine.agent();
    let agent = Child::run(|ready| {
        let mut plane = DataPlane::open(&config).unwrap();
        plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
        ready.tell();
        loop {
            std::thread::park();
        }
    });
    agent.wait_ready();
    enter(&config.cgroup);
    assert!(matches!(DataPlane::open(&config), Err(Error::Busy { .. })));
    assert!(matches!(DataPlane::remove(&config), Err(Error::Busy { .. })));
    agent.kill();
    assert_eq!(ask(vip()).unwrap(), server.address);
    let plane = DataPlane::open(&config).unwrap();
    assert_eq!(plane.vips().unwrap().len(), 1);
}

#[test]
fn open_repairs_what_a_kill_left_half_done() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let config = machine.agent();
    fs::create_dir_all(&config.cgroup).unwrap();
    enter(&config.cgroup);
    let view = [tcp(VIP, &[server.address])];
    // Killed after ever longer times, within opening and beyond it, from nothing and from a
    // finished state in turn.
    for round in 0..40u64 {
        if round % 8 == 0 {
            enter(machine.cgroup());
            DataPlane::remove(&config).unwrap();
        }
        let agent = Child::run(|ready| {
            ready.tell();
            loop {
                let mut plane = DataPlane::open(&config).unwrap();
                plane.reconcile(&view).unwrap();
                plane.reconcile(&[]).unwrap();
            }
        });
        agent.wait_ready();
        std::thread::park_timeout(Duration::from_micros(round * 700));
        agent.kill();

        let mut plane = DataPlane::open(&config).unwrap();
        plane.reconcile(&view).unwrap();
        enter(&config.cgroup);
        assert_eq!(ask(vip()).unwrap(), server.address, "round {round}");
        assert_eq!(plane.vips().unwrap().len(), 1);
        let changes = plane.reconcile(&view).unwrap();
        assert!(changes.is_empty(), "round {round}: {changes:?}");
        let left = fs::read_dir(config.directory().unwrap()).unwrap();
        let names: Vec<_> = left.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        assert!(names.iter().all(|name| !name.ends_with("_next")), "{names:?}");
    }
}

#[test]
fn cgroup_made_anew_is_attached_to_anew() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let config = machine.agent();
    let mut plane = DataPlane::open(&config).unwrap();
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    drop(plane);
    fs::remove_dir(&config.cgroup).unwrap();

    let plane = DataPlane::open(&config).unwrap();
    enter(&config.cgroup);
    assert_eq!(ask(vip()).unwrap(), server.address);
    drop(plane);

    // Another cgroup in the configuration: the old one is let go.
    let moved = Config { cgroup: config.cgroup.with_extension("moved"), ..config.clone() };
    let _plane = DataPlane::open(&moved).unwrap();
    ask(vip()).unwrap_err();
    enter(&moved.cgroup);
    assert_eq!(ask(vip()).unwrap(), server.address);
    machine.leave();
    fs::remove_dir(&moved.cgroup).unwrap();
}

#[test]
fn removing_leaves_nothing() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    drop(plane);
    let left = config.directory().unwrap();
    DataPlane::remove(&config).unwrap();
    ask(vip()).unwrap_err();
    assert!(!left.exists());
    // This process is still in the cgroup.
    assert!(config.cgroup.exists());
    machine.leave();
    DataPlane::remove(&config).unwrap();
    assert!(!config.cgroup.exists());
    assert!(!config.bpffs.join("muster").exists());
}
