//! What each kernel takes of the programs, and what is done without the rest.

use std::{
    collections::BTreeSet,
    net::{IpAddr, TcpStream, UdpSocket},
};

use aya::{EbpfLoader, programs::Program};
use muster_dataplane::{
    Config, DataPlane, Error, FEATURES, Feature, Interfaces, Report, VipBackend, lacking,
};
use nix::libc;

use crate::{
    front::{pins, tc, with},
    hosts::{Hosts, NODE, forwarding},
    machine::{Machine, enter},
    server::{Server, ask},
    view::{tcp, udp},
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/muster-programs"));

/// What there is another way without.
fn dispensable() -> Vec<Feature> {
    FEATURES.into_iter().filter(|feature| feature.without.is_some()).collect()
}

/// The one whose name has this in it.
fn feature(part: &str) -> Feature {
    FEATURES.into_iter().find(|feature| feature.name.contains(part)).unwrap()
}

#[test]
fn kernel_takes_every_program_but_those_whose_features_it_lacks() {
    let Some(_machine) = Machine::on_any_kernel() else { return };
    let lacking = lacking();
    let refused: BTreeSet<&str> =
        lacking.iter().flat_map(|feature| feature.programs).copied().collect();
    let mut loader = EbpfLoader::new();
    let sets = u32::from(!lacking.iter().any(|feature| feature.name.contains("set_retval")));
    loader.override_global("SETS_ERROR_NUMBERS", &sets, true);
    let mut object = loader.load(OBJECT).unwrap();
    let mut loaded = 0;
    for (name, program) in object.programs_mut() {
        let result = match program {
            Program::CgroupSockAddr(program) => program.load(),
            Program::SockOps(program) => program.load(),
            Program::CgroupSock(program) => program.load(),
            Program::Xdp(program) => program.load(),
            Program::SchedClassifier(program) => program.load(),
            _ => panic!("{name} is of another kind"),
        };
        println!("{name}: {}", result.as_ref().map_or("refused", |()| "taken"));
        let is_refused = refused.contains(name);
        assert_eq!(result.is_err(), is_refused, "{name}: {result:?}; lacking: {lacking:?}");
        loaded += u32::from(!is_refused);
    }
    assert!(loaded > 0, "lacking: {lacking:?}");
}

/// By eBPF where the kernel has what that takes, else by NFQUEUE: never not at all.
#[test]
fn vips_are_served_by_what_the_kernel_has() {
    let Some(mut machine) = Machine::on_any_kernel() else { return };
    let server = Server::tcp();
    let (_, mut plane) = machine.plane_by(VipBackend::Auto);
    let suffices = lacking().iter().all(|feature| feature.without.is_some());
    let expected = if suffices { VipBackend::Ebpf } else { VipBackend::Nfqueue };
    assert_eq!(plane.backend(), expected);
    plane.reconcile(&[tcp("11.0.0.1:80", &[server.address])]).unwrap();
    assert_eq!(ask("11.0.0.1:80".parse().unwrap()).unwrap(), server.address);
}

#[test]
fn kernel_that_is_too_old_for_ebpf_is_told_what_it_lacks() {
    let Some(mut machine) = Machine::on_any_kernel() else { return };
    let lacking = lacking();
    let _hosts = Hosts::new();
    let mut config = forwarding(&mut machine, "auto");
    assert_ne!(config.forward.interfaces, Interfaces::None);
    config.backend = VipBackend::Ebpf;
    match DataPlane::open(&config) {
        Ok(_) => assert!(lacking.iter().all(|feature| feature.without.is_some()), "{lacking:?}"),
        Err(error) => {
            assert!(matches!(error, Error::Kernel { .. }), "{error}");
            for feature in lacking {
                let is_told = error.to_string().contains(&feature.to_string());
                assert_eq!(is_told, feature.without.is_none(), "{error}");
            }
        }
    }
}

/// As on Linux 5.15: what calls the helper that is not there is not even looked at.
#[test]
fn kernel_that_cannot_be_told_the_error_refuses_with_its_own() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let config = machine.agent();
    let vips =
        [tcp("11.0.0.1:80", &[server.address]), tcp("11.0.0.2:80", &[]), udp("11.0.0.2:53", &[])];
    let errors = || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let connected = TcpStream::connect("11.0.0.2:80").unwrap_err();
        let sent = socket.send_to(b"?", "11.0.0.2:53").unwrap_err();
        [connected, sent].map(|error| error.raw_os_error().unwrap())
    };
    // Known to be there, missing, and there again.
    for (lacking, errno) in [
        (vec![], libc::ECONNREFUSED),
        (vec![feature("set_retval")], libc::EPERM),
        (vec![], libc::ECONNREFUSED),
    ] {
        let mut plane = DataPlane::open_without(&config, &lacking).unwrap();
        enter(&config.cgroup);
        plane.reconcile(&vips).unwrap();
        assert_eq!(ask("11.0.0.1:80".parse().unwrap()).unwrap(), server.address);
        assert_eq!(errors(), [errno; 2], "{lacking:?}");
        let lines = plane.snapshot().unwrap().lacking;
        assert_eq!(lines.len(), lacking.len());
        assert!(lines.iter().all(|line| line.contains("(Linux 6.1): ") && line.contains("EPERM")));
    }
}

#[test]
fn kernel_without_xdp_in_several_buffers_forwards_at_tc() {
    let Some(mut machine) = Machine::new() else { return };
    let hosts = Hosts::new();
    let config = forwarding(&mut machine, "eth0:xdp");
    drop(DataPlane::open(&config).unwrap());
    assert_eq!(pins(&config).len(), 3);
    let lacking = [feature("several buffers")];
    let asked = DataPlane::open_without(&config, &lacking).err().unwrap().to_string();
    assert!(asked.contains("interface eth0: by XDP") && asked.contains("5.18"), "{asked}");
    assert_eq!(pins(&config).len(), 3);

    // What an earlier kernel's process left at XDP goes.
    let best = with(&config, "eth0");
    let mut plane = DataPlane::open_without(&best, &lacking).unwrap();
    assert_eq!(pins(&best), tc());
    let report = Report::from(&plane.snapshot().unwrap());
    assert!(report.lacking[0].contains("(Linux 5.18): packets of other machines"), "{report:?}");
    let server = Server::at(IpAddr::V4(NODE));
    plane.reconcile(&[tcp("11.0.0.1:80", &[server.address])]).unwrap();
    let vip = "11.0.0.1:80".parse().unwrap();
    assert_eq!(hosts.client.run(move || ask(vip).unwrap()), server.address);

    // Where nothing is forwarded it is not missed.
    drop(plane);
    let plane = DataPlane::open_without(&with(&config, "none"), &lacking).unwrap();
    assert_eq!(plane.snapshot().unwrap().lacking, [""; 0]);
}

#[test]
fn kernel_that_lacks_what_there_is_no_way_without_serves_by_nfqueue_only() {
    let Some(mut machine) = Machine::new() else { return };
    let config = machine.agent();
    let open = |backend, lacking: &[Feature]| {
        DataPlane::open_without(&Config { backend, ..config.clone() }, lacking)
    };
    let plane = open(VipBackend::Auto, &dispensable()).unwrap();
    assert_eq!(plane.backend(), VipBackend::Ebpf);
    drop(plane);
    let error = open(VipBackend::Ebpf, &FEATURES).err().unwrap().to_string();
    assert!(error.contains("BPF_CMPXCHG") && !error.contains("set_retval"), "{error}");
    assert_eq!(open(VipBackend::Auto, &FEATURES).unwrap().backend(), VipBackend::Nfqueue);
}
