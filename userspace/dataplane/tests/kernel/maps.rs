//! What is in the maps, and what is not written to them.

use std::{collections::BTreeMap, net::SocketAddr};

use aya::maps::{Array, HashMap, Map, MapData};
use muster_api::muster::{Backend, Vip as View};
use muster_dataplane::{Config, DataPlane, Error, Protocol, Skips};
use muster_packet::{Endpoint, MAX_VIPS, Networks, Policy, TCP, Vip};

use crate::{
    bpftool::dump,
    machine::Machine,
    server::{Server, ask, servers},
    view::{tcp, udp, weighted},
};

/// The pinned map `vips`.
fn vips(config: &Config) -> HashMap<MapData, Endpoint, Vip> {
    let data = MapData::from_pin(config.directory().unwrap().join("vips")).unwrap();
    Map::from_map_data(data).unwrap().try_into().unwrap()
}

/// The pinned map `networks`.
fn networks(config: &Config) -> Array<MapData, Networks> {
    let data = MapData::from_pin(config.directory().unwrap().join("networks")).unwrap();
    Map::from_map_data(data).unwrap().try_into().unwrap()
}

#[test]
fn only_what_changed_is_written() {
    let Some(mut machine) = Machine::new() else { return };
    let (config, mut plane) = machine.plane();
    let (a, b): (SocketAddr, SocketAddr) =
        ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
    let view = [tcp("11.0.0.1:80", &[a, b]), tcp("11.0.0.2:80", &[a]), udp("11.0.0.2:80", &[a])];
    let changes = plane.reconcile(&view).unwrap();
    assert_eq!((changes.added, changes.changed, changes.removed, changes.unchanged), (3, 0, 0, 0));

    let key = |last, protocol| Endpoint::v4([11, 0, 0, last], 80, protocol);
    let read = |key| vips(&config).get(&key, 0).unwrap();
    let before = [read(key(1, TCP)), read(key(2, TCP))];
    let changed = [
        // Another order is no change.
        tcp("11.0.0.1:80", &[b, a]),
        weighted(tcp("11.0.0.2:80", &[a]), &[2]),
        udp("11.0.0.3:80", &[]),
    ];
    let changes = plane.reconcile(&changed).unwrap();
    assert_eq!((changes.added, changes.changed, changes.removed, changes.unchanged), (1, 1, 1, 1));
    assert_eq!(read(key(1, TCP)), before[0]);
    assert_ne!(read(key(2, TCP)).table, before[1].table);
    // Nothing is left of the former tables.
    assert_eq!(dump(&config, "backends").len(), 3);
    assert!(plane.reconcile(&changed).unwrap().is_empty());
}

#[test]
fn entries_of_others_in_the_maps_are_put_right() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (config, mut plane) = machine.plane();
    let view = [tcp("11.0.0.1:80", &[server.address])];
    plane.reconcile(&view).unwrap();
    let stranger = Endpoint::v4([11, 9, 9, 9], 9, TCP);
    vips(&config).insert(stranger, Vip::new(77, 1, 0, Policy::P2cEwma), 0).unwrap();
    vips(&config)
        .insert(Endpoint::v4([11, 0, 0, 1], 80, TCP), Vip::new(78, 1, 0, Policy::P2cEwma), 0)
        .unwrap();
    // It is not looked for at each change, but when it is to be.
    assert!(plane.reconcile(&view).unwrap().is_empty());
    assert_eq!(plane.vips().unwrap().len(), 2);
    plane.read_again();
    let changes = plane.reconcile(&view).unwrap();
    assert_eq!((changes.changed, changes.removed), (1, 1));
    assert_eq!(plane.vips().unwrap().len(), 1);
    ask("11.0.0.1:80".parse::<SocketAddr>().unwrap()).unwrap();

    // Nobody looks for a VIP where there is said to be none.
    networks(&config).set(0, Networks::default(), 0).unwrap();
    ask("11.0.0.1:80".parse::<SocketAddr>().unwrap()).unwrap_err();
    plane.reconcile(&view).unwrap();
    ask("11.0.0.1:80".parse::<SocketAddr>().unwrap()).unwrap();
}

