//! What each kernel takes of the programs, and what is done without the rest.

use std::collections::BTreeSet;

use aya::{EbpfLoader, programs::Program};
use muster_dataplane::{DataPlane, Error, Interfaces, VipBackend, lacking};

use crate::{
    hosts::{Hosts, forwarding},
    machine::Machine,
    server::{Server, ask},
    view::tcp,
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/muster-programs"));

#[test]
fn kernel_takes_every_program_but_those_whose_features_it_lacks() {
    let Some(_machine) = Machine::on_any_kernel() else { return };
    let lacking = lacking();
    let refused: BTreeSet<&str> =
        lacking.iter().flat_map(|feature| feature.programs).copied().collect();
    let mut object = EbpfLoader::new().load(OBJECT).unwrap();
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
    let expected = if lacking().is_empty() { VipBackend::Ebpf } else { VipBackend::Nfqueue };
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
        Ok(_) => assert!(lacking.is_empty(), "{lacking:?}"),
        Err(error) => {
            assert!(matches!(error, Error::Kernel { .. }), "{error}");
            for feature in lacking {
                assert!(error.to_string().contains(&feature.to_string()), "{error}");
            }
        }
    }
}
