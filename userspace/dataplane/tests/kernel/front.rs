//! Programs at interfaces: attached, adopted, replaced, moved and removed.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use aya::programs::{
    ProgramInfo,
    links::{FdLink, PinnedLink},
};
use muster_dataplane::{Config, DataPlane, Error, Forward, Interfaces, VipBackend};
use nix::net::if_::if_nametoindex;
use procfs::sys::kernel::Version;

use crate::{
    hosts::{Hosts, NODE, forwarding},
    machine::{Machine, ip},
    server::Server,
    view::tcp,
};

/// Pins of what is at interfaces.
pub(crate) fn pins(config: &Config) -> Vec<String> {
    let links = fs::read_dir(config.directory().unwrap().join("links")).unwrap();
    let names = links.map(|link| link.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.contains('-')).collect();
    names.sort();
    names
}

/// Pins of what is at tc: links, or filters where the kernel has no tcx, which is Linux 6.6's.
pub(crate) fn tc() -> [&'static str; 2] {
    if Version::current().unwrap() < Version::new(6, 6, 0) {
        ["filter-egress-eth0", "filter-ingress-eth0"]
    } else {
        ["egress-eth0", "ingress-eth0"]
    }
}

/// Identity of what is pinned, and of its program: that of a filter is its interface's, with which it goes.
fn link(config: &Config, name: &str) -> (u32, u32) {
    let path: PathBuf = config.directory().unwrap().join("links").join(name);
    if name.starts_with("filter-") {
        let program = ProgramInfo::from_pin(path).unwrap();
        return (if_nametoindex("eth0").unwrap(), program.id());
    }
    let link: FdLink = PinnedLink::from_pin(path).unwrap().into();
    let info = link.info().unwrap();
    (info.id(), info.program_id())
}

pub(crate) fn with(config: &Config, interfaces: &str) -> Config {
    let interfaces: Interfaces = interfaces.parse().unwrap();
    Config { forward: Forward { interfaces, ..config.forward.clone() }, ..config.clone() }
}

/// What tc shows of an interface.
pub(crate) fn filters(side: &str) -> String {
    let shown = Command::new("tc").args(["filter", "show", "dev", "eth0", side]).output().unwrap();
    String::from_utf8(shown.stdout).unwrap()
}

#[test]
fn interfaces_that_cannot_be_used_are_refused_and_nothing_is_attached() {
    let Some(mut machine) = Machine::new() else { return };
    let _hosts = Hosts::new();
    let config = forwarding(&mut machine, "auto");
    let error = |config: &Config| match DataPlane::open(config) {
        Ok(_) => panic!("opened"),
        Err(error) => error.to_string(),
    };
    let unknown = error(&with(&config, "eth0,eth7"));
    assert!(unknown.contains("interface eth7: there is no such interface"), "{unknown}");
    assert!(unknown.contains("eth0 (10.7.0.1"), "{unknown}");
    let loopback = error(&with(&config, "lo"));
    assert!(loopback.contains("interface lo: no other machine"), "{loopback}");
    for address in ["10.7.0.9", "127.0.0.1"] {
        let forward = Forward { address: address.parse().unwrap(), ..config.forward.clone() };
        let source = error(&Config { forward, ..config.clone() });
        assert!(source.contains(&format!("agent address {address}")), "{source}");
        assert!(source.contains("--ip") && source.contains("eth0 (10.7.0.1"), "{source}");
    }
    let nfqueue = error(&Config { backend: VipBackend::Nfqueue, ..config.clone() });
    assert!(nfqueue.contains("--vip-interfaces=auto: only for --vip-backend=ebpf"), "{nfqueue}");
    assert!(!config.directory().unwrap().join("links").exists());
    // The machine as it is served without.
    DataPlane::open(&with(&config, "none")).unwrap();
    assert_eq!(pins(&config), [""; 0]);
}

