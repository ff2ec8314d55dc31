//! The tables of forwarded flows: their size, and that flows are kept.

use std::{fs, net::TcpStream, time::Duration};

use aya::maps::MapInfo;
use muster_dataplane::{Config, DataPlane, Forward, Interfaces};

use crate::{
    adoption::{map_id, pretend_other_layout},
    forwarded::{MEANS, Talk, connect, count, echo, greeting, there_and_back, vip},
    hosts::{Hosts, NODE, SECOND, forwarding},
    machine::{Machine, wait_until},
    server::PATIENCE,
    view::tcp,
};

/// Entries of the tables: of flows, of the index.
fn sizes(config: &Config) -> (u32, u32) {
    let directory = config.directory().unwrap();
    let entries = |name: &str| MapInfo::from_pin(directory.join(name)).unwrap().max_entries();
    (entries("tracked"), entries("track_index"))
}

fn with(config: &Config, interfaces: &str, flows: u32) -> Config {
    let interfaces: Interfaces = interfaces.parse().unwrap();
    let forward = Forward { interfaces, flows, ..config.forward.clone() };
    Config { forward, ..config.clone() }
}

#[test]
fn tables_take_memory_only_where_packets_are_forwarded() {
    let Some(mut machine) = Machine::new() else { return };
    let _hosts = Hosts::new();
    let config = forwarding(&mut machine, "none");
    for (interfaces, flows, expected) in [
        ("none", 1 << 20, (1, 1)),
        ("eth0:tc", 5_000, (8_192, 4_096)),
        ("eth0:tc", 8_192, (8_192, 4_096)),
        ("eth0:tc", Forward::DEFAULT_FLOWS, (65_536, 32_768)),
        ("none", 8_192, (1, 1)),
    ] {
        let config = with(&config, interfaces, flows);
        DataPlane::open(&config).unwrap().reconcile(&[]).unwrap();
        assert_eq!(sizes(&config), expected);
        // Of the same size they are the same.
        let id = map_id(&config, "tracked");
        DataPlane::open(&config).unwrap().reconcile(&[]).unwrap();
        assert_eq!(map_id(&config, "tracked"), id);
    }
    let names = fs::read_dir(config.directory().unwrap()).unwrap();
    assert!(names.into_iter().all(|name| !name.unwrap().path().ends_with("_next")));
}

#[test]
fn connections_outlive_other_layouts_and_sizes() {
    for means in ["eth0:xdp", "eth0:clsact"] {
        let Some(mut machine) = Machine::new() else { return };
        let hosts = Hosts::new();
        let config = forwarding(&mut machine, means);
        let here = echo(NODE);
        let there = hosts.second.run(|| echo(SECOND));
        let view = [tcp("11.0.0.1:80", &[here, there])];
        DataPlane::open(&config).unwrap().reconcile(&view).unwrap();
        let (talk, talking) = Talk::begin(&hosts.client, 40, vip());
        let table = map_id(&config, "tracked");

        // The other maps have another layout, and this table goes on.
        pretend_other_layout(&config);
        let vips = map_id(&config, "vips");
        let mut plane = DataPlane::open(&config).unwrap();
        talk.goes_on(&talking);
        plane.reconcile(&view).unwrap();
        talk.goes_on(&talking);
        assert_ne!(map_id(&config, "vips"), vips);
        assert_eq!(map_id(&config, "tracked"), table);
        assert_eq!(count(&plane, "opened"), 0, "counted anew, and none of them began anew");
        drop(plane);

        for (flows, has_other_layout) in
            [(2_048, false), (131_072, true), (4_096, true), (65_536, false)]
        {
            if has_other_layout {
                pretend_other_layout(&config);
            }
            let config = with(&config, means, flows);
            let mut plane = DataPlane::open(&config).unwrap();
            talk.goes_on(&talking);
            plane.reconcile(&view).unwrap();
            talk.goes_on(&talking);
            assert_eq!(sizes(&config), (flows, flows / 2));
            assert_eq!(count(&plane, "opened"), 0, "none of them began anew");
        }
        talk.end(talking);
    }
}

#[test]
fn full_table_is_named_and_keeps_the_flows_that_it_has() {
    const FLOWS: u32 = 64;
    for means in MEANS {
        let Some(mut machine) = Machine::new() else { return };
        let hosts = Hosts::new();
        let config = with(&forwarding(&mut machine, "none"), means, FLOWS);
        let mut plane = DataPlane::open(&config).unwrap();
        let server = echo(NODE);
        let view = [tcp("11.0.0.1:80", &[server])];
        plane.reconcile(&view).unwrap();
        let mut streams = hosts.client.run(|| {
            let mut streams = Vec::<TcpStream>::new();
            // Others find places that this one may not take; but not for ever.
            let mut refused = 0;
            while refused < 5 {
                match TcpStream::connect_timeout(&vip(), Duration::from_millis(300)) {
                    Ok(mut stream) => {
                        stream.set_read_timeout(Some(PATIENCE)).unwrap();
                        greeting(&mut stream);
                        // And back: the client has been heard again.
                        there_and_back(&mut stream, 10);
                        streams.push(stream);
                    }
                    Err(_) => refused += 1,
                }
                assert!(streams.len() <= FLOWS as usize, "more than there is room for");
            }
            streams
        });
        println!("{} flows of {FLOWS}", streams.len());
        assert!(streams.len() > 30 && count(&plane, "full") >= 5);
        let snapshot = plane.snapshot().unwrap();
        let table = snapshot.maps.iter().find(|map| map.name == "tracked").unwrap();
        assert_eq!((table.entries, table.capacity), (streams.len(), FLOWS as usize));
        assert_eq!(snapshot.forwarded, plane.forwarded().unwrap());
        // All that are there go on, and there is room again when they end.
        plane.reconcile(&view).unwrap();
        for stream in &mut streams {
            there_and_back(stream, 1_000);
        }
        drop(streams);
        wait_until("there is room", || {
            let next = || TcpStream::connect_timeout(&vip(), Duration::from_millis(300)).is_ok();
            hosts.client.run(next)
        });
        hosts.client.run(|| greeting(&mut connect(vip())));
    }
}
