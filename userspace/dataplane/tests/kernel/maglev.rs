//! Clients that keep their backends, and the tables that say which.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use aya::maps::{Array, HashMap, Map, MapData};
use muster_api::muster::Vip as View;
use muster_dataplane::{Config, DataPlane, Forward, Policy, Protocol};
use muster_packet::{
    BREAKER_FAILURES, Counters, Endpoint, Slot, TCP, UDP, Vip,
    maglev::{self, MAX_PAGES, MaglevPage, PAGE_SLOTS},
};
use nix::time::{ClockId, clock_gettime};

use crate::{
    machine::{Machine, enter, ip},
    process::Child,
    server::{PATIENCE, Server, ask, servers},
    view::{tcp, udp, weighted},
};

const VIP: &str = "11.0.0.1:80";

fn vip() -> SocketAddr {
    VIP.parse().unwrap()
}

/// The VIP with a label that asks for Maglev.
fn hashed(vip: View) -> View {
    labelled(vip, Policy::Maglev)
}

fn labelled(vip: View, policy: Policy) -> View {
    View { policy: policy.name().to_owned(), ..vip }
}

/// A cgroup below the agent's, as a container has it.
struct Container {
    cgroup: PathBuf,
    agent: PathBuf,
}

// === impl Container ===

impl Container {
    fn new(config: &Config, number: usize) -> Self {
        let cgroup = config.cgroup.join(format!("c{number}"));
        fs::create_dir(&cgroup).unwrap();
        Self { cgroup, agent: config.cgroup.clone() }
    }

    /// The backend that the host's build of the library gives it.
    fn backend(&self, backends: &[SocketAddr], protocol: u8) -> SocketAddr {
        let id = fs::metadata(&self.cgroup).unwrap().ino();
        expected(maglev::hash(maglev::SEED, [id]), backends, protocol)
    }

    /// Who answers it on a TCP connection.
    fn ask(&self) -> SocketAddr {
        enter(&self.cgroup);
        ask(vip()).unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        enter(&self.agent);
        fs::remove_dir(&self.cgroup).unwrap();
    }
}

/// Whom a hash value means.
fn expected(hash: u64, backends: &[SocketAddr], protocol: u8) -> SocketAddr {
    let weighted: Vec<_> = backends.iter().map(|end| (Endpoint::at(*end, protocol), 1)).collect();
    let table = maglev::build(&weighted);
    let slot = maglev::slot(hash, u32::try_from(table.len()).unwrap());
    backends[usize::from(table[slot as usize])]
}

fn open<K: aya::Pod, V: aya::Pod>(config: &Config, map: &str) -> HashMap<MapData, K, V> {
    let data = MapData::from_pin(config.directory().unwrap().join(map)).unwrap();
    Map::from_map_data(data).unwrap().try_into().unwrap()
}

fn entry(config: &Config, end: &str, protocol: u8) -> Vip {
    open::<Endpoint, Vip>(config, "vips")
        .get(&Endpoint::at(end.parse().unwrap(), protocol), 0)
        .unwrap()
}

/// The pages in the map, by table.
fn pages(config: &Config) -> BTreeSet<(u32, u32)> {
    let map = open::<Slot, MaglevPage>(config, "maglev");
    map.keys().map(|key| key.unwrap()).map(|key| (key.table, key.index)).collect()
}

/// All pages of a table of the smallest size.
fn whole(table: u32) -> impl Iterator<Item = (u32, u32)> {
    (0..maglev::pages(16_381)).map(move |index| (table, index))
}

#[test]
fn container_keeps_its_backend_whatever_becomes_of_others() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, mut backends) = servers(6, Server::tcp);
    let (config, mut plane) = machine.plane();
    let containers: Vec<_> = (0..12).map(|number| Container::new(&config, number)).collect();
    plane.reconcile(&[hashed(tcp(VIP, &backends))]).unwrap();

    let first: Vec<_> = containers.iter().map(Container::ask).collect();
    for (container, backend) in containers.iter().zip(&first) {
        assert_eq!(container.backend(&backends, TCP), *backend, "as the host's build says");
        assert_eq!([container.ask(), container.ask()], [*backend; 2]);
    }
    assert!(first.iter().collect::<BTreeSet<_>>().len() > 1, "{first:?}");

    // Others' backend goes, and another comes.
    let gone = backends.remove(0);
    let new = Server::tcp();
    for more in [None, Some(new.address)] {
        backends.extend(more);
        plane.reconcile(&[hashed(tcp(VIP, &backends))]).unwrap();
        let mut kept = 0;
        for (container, was) in containers.iter().zip(&first) {
            let now = container.ask();
            assert_eq!(now, container.backend(&backends, TCP));
            kept += usize::from(now == *was || *was == gone);
        }
        // Of each the odds to move are a hundredth, and a sixth to the one that comes.
        assert!(kept > 0, "{first:?}");
    }
}

