//! What `bpftool` shows of the maps: named fields, as the documentation has them.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
};

use aya::maps::{Array, Map, MapData};
use muster_dataplane::{Config, DataPlane, Forward};
use muster_packet::{FLOW_MAPS, LATENCY_BUCKETS, MAPS, Peer, maglev::PAGE_SLOTS};
use serde_json::Value;

use crate::{
    forwarded::{connect, echo, greeting},
    hosts::{CLIENT, Hosts, NODE, forwarding},
    machine::{Machine, enter},
    server::{Server, ask},
    view::tcp,
};

/// An IPv4 address as bpftool shows it.
fn mapped(address: [u8; 4]) -> Value {
    Ipv4Addr::from(address).to_ipv6_mapped().octets().to_vec().into()
}

/// What `bpftool map dump pinned` prints, as JSON.
pub(crate) fn dump(config: &Config, map: &str) -> Vec<Value> {
    serde_json::from_value(bpftool(config, "dump", map, "")).unwrap()
}

/// What `bpftool map <command> pinned` prints of an agent's map.
fn bpftool(config: &Config, command: &str, map: &str, arguments: &str) -> Value {
    let output = Command::new("bpftool")
        .args(["-j", "map", command, "pinned"])
        .arg(config.directory().unwrap().join(map))
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn bpftool_shows_named_fields() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (config, mut plane) = machine.plane();
    plane.reconcile(&[tcp("11.0.0.1:80", &[server.address])]).unwrap();
    ask("11.0.0.1:80".parse::<SocketAddr>().unwrap()).unwrap();

    let vips = dump(&config, "vips");
    let vip = &vips[0]["formatted"];
    assert_eq!(vip["key"]["address"], mapped([11, 0, 0, 1]));
    assert_eq!(vip["key"]["port"], 80);
    assert_eq!(vip["key"]["protocol"], 6);
    assert_eq!(vip["value"]["backends"], 1);

    let backends = dump(&config, "backends");
    let backend = &backends[0]["formatted"];
    assert_eq!(backend["key"]["table"], vip["value"]["table"]);
    assert_eq!(backend["value"]["vip"]["address"], mapped([11, 0, 0, 1]));
    assert_eq!(backend["value"]["backend"]["port"], server.address.port());
    assert_eq!(backend["value"]["weight"], 1);

    let counted = dump(&config, "counted");
    let counted = &counted[0]["formatted"];
    assert_eq!(counted["key"]["vip"]["address"], mapped([11, 0, 0, 1]));
    assert_eq!(counted["key"]["backend"]["port"], server.address.port());
    assert_eq!(counted["value"]["counter"], backend["value"]["counter"]);
    assert_eq!(backend["value"]["counter"], 0);
    let counters = bpftool(&config, "lookup", "counters", "key 0 0 0 0");
    let counters = &counters["formatted"]["value"];
    assert_eq!(counters["backend"]["port"], server.address.port());
    assert_eq!((&counters["home"], &counters["pending"]), (&0.into(), &0.into()));
    assert!(counters["latency"]["average"].as_u64().unwrap() > 0);
    let handshakes = bpftool(&config, "lookup", "handshakes", "key 0 0 0 0");
    let handshakes = &handshakes["formatted"]["value"];
    assert_eq!(handshakes["vip"]["address"], mapped([11, 0, 0, 1]));
    assert_eq!((&handshakes["started"], &handshakes["successes"]), (&1.into(), &1.into()));
    let buckets = handshakes["latency"].as_array().unwrap();
    assert_eq!(buckets.len(), LATENCY_BUCKETS);
    assert_eq!(buckets.iter().map(|count| count.as_u64().unwrap()).sum::<u64>(), 1);
    assert_eq!((&handshakes["refused"], &handshakes["timeouts"]), (&0.into(), &0.into()));
}

