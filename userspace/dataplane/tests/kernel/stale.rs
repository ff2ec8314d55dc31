//! What dead agents have left pinned, and who removes it.

use std::{
    fs::{self, File, FileTimes},
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use aya::{
    maps::{MapData, MapInfo},
    programs::links::{FdLink, PinnedLink},
};
use muster_dataplane::{Config, DataPlane};

use crate::{
    hosts::{Hosts, forwarding},
    machine::{Machine, enter, said, wait_until},
    server::{Server, ask},
    view::tcp,
};

const VIP: &str = "11.0.0.1:80";

fn vip() -> SocketAddr {
    VIP.parse().unwrap()
}

/// Where an agent pins things.
fn folder(config: &Config) -> PathBuf {
    config.directory().unwrap()
}

/// An agent that served the VIP, and was killed.
fn killed(machine: &mut Machine, server: &Server) -> Config {
    let config = machine.agent();
    let mut plane = DataPlane::open(&config).unwrap();
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    config
}

/// An agent starts until the pins of a dead one are gone: the kernel detaches programs a moment
/// after their cgroup is removed.
fn start_until_gone(agent: &Config, dead: &Config) {
    wait_until("the pins are gone", || {
        drop(DataPlane::open(agent).unwrap());
        !folder(dead).exists()
    });
}

#[test]
fn pins_of_an_agent_whose_cgroup_is_gone_are_removed_by_another_that_starts() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let dead = killed(&mut machine, &server);
    let resting = killed(&mut machine, &server);
    fs::remove_dir(&dead.cgroup).unwrap();

    let own = machine.agent();
    start_until_gone(&own, &dead);
    let mut plane = DataPlane::open(&own).unwrap();
    enter(&own.cgroup);
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    assert_eq!(ask(vip()).unwrap(), server.address);
    // The other's cgroup is there, and its VIPs are served.
    enter(&resting.cgroup);
    assert_eq!(ask(vip()).unwrap(), server.address);
    let before = MapInfo::from_pin(folder(&resting).join("vips")).unwrap().id();
    drop(plane);
    drop(DataPlane::open(&resting).unwrap());
    assert_eq!(MapInfo::from_pin(folder(&resting).join("vips")).unwrap().id(), before);
    assert!(folder(&own).exists());

    // Its name comes back after all.
    let plane = DataPlane::open(&dead).unwrap();
    assert!(plane.vips().unwrap().is_empty());
    assert!(folder(&dead).exists());
}

/// Makes it two hours ago that an agent was at its pins.
fn forget(config: &Config) {
    let then = SystemTime::now() - Duration::from_hours(2);
    let folder = File::open(folder(config)).unwrap();
    folder.set_times(FileTimes::new().set_modified(then)).unwrap();
}

/// As after an agent was killed that has another name since.
#[test]
fn agent_that_is_gone_for_long_is_dead_if_nothing_is_in_its_cgroup() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let [dead, running, serving, below, recent] = [(); 5].map(|()| killed(&mut machine, &server));
    let running_plane = DataPlane::open(&running).unwrap();
    let inner = below.cgroup.join("container");
    fs::create_dir(&inner).unwrap();
    let own = machine.agent();
    let mut plane = DataPlane::open(&own).unwrap();
    for config in [&dead, &running, &serving, &below] {
        forget(config);
    }

    // An agent that runs finds them, too.
    enter(&serving.cgroup);
    plane.read_again();
    assert!(!folder(&dead).exists() && !dead.cgroup.exists());
    for config in [&running, &serving, &recent] {
        assert!(folder(config).join("links/connect4").exists() && config.cgroup.exists());
    }
    assert_eq!(ask(vip()).unwrap(), server.address);
    // What is left in a cgroup stays, without what was attached to it.
    assert!(!folder(&below).exists() && inner.exists());
    fs::remove_dir(inner).unwrap();

    // A process below is one of the agent's as well.
    let inner = serving.cgroup.join("container");
    fs::create_dir(&inner).unwrap();
    enter(&inner);
    plane.read_again();
    assert!(folder(&serving).exists());
    machine.leave();
    fs::remove_dir(inner).unwrap();

    // One that runs says so from time to time, so it is found when it restarts.
    let mut running_plane = running_plane;
    running_plane.read_again();
    drop(running_plane);
    plane.read_again();
    assert!(folder(&running).exists() && !folder(&serving).exists());
    forget(&running);
    let running_plane = DataPlane::open(&running).unwrap();
    drop(running_plane);
    plane.read_again();
    assert!(folder(&running).exists());
    forget(&running);
    plane.read_again();
    assert!(!folder(&running).exists());

    // It comes back all the same.
    let mut running_plane = DataPlane::open(&running).unwrap();
    running_plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    enter(&running.cgroup);
    assert_eq!(ask(vip()).unwrap(), server.address);
}