#[test]
fn datagrams_of_a_container_go_to_its_backend_from_any_socket() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, backends) = servers(5, Server::udp);
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[hashed(udp(VIP, &backends))]).unwrap();
    for number in 0..4 {
        let container = Container::new(&config, number);
        enter(&container.cgroup);
        let backend = container.backend(&backends, UDP);
        for connected in [false, true, false, true] {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            if connected {
                socket.connect(vip()).unwrap();
                socket.send(b"who?").unwrap();
            } else {
                socket.send_to(b"who?", vip()).unwrap();
            }
            let mut answer = [0; 64];
            let (length, from) = socket.recv_from(&mut answer).unwrap();
            assert_eq!(str::from_utf8(&answer[..length]).unwrap(), backend.to_string());
            assert_eq!(from, vip());
        }
    }
    assert_eq!(plane.vip(vip(), Protocol::Udp).unwrap().unwrap().backends.len(), 5);
}

/// Says of a backend that it has failed so often in a row just now.
fn set_failures(config: &Config, backend: SocketAddr, failures: u64) {
    let data = MapData::from_pin(config.directory().unwrap().join("counters")).unwrap();
    let mut map: Array<_, Counters> = Map::from_map_data(data).unwrap().try_into().unwrap();
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    for place in 0..8 {
        let mut counters: Counters = map.get(&place, 0).unwrap();
        if counters.backend == Endpoint::at(backend, TCP) {
            counters.consecutive_failures = failures;
            counters.last_failure_ns = Duration::from(now).as_nanos().try_into().unwrap();
            return map.set(place, counters, 0).unwrap();
        }
    }
    panic!("{backend} is not counted");
}

#[test]
fn backend_that_is_down_is_passed_over_the_same_way_each_time() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, backends) = servers(6, Server::tcp);
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[hashed(tcp(VIP, &backends))]).unwrap();
    let container = Container::new(&config, 0);
    let mut passed: Vec<SocketAddr> = Vec::new();
    // All but one fail, one after the other.
    for _ in 0..5 {
        let backend = container.ask();
        assert!(!passed.contains(&backend), "{passed:?}");
        set_failures(&config, backend, BREAKER_FAILURES.into());
        passed.push(backend);
        let next = container.ask();
        assert_eq!([container.ask(), container.ask()], [next; 2]);
    }
    // Then the last, too: the first is the last resort, and then itself again.
    let last = container.ask();
    set_failures(&config, last, BREAKER_FAILURES.into());
    assert_eq!(container.ask(), passed[0]);
    for backend in &backends {
        set_failures(&config, *backend, 0);
    }
    assert_eq!(container.ask(), passed[0]);
    assert_eq!(container.ask(), container.backend(&backends, TCP));
}

#[test]
fn tables_are_there_for_the_vips_that_need_them_only() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, backends) = servers(3, Server::tcp);
    let (config, mut plane) = machine.plane();
    let view = |policy| {
        [
            labelled(tcp(VIP, &backends), policy),
            tcp("11.0.0.2:80", &backends),
            hashed(tcp("11.0.0.3:80", &backends[..1])),
            weighted(hashed(tcp("11.0.0.4:80", &backends)), &[0, 0, 0]),
        ]
    };
    plane.reconcile(&view(Policy::Random)).unwrap();
    assert!(pages(&config).is_empty());
    let before = entry(&config, VIP, TCP);

    // The policy is one write in one map; its table is written before.
    let changes = plane.reconcile(&view(Policy::Maglev)).unwrap();
    assert_eq!((changes.changed, changes.unchanged), (1, 3));
    let hashed = entry(&config, VIP, TCP);
    assert_eq!((hashed.table, hashed.slots), (before.table, 16_381));
    assert_eq!(pages(&config), whole(before.table).collect());
    assert_eq!(ask("11.0.0.3:80".parse().unwrap()).unwrap(), backends[0]);

    // bpftool reads it, and each slot names a backend.
    let page = open::<Slot, MaglevPage>(&config, "maglev")
        .get(&Slot { table: hashed.table, index: 16 }, 0)
        .unwrap();
    assert!(page.backends.iter().all(|index| *index < 3));
    assert_eq!(dumped(&config.directory().unwrap().join("maglev")), 17);

    let changes = plane.reconcile(&view(Policy::LeastPending)).unwrap();
    assert_eq!((changes.changed, changes.unchanged), (1, 3));
    assert_eq!(entry(&config, VIP, TCP).table, before.table);
    assert!(pages(&config).is_empty());

    // All of them, for packets that are forwarded; what an agent left is adopted.
    drop(plane);
    ip("link add eth0 type veth peer name eth1");
    ip("addr add 10.7.0.1/24 dev eth0");
    let (interfaces, address) = ("eth0:tc".parse().unwrap(), [10, 7, 0, 1].into());
    let forward = Forward { interfaces, address, ..Forward::default() };
    let forwarding = Config { forward, ..config.clone() };
    for changed in [2, 0] {
        let mut plane = DataPlane::open(&forwarding).unwrap();
        assert_eq!(plane.reconcile(&view(Policy::LeastPending)).unwrap().changed, changed);
        let tables = [VIP, "11.0.0.2:80"].map(|vip| entry(&config, vip, TCP).table);
        assert_eq!(pages(&config), tables.into_iter().flat_map(whole).collect());
    }
    let mut plane = DataPlane::open(&config).unwrap();
    assert_eq!(plane.reconcile(&view(Policy::LeastPending)).unwrap().changed, 2);
    assert!(pages(&config).is_empty());
}

