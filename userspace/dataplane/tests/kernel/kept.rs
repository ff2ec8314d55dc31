//! The tables of forwarded flows: their size, and that flows are kept.

use std::fs;

use aya::maps::MapInfo;
use muster_dataplane::{Config, DataPlane, Forward, Interfaces};

use crate::{
    adoption::{map_id, pretend_other_layout},
    forwarded::{Talk, count, echo, vip},
    hosts::{Hosts, NODE, SECOND, forwarding},
    machine::Machine,
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