#[test]
fn networks_are_those_of_the_vips() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (config, mut plane) = machine.plane();
    let vips = ["1.0.0.1:80", "11.0.0.1:80", "192.168.0.1:80", "255.255.255.255:80"];
    let view: Vec<_> = vips.iter().map(|vip| tcp(vip, &[server.address])).collect();
    plane.reconcile(&view).unwrap();
    for vip in vips {
        assert_eq!(ask(vip.parse::<SocketAddr>().unwrap()).unwrap(), server.address);
    }
    plane.reconcile(&view[1..2]).unwrap();
    let eleven = Endpoint::v4([11, 0, 0, 1], 80, TCP);
    assert_eq!(networks(&config).get(&0, 0).unwrap(), Networks::of([&eleven]));
    plane.reconcile(&[]).unwrap();
    assert_eq!(networks(&config).get(&0, 0).unwrap(), Networks::default());
}

#[test]
fn bad_parts_of_the_view_are_named_and_the_rest_is_served() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (_, mut plane) = machine.plane();
    let mut bad = tcp("11.0.0.2:80", &[server.address]);
    bad.key.as_mut().unwrap().port = 0;
    let mut partly = tcp("11.0.0.1:80", &[server.address]);
    partly.backends.insert(0, Backend { address: "::1".into(), port: 80, ..Backend::default() });
    let changes = plane.reconcile(&[bad, partly]).unwrap();
    let skipped: Vec<String> = changes.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(
        skipped,
        [
            "VIP 11.0.0.2:0/tcp: key.port 0: must be 1 to 65535",
            "VIP 11.0.0.1:80/tcp: backends[0] [::1]:80: has an IPv6 address, and the VIP an IPv4 address",
        ]
    );
    assert_eq!(changes.added, 1);
    assert_eq!(ask("11.0.0.1:80".parse::<SocketAddr>().unwrap()).unwrap(), server.address);
}

/// `11.x.y.z:80` for the VIP of this number, with `backends` backends of its own.
fn numbered(number: usize, backends: usize) -> View {
    let bytes = u32::try_from(number).unwrap().to_be_bytes();
    let backends: Vec<_> = (1..=backends)
        .map(|port| {
            SocketAddr::new([10, bytes[1], bytes[2], bytes[3]].into(), u16::try_from(port).unwrap())
        })
        .collect();
    tcp(&format!("11.{}.{}.{}:80", bytes[1], bytes[2], bytes[3]), &backends)
}

#[test]
fn ten_thousand_vips_of_ten_backends() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (config, mut plane) = machine.plane();
    let mut view: Vec<_> = (0..9_999).map(|number| numbered(number, 10)).collect();
    view.push(tcp("11.255.0.1:80", &[server.address]));

    let changes = plane.reconcile(&view).unwrap();
    assert_eq!((changes.added, changes.skipped.len()), (10_000, 0));
    assert_eq!(ask("11.255.0.1:80".parse::<SocketAddr>().unwrap()).unwrap(), server.address);
    let vips = plane.vips().unwrap();
    assert_eq!(vips.len(), 10_000);
    assert_eq!(vips.iter().map(|vip| vip.backends.len()).sum::<usize>(), 99_991);

    drop(plane);
    let mut plane = DataPlane::open(&config).unwrap();
    assert_eq!(plane.reconcile(&view).unwrap().unchanged, 10_000);
    // All of them change at once.
    for vip in &mut view[..9_999] {
        vip.backends.truncate(9);
    }
    let changes = plane.reconcile(&view).unwrap();
    assert_eq!((changes.changed, changes.unchanged, changes.skipped.len()), (9_999, 1, 0));
    assert_eq!(plane.reconcile(&[]).unwrap().removed, 10_000);
}