/// How many pages bpftool prints, with all of their slots.
fn dumped(pin: &Path) -> usize {
    let output = std::process::Command::new("bpftool")
        .args(["-j", "map", "dump", "pinned"])
        .arg(pin)
        .output()
        .unwrap();
    let pages: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    for page in &pages {
        let slots = page["formatted"]["value"]["backends"].as_array().unwrap();
        assert_eq!(slots.len(), PAGE_SLOTS as usize);
    }
    pages.len()
}

#[test]
fn map_that_is_full_leaves_vips_served_without_a_table() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, backends) = servers(3, Server::tcp);
    let (config, mut plane) = machine.plane();
    let view = [hashed(tcp(VIP, &backends))];
    plane.reconcile(&[]).unwrap();
    // By hand, so that the agent does not know what could be thrown away.
    let mut map = open::<Slot, MaglevPage>(&config, "maglev");
    let page = MaglevPage { backends: [0; PAGE_SLOTS as usize] };
    for index in 0..u32::try_from(MAX_PAGES).unwrap() - 5 {
        map.insert(Slot { table: u32::MAX, index }, page, 0).unwrap();
    }
    for (added, unchanged) in [(1, 0), (0, 1)] {
        let changes = plane.reconcile(&view).unwrap();
        assert_eq!((changes.added, changes.unchanged), (added, unchanged));
        assert_eq!(
            changes.skipped.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "VIP 11.0.0.1:80/tcp: without a Maglev table: map maglev: full, all 262144 entries are taken"
            ]
        );
        assert_eq!(entry(&config, VIP, TCP).slots, 0);
        let container = Container::new(&config, 0);
        let backend = container.ask();
        assert_eq!([container.ask(), container.ask()], [backend; 2]);
    }
    // The next agent finds what nobody needs, and throws it away.
    drop(plane);
    let mut plane = DataPlane::open(&config).unwrap();
    let changes = plane.reconcile(&view).unwrap();
    assert_eq!((changes.changed, changes.skipped.len()), (1, 0));
    assert_eq!(pages(&config), whole(entry(&config, VIP, TCP).table).collect());
}

#[test]
fn killed_agent_leaves_no_page_and_no_client_without_a_backend() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, backends) = servers(4, Server::tcp);
    let config = machine.agent();
    fs::create_dir_all(&config.cgroup).unwrap();
    let views = [
        [hashed(tcp(VIP, &backends))],
        [hashed(tcp(VIP, &backends[1..]))],
        [labelled(tcp(VIP, &backends), Policy::Random)],
    ];
    DataPlane::open(&config).unwrap().reconcile(&views[0]).unwrap();
    let container = Container::new(&config, 0);
    for round in 0..20u64 {
        let agent = Child::run(|ready| {
            let mut plane = DataPlane::open(&config).unwrap();
            ready.tell();
            loop {
                for view in &views {
                    plane.reconcile(view).unwrap();
                }
            }
        });
        agent.wait_ready();
        for _ in 0..20 {
            assert!(backends.contains(&container.ask()));
        }
        std::thread::park_timeout(Duration::from_micros(round * 900));
        agent.kill();
        let mut plane = DataPlane::open(&config).unwrap();
        plane.reconcile(&views[0]).unwrap();
        assert_eq!(container.ask(), container.backend(&backends, TCP), "round {round}");
        assert_eq!(pages(&config), whole(entry(&config, VIP, TCP).table).collect());
        assert!(plane.reconcile(&views[0]).unwrap().is_empty());
    }
}
