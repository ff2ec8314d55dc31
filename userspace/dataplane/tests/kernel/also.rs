//! VIPs in a second cgroup, as that of containers which others make.

use std::{fs, net::SocketAddr};

use muster_dataplane::{Config, DataPlane, Error};

use crate::{
    adoption::{map_id, pretend_other_layout},
    machine::{Machine, enter, wait_until},
    server::{Server, ask},
    view::tcp,
};

const VIP: &str = "11.0.0.1:80";

fn vip() -> SocketAddr {
    VIP.parse().unwrap()
}

/// How many links there are to the second cgroup.
fn links(config: &Config) -> usize {
    let names = fs::read_dir(config.directory().unwrap().join("links")).unwrap();
    names
        .filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().starts_with("also-"))
        .count()
}

#[test]
fn a_process_in_a_second_cgroup_reaches_vips() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let config = machine.agent();
    let mut plane = DataPlane::open(&config).unwrap();
    let slice = machine.cgroup().join("t.slice");
    let inner = slice.join("t-also.slice");
    plane.also_serve(&inner).unwrap();
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    // Only what is below has them.
    enter(&slice);
    assert!(ask(vip()).is_err());
    let scope = inner.join("docker-0.scope");
    fs::create_dir(&scope).unwrap();
    enter(&scope);
    assert_eq!(ask(vip()).unwrap(), server.address);
    let before = links(&config);
    plane.also_serve(&inner).unwrap();
    assert_eq!((links(&config), before), (10, 10));
    // Nobody is there, then the next.
    drop(plane);
    assert_eq!(ask(vip()).unwrap(), server.address);
    let mut plane = DataPlane::open(&config).unwrap();
    let other = Server::tcp();
    plane.reconcile(&[tcp(VIP, &[other.address])]).unwrap();
    assert_eq!(ask(vip()).unwrap(), other.address);

    // It is removed, and made again.
    machine.leave();
    for cgroup in [&scope, &inner] {
        wait_until("the cgroup is empty", || fs::remove_dir(cgroup).is_ok());
    }
    plane.also_serve(&inner).unwrap();
    enter(&inner);
    assert_eq!(ask(vip()).unwrap(), other.address);
    machine.leave();
    drop(plane);
    DataPlane::remove(&config).unwrap();
    enter(&inner);
    assert!(ask(vip()).is_err());
    machine.leave();
    for cgroup in [&inner, &slice] {
        wait_until("the cgroup is empty", || fs::remove_dir(cgroup).is_ok());
    }
}

#[test]
fn a_second_cgroup_has_the_programs_of_the_first_after_maps_of_another_layout() {
    let Some(mut machine) = Machine::new() else { return };
    let (old, new) = (Server::tcp(), Server::tcp());
    let config = machine.agent();
    let mut plane = DataPlane::open(&config).unwrap();
    let slice = machine.cgroup().join("renewed.slice");
    plane.also_serve(&slice).unwrap();
    plane.reconcile(&[tcp(VIP, &[old.address])]).unwrap();
    drop(plane);
    pretend_other_layout(&config);
    let former = map_id(&config, "vips");
    enter(&slice);
    let mut plane = DataPlane::open(&config).unwrap();
    assert_eq!(ask(vip()).unwrap(), old.address);
    plane.reconcile(&[tcp(VIP, &[new.address])]).unwrap();
    assert_ne!(map_id(&config, "vips"), former);
    // Though nobody has asked for it again.
    assert_eq!(ask(vip()).unwrap(), new.address);
    machine.leave();
    wait_until("the cgroup is empty", || fs::remove_dir(&slice).is_ok());
}

#[test]
fn a_second_cgroup_outside_the_tree_is_refused_and_not_made() {
    let Some(mut machine) = Machine::new() else { return };
    let (config, plane) = machine.plane();
    let directory = tempfile::tempdir().unwrap();
    let error = plane.also_serve(&directory.path().join("a.slice")).unwrap_err();
    assert!(matches!(error, Error::NoCgroup { .. }), "{error}");
    assert_eq!((links(&config), fs::read_dir(directory.path()).unwrap().count()), (0, 0));
}