#[test]
fn every_map_has_named_fields() {
    let Some(mut machine) = Machine::new() else { return };
    let hosts = Hosts::new();
    let config = forwarding(&mut machine, "eth0:tc");
    let config = Config { forward: Forward { flows: 1024, ..config.forward.clone() }, ..config };
    let mut plane = DataPlane::open(&config).unwrap();
    for map in MAPS.iter().chain(&FLOW_MAPS) {
        let shown = bpftool(&config, "show", map.name, "");
        assert!(shown["btf_id"].as_u64().is_some_and(|id| id > 0), "{shown}");
    }

    // A flow of another machine, and a connection of a program here.
    let backends = [echo(NODE), echo(NODE)];
    plane.reconcile(&[tcp("11.0.0.1:80", &backends)]).unwrap();
    let vip: SocketAddr = "11.0.0.1:80".parse().unwrap();
    let (flow, server) = hosts.client.run(move || {
        let mut stream = connect(vip);
        let server = greeting(&mut stream).0;
        (stream, server)
    });
    enter(&config.cgroup);
    let _stream = TcpStream::connect(vip).unwrap();

    let value = |map: &str| dump(&config, map)[0]["formatted"]["value"].clone();
    let networks = value("networks");
    assert_eq!(networks["ipv4"], serde_json::json!([1 << 11, 0, 0, 0]));
    assert_eq!(networks["ipv6"], serde_json::json!([0, 0, 0, 0]));
    let table = value("vips")["table"].clone();
    let page = dump(&config, "maglev")[0]["formatted"].clone();
    assert_eq!(page["key"]["table"], table);
    assert!(page["key"]["index"].is_u64());
    let slots = page["value"]["backends"].as_array().unwrap();
    assert_eq!(slots.len(), PAGE_SLOTS as usize);
    assert!(slots.iter().all(|slot| *slot == 0 || *slot == 1));

    let map = MapData::from_pin(config.directory().unwrap().join("connections")).unwrap();
    let map: Array<_, Peer> = Map::from_map_data(map).unwrap().try_into().unwrap();
    let place = map.iter().position(|peer| peer.unwrap().tag != 0).unwrap();
    let [a, b, c, d] = u32::try_from(place).unwrap().to_le_bytes();
    let connection = bpftool(&config, "lookup", "connections", &format!("key {a} {b} {c} {d}"));
    let connection = &connection["formatted"]["value"];
    assert_eq!(connection["vip"]["address"], mapped([11, 0, 0, 1]));
    assert_eq!(connection["backend"]["address"], mapped(NODE.octets()));
    assert!(connection["tag"].as_u64().unwrap() > 0 && connection["since"].is_u64());
    assert!(connection["counter"].as_u64().unwrap() < 2);

    let of = value("forwarding");
    assert_eq!((&of["source4"], &of["tracked"]), (&mapped(NODE.octets()), &1024.into()));
    assert_eq!((&of["first_port"], &of["last_port"]), (&10_000.into(), &30_999.into()));
    let forwarded = dump(&config, "forwarded")[0]["formatted"]["values"].clone();
    let by_processor = forwarded.as_array().unwrap();
    let sum = |field: &str| -> u64 {
        by_processor.iter().map(|one| one["value"][field].as_u64().unwrap()).sum()
    };
    assert_eq!(sum("opened"), 1);
    assert!(sum("local") > 0 && sum("local_replies") > 0 && sum("remote") == 0);
    let addresses = dump(&config, "addresses");
    let known = |address: [u8; 4]| {
        let mut entries = addresses.iter().map(|entry| &entry["formatted"]);
        let found = entries.find(|entry| entry["key"]["address"] == mapped(address)).unwrap();
        (found["value"]["local"].as_u64().unwrap(), found["value"]["vip"].as_u64().unwrap())
    };
    assert_eq!((known(NODE.octets()), known([11, 0, 0, 1])), ((1, 0), (0, 1)));

    let tracked = dump(&config, "tracked");
    assert_eq!(tracked.len(), 1024);
    let mut flows = tracked.iter().map(|entry| &entry["formatted"]["value"]);
    let shown = flows.find(|flow| flow["phase"] != 0).unwrap();
    assert_eq!(
        (&shown["client"], &shown["vip"]),
        (&mapped(CLIENT.octets()), &mapped([11, 0, 0, 1]))
    );
    assert_eq!(shown["client_port"], flow.local_addr().unwrap().port());
    assert_eq!((&shown["backend_port"], &shown["nat_port"]), (&server.port().into(), &0.into()));
    assert!(flows.all(|flow| flow["phase"] == 0));
    // One for each direction.
    let index = dump(&config, "track_index");
    let entries =
        index.iter().flat_map(|entry| entry["formatted"]["value"]["entries"].as_array().unwrap());
    assert_eq!(entries.filter(|entry| **entry != 0).count(), 2);
    let meta = value("meta");
    assert!(meta["layout"].as_u64().unwrap() > 0 && meta["flows"].as_u64().unwrap() > 0, "{meta}");
}