#[test]
fn full_map_is_named_and_what_has_room_is_served() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (_, mut plane) = machine.plane();
    let served = tcp("11.0.0.1:1", &[server.address]);
    let mut view = vec![served.clone()];
    view.extend((0..MAX_VIPS + 2).map(|number| numbered(number, 0)));
    let changes = plane.reconcile(&view).unwrap();
    assert_eq!(changes.added, MAX_VIPS);
    assert_eq!(changes.skipped.len(), 3);
    let error = changes.skipped[0].to_string();
    assert!(error.ends_with(": map vips: full, all 32768 entries are taken"), "{error}");
    let snapshot = plane.snapshot().unwrap();
    assert_eq!(snapshot.skips.full, BTreeMap::from([("vips", 3)]));
    assert_eq!(snapshot.skips.total(), 3);
    let uses = snapshot.maps.iter().find(|uses| uses.name == "vips").unwrap();
    assert_eq!((uses.entries, uses.capacity), (MAX_VIPS, MAX_VIPS));
    // In the order of addresses, the one that is asked for is early.
    assert_eq!(ask("11.0.0.1:1".parse::<SocketAddr>().unwrap()).unwrap(), server.address);

    // There is room again at once when others go.
    let mut view = vec![served];
    view.extend((0..MAX_VIPS - 1).map(|number| numbered(number + 40_000, 0)));
    let changes = plane.reconcile(&view).unwrap();
    assert_eq!((changes.added, changes.unchanged, changes.skipped.len()), (MAX_VIPS - 1, 1, 0));
    assert_eq!(plane.skips(), &Skips::default());
}

#[test]
fn machine_without_what_is_needed_is_told_what() {
    let Some(mut machine) = Machine::new() else { return };
    let config = machine.agent();
    let folder = tempfile::tempdir().unwrap();

    let no_bpffs = Config { bpffs: folder.path().to_owned(), ..config.clone() };
    let error = DataPlane::open(&no_bpffs).err().unwrap();
    assert!(matches!(error, Error::NoBpffs { .. }));
    assert!(error.to_string().contains("mount -t bpf bpf"), "{error}");

    let no_cgroup = Config { cgroup: folder.path().join("muster/a1"), ..config.clone() };
    let error = DataPlane::open(&no_cgroup).err().unwrap();
    assert!(matches!(error, Error::NoCgroup { .. }));
    assert!(error.to_string().contains("the one of this machine is at /sys/fs/cgroup"), "{error}");
    assert!(!config.directory().unwrap().exists());

    let nameless = Config { agent: String::new(), ..config };
    assert!(matches!(DataPlane::open(&nameless), Err(Error::AgentName { .. })));
}

#[test]
fn one_vip_reads_as_in_the_list_of_all() {
    let Some(mut machine) = Machine::new() else { return };
    let (_, mut plane) = machine.plane();
    plane.reconcile(&[weighted(numbered(1, 3), &[1, 0, 4]), numbered(2, 0)]).unwrap();
    for vip in plane.vips().unwrap() {
        assert_eq!(plane.vip(vip.address, vip.protocol).unwrap(), Some(vip));
    }
    let elsewhere = "11.0.0.9:80".parse().unwrap();
    assert_eq!(plane.vip(elsewhere, Protocol::Tcp).unwrap(), None);
}