/// Whoever is first: the agent that starts has its cgroup and its pins.
#[test]
fn agent_that_starts_while_another_takes_it_for_dead_has_all_that_it_needs() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let late = killed(&mut machine, &server);
    let own = machine.agent();
    let mut plane = DataPlane::open(&own).unwrap();
    for _ in 0..4 {
        forget(&late);
        let mut started = thread::scope(|scope| {
            scope.spawn(|| plane.read_again());
            DataPlane::open(&late).unwrap()
        });
        started.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
        enter(&late.cgroup);
        assert_eq!(ask(vip()).unwrap(), server.address);
        machine.leave();
    }
}

#[test]
fn pins_of_an_agent_that_runs_stay_whatever_became_of_its_cgroup() {
    let Some(mut machine) = Machine::new() else { return };
    let running = machine.agent();
    let plane = DataPlane::open(&running).unwrap();
    fs::remove_dir(&running.cgroup).unwrap();
    let server = Server::tcp();
    let dead = killed(&mut machine, &server);
    fs::remove_dir(&dead.cgroup).unwrap();
    let other = machine.agent();
    start_until_gone(&other, &dead);
    drop(DataPlane::open(&other).unwrap());
    assert!(folder(&running).join("links/connect4").exists());
    drop(plane);
    start_until_gone(&other, &running);
}

#[test]
fn what_an_agent_left_that_was_killed_while_it_first_opened_is_removed() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let halfway = killed(&mut machine, &server);
    fs::remove_dir_all(folder(&halfway).join("links")).unwrap();
    let (_, plane) = machine.plane();
    assert!(!folder(&halfway).exists());
    drop(plane);
}

#[test]
fn what_is_not_an_agents_is_left_alone() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let odd = killed(&mut machine, &server);
    fs::remove_dir(&odd.cgroup).unwrap();
    let map = MapData::from_pin(folder(&odd).join("meta")).unwrap();
    let strange = folder(&odd).join("links/strange");
    map.pin(&strange).unwrap();
    drop(machine.plane());
    assert!(strange.exists());
    fs::remove_file(strange).unwrap();
}

/// The links of an agent's programs at interfaces.
fn at_interfaces(config: &Config) -> Vec<u32> {
    let pins = fs::read_dir(folder(config).join("links")).unwrap();
    let paths = pins.map(|pin| pin.unwrap().path());
    let links = paths.filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.contains('-') && !name.starts_with("filter")
    });
    let id = |path| FdLink::from(PinnedLink::from_pin(path).unwrap()).info().unwrap().id();
    links.map(id).collect()
}

/// How many of these links there still are, and filters at the node's interface.
fn attached(links: &[u32]) -> usize {
    let show = |link: &&u32| {
        let mut bpftool = Command::new("bpftool");
        bpftool.args(["link", "show", "id", &link.to_string()]).output().unwrap().status.success()
    };
    let filters =
        ["ingress", "egress"].map(|side| said(&format!("tc filter show dev eth0 {side}")));
    links.iter().filter(show).count() + filters.concat().matches("direct-action").count()
}

#[test]
fn programs_at_interfaces_that_a_dead_agent_left_are_removed() {
    let Some(mut machine) = Machine::new() else { return };
    let _hosts = Hosts::new();
    let own = machine.agent();
    for interface in ["eth0:xdp", "eth0:tc", "eth0:clsact"] {
        // All that is left of one are its programs at the interface.
        let alone = forwarding(&mut machine, interface);
        drop(DataPlane::open(&alone).unwrap());
        for link in fs::read_dir(folder(&alone).join("links")).unwrap() {
            let path = link.unwrap().path();
            if !path.file_name().unwrap().to_str().unwrap().contains('-') {
                fs::remove_file(path).unwrap();
            }
        }
        let links = at_interfaces(&alone);
        assert!(attached(&links) > 1, "{interface}");
        drop(DataPlane::open(&own).unwrap());
        assert!(!folder(&alone).exists(), "{interface}");
        wait_until("nothing is at the interface", || attached(&links) == 0);

        // Another's cgroup is gone.
        let gone = forwarding(&mut machine, interface);
        drop(DataPlane::open(&gone).unwrap());
        let links = at_interfaces(&gone);
        fs::remove_dir(&gone.cgroup).unwrap();
        start_until_gone(&own, &gone);
        wait_until("nothing is at the interface", || attached(&links) == 0);
    }
}

#[test]
fn programs_at_interfaces_stay_while_their_agent_may_come_back() {
    let Some(mut machine) = Machine::new() else { return };
    let _hosts = Hosts::new();
    let resting = forwarding(&mut machine, "eth0:xdp");
    drop(DataPlane::open(&resting).unwrap());
    let links = at_interfaces(&resting);
    drop(machine.plane());
    assert!(folder(&resting).join("links/xdp-eth0").exists());
    assert_eq!((attached(&links), links.len()), (3, 3));
}