#[test]
fn programs_are_replaced_in_place_and_removed_when_not_asked_for() {
    let Some(mut machine) = Machine::new() else { return };
    let _hosts = Hosts::new();
    let config = forwarding(&mut machine, "eth0:xdp");
    let [egress, ingress] = tc();
    let all = [egress, ingress, "xdp-eth0"];
    drop(DataPlane::open(&config).unwrap());
    assert_eq!(pins(&config), all);
    let before = all.map(|name| link(&config, name));

    // Again: the same links with new programs.
    let mut plane = DataPlane::open(&config).unwrap();
    assert_eq!(pins(&config), all);
    let after = all.map(|name| link(&config, name));
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.0, after.0);
        assert_ne!(before.1, after.1);
    }
    // Looking again changes nothing.
    plane.refresh().unwrap();
    plane.reconcile(&[]).unwrap();
    assert_eq!(all.map(|name| link(&config, name)), after);
    drop(plane);

    // In the kernel instead of the driver, which excludes the other, and back.
    for (interfaces, xdp) in [("eth0:xdp-generic", "generic-eth0"), ("eth0:xdp", "xdp-eth0")] {
        drop(DataPlane::open(&with(&config, interfaces)).unwrap());
        let mut all = ["egress-eth0", "ingress-eth0", xdp];
        all.sort_unstable();
        assert_eq!(pins(&config), all);
    }

    // On a veth, XDP is given up unless it is asked for.
    for interfaces in ["auto", "eth0"] {
        drop(DataPlane::open(&with(&config, interfaces)).unwrap());
        assert_eq!(pins(&config), tc());
        assert_eq!(link(&config, ingress).0, after[1].0);
    }
    drop(DataPlane::open(&with(&config, "eth0:clsact")).unwrap());
    assert_eq!(pins(&config), ["filter-egress-eth0", "filter-ingress-eth0"]);
    assert!(filters("ingress").contains("forward_tc"), "{}", filters("ingress"));
    drop(DataPlane::open(&with(&config, "none")).unwrap());
    assert_eq!(pins(&config), [""; 0]);
    assert_eq!(filters("ingress"), "");
}

#[test]
fn filters_are_replaced_and_removed_with_the_agent() {
    let Some(mut machine) = Machine::new() else { return };
    let _hosts = Hosts::new();
    let config = forwarding(&mut machine, "eth0:clsact");
    for _ in 0..2 {
        drop(DataPlane::open(&config).unwrap());
        for (side, program) in [("ingress", "forward_tc"), ("egress", "reply")] {
            let name = format!("name {program} ");
            assert_eq!(filters(side).matches(&name).count(), 1, "{}", filters(side));
        }
    }
    DataPlane::remove(&config).unwrap();
    assert_eq!((filters("ingress"), filters("egress")), (String::new(), String::new()));
    assert!(!config.directory().unwrap().exists());
}

#[test]
fn interface_with_anothers_program_is_left_to_it() {
    let Some(mut machine) = Machine::new() else { return };
    let _hosts = Hosts::new();
    let first = forwarding(&mut machine, "eth0:xdp");
    let second = forwarding(&mut machine, "eth0:xdp");
    let held = DataPlane::open(&first).unwrap();
    let before = link(&first, "xdp-eth0");
    let error = DataPlane::open(&second).err().unwrap();
    assert!(matches!(&error, Error::Occupied { interface } if interface == "eth0"), "{error}");
    assert!(error.to_string().contains("eth0:tc"), "{error}");
    assert_eq!(link(&first, "xdp-eth0"), before);
    drop(held);
}

#[test]
fn interface_that_comes_back_is_attached_to_again() {
    let Some(mut machine) = Machine::new() else { return };
    let hosts = Hosts::new();
    let config = forwarding(&mut machine, "eth0:tc");
    let mut plane = DataPlane::open(&config).unwrap();
    let [_, ingress] = tc();
    let before = link(&config, ingress);
    ip("link del eth0");
    plane.reconcile(&[]).unwrap();
    assert_eq!(pins(&config), [""; 0]);
    hosts.plug_node();
    plane.reconcile(&[]).unwrap();
    assert_eq!(pins(&config), tc());
    assert_ne!(link(&config, ingress).0, before.0);

    // And with notice only.
    ip("link del eth0");
    hosts.plug_node();
    plane.refresh().unwrap();
    let server = Server::at(IpAddr::V4(NODE));
    let vip: SocketAddr = "11.0.0.1:80".parse().unwrap();
    plane.reconcile(&[tcp("11.0.0.1:80", &[server.address])]).unwrap();
    assert_eq!(hosts.client.run(move || crate::server::ask(vip).unwrap()), server.address);
}

#[test]
fn program_that_was_detached_by_force_is_attached_again() {
    let Some(mut machine) = Machine::new() else { return };
    let _hosts = Hosts::new();
    let config = forwarding(&mut machine, "eth0:xdp");
    let mut plane = DataPlane::open(&config).unwrap();
    let path = config.directory().unwrap().join("links/xdp-eth0");
    let detached = |path: &Path| {
        Command::new("bpftool").args(["link", "detach", "pinned"]).arg(path).status().unwrap()
    };
    let before = link(&config, "xdp-eth0").0;
    assert!(detached(&path).success());
    plane.refresh().unwrap();
    assert_ne!(link(&config, "xdp-eth0").0, before);
}