/// How many calls wrote to each map.
fn writes(writes: &[(&'static str, u64)]) -> BTreeMap<&'static str, u64> {
    writes.iter().copied().collect()
}

#[test]
fn change_of_one_backend_is_as_much_work_however_many_vips_there_are() {
    let Some(mut machine) = Machine::new() else { return };
    let (_, mut plane) = machine.plane();
    let entries = |plane: &DataPlane| {
        let maps = plane.snapshot().unwrap().maps;
        maps.iter().map(|uses| uses.entries).collect::<Vec<_>>()
    };
    for vips in [1, 50, 1_000] {
        let mut view: Vec<_> = (0..vips).map(|number| numbered(number, 10)).collect();
        plane.reconcile(&view).unwrap();
        assert_eq!(entries(&plane), [vips, 10 * vips, 10 * vips]);
        let vip = view.last_mut().unwrap();
        let one = |plane: &mut DataPlane, vip: &View| {
            let changes = plane.update(std::slice::from_ref(vip), &[]).unwrap();
            assert_eq!((changes.changed, changes.unchanged), (1, vips - 1));
            changes.writes
        };
        // One backend drains; the table and its successor, and what points to them.
        vip.backends[3].weight = 0;
        let same = writes(&[("backends", 2), ("vips", 1)]);
        assert_eq!(one(&mut plane, vip), same);
        vip.backends[3].weight = 1;
        assert_eq!(one(&mut plane, vip), same);
        // One goes, with what was counted of it, and one comes.
        let gone = vip.backends.pop().unwrap();
        assert_eq!(one(&mut plane, vip), writes(&[("backends", 2), ("counted", 1), ("vips", 1)]));
        vip.backends.push(gone);
        let comes =
            [("backends", 2), ("counted", 1), ("counters", 1), ("handshakes", 1), ("vips", 1)];
        assert_eq!(one(&mut plane, vip), writes(&comes));
        // Nothing is written for what is so already.
        let changes = plane.update(std::slice::from_ref(vip), &[]).unwrap();
        assert!(changes.is_empty() && changes.writes.is_empty(), "{:?}", changes.writes);
        assert_eq!(entries(&plane), [vips, 10 * vips, 10 * vips], "nothing is left behind");
    }
}

#[test]
fn updates_end_as_the_whole_view_does() {
    let Some(mut machine) = Machine::new() else { return };
    let (_servers, addresses) = servers(3, Server::tcp);
    let (config, mut plane) = machine.plane();
    let named = |number: u8| format!("11.0.{number}.1:80");
    let mut held = BTreeMap::<String, View>::new();
    plane.reconcile(&[]).unwrap();
    // Sums of a few primes: VIPs come, change and go in no order.
    for step in 0..60_usize {
        let vip = named(u8::try_from(step * 7 % 11).unwrap());
        let some = &addresses[..(step * 5 + step / 11) % 4];
        if step % 6 == 5 {
            let gone = held.remove(&vip).and_then(|view| view.key);
            plane.update(&[], gone.as_slice()).unwrap();
        } else {
            let mut view = tcp(&vip, some);
            view.policy = if step % 4 == 1 { "maglev".to_owned() } else { String::new() };
            plane.update(std::slice::from_ref(&view), &[]).unwrap();
            held.insert(vip.clone(), view);
        }
        let answer = ask(vip.parse::<SocketAddr>().unwrap());
        match held.get(&vip).filter(|view| !view.backends.is_empty()) {
            Some(_) => assert!(some.contains(&answer.unwrap())),
            None => assert!(answer.is_err()),
        }
    }
    let all: Vec<_> = held.into_values().collect();
    let networks_then = networks(&config).get(&0, 0).unwrap();
    // Also what the maps really say needs no change.
    plane.read_again();
    let changes = plane.reconcile(&all).unwrap();
    assert_eq!((changes.unchanged, changes.writes.len()), (all.len(), 0), "{:?}", changes.writes);
    assert_eq!(networks(&config).get(&0, 0).unwrap(), networks_then);
}

#[test]
fn update_reads_the_maps_if_it_is_to_or_if_they_do_not_say_all() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (config, mut plane) = machine.plane();
    let view = tcp("11.0.0.1:80", &[server.address]);
    plane.reconcile(std::slice::from_ref(&view)).unwrap();
    let stranger = Endpoint::v4([11, 9, 9, 9], 9, TCP);
    vips(&config).insert(stranger, Vip::new(77, 1, 0, Policy::P2cEwma), 0).unwrap();
    let more = tcp("11.0.0.2:80", &[server.address]);
    assert_eq!(plane.update(std::slice::from_ref(&more), &[]).unwrap().removed, 0);
    plane.read_again();
    let changes = plane.update(&[], &[]).unwrap();
    assert_eq!((changes.removed, changes.unchanged), (1, 2));

    // Without room for one VIP, it is written as soon as another goes.
    let full: Vec<_> = (0..MAX_VIPS - 2).map(|number| numbered(number + 40_000, 0)).collect();
    plane.update(&full, &[]).unwrap();
    let late = numbered(9, 0);
    let changes = plane.update(std::slice::from_ref(&late), &[]).unwrap();
    assert_eq!((changes.added, changes.skipped.len()), (0, 1));
    assert_eq!(plane.skips().full, BTreeMap::from([("vips", 1)]));
    let changes = plane.update(&[], &[more.key.unwrap()]).unwrap();
    assert_eq!((changes.removed, changes.added, changes.skipped.len()), (1, 1, 0));
    assert_eq!(ask("11.0.0.1:80".parse::<SocketAddr>().unwrap()).unwrap(), server.address);
}
