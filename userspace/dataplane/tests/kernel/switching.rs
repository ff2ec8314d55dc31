//! From one means of serving VIPs to the other and back, and how one is chosen.

use std::{fs, path::Path};

use muster_dataplane::{Config, DataPlane, Error, VipBackend};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use crate::{
    machine::{Machine, said, wait_until},
    server::{Live, Server, ask, echo},
    view::tcp,
};

const VIP: &str = "11.0.0.1:80";

fn vip() -> std::net::SocketAddr {
    VIP.parse().unwrap()
}

fn rules() -> usize {
    ["raw", "filter"]
        .map(|table| said(&format!("iptables -w -t {table} -S")))
        .concat()
        .matches("minuteman")
        .count()
}

#[test]
fn connections_live_through_switches_there_and_back() {
    let Some(mut machine) = Machine::new() else { return };
    let backend = echo();
    let view = [tcp(VIP, &[backend])];
    let (config, mut plane) = machine.plane_by(VipBackend::Ebpf);
    plane.reconcile(&view).unwrap();
    let first = Live::connect(vip(), 20);
    drop(plane);

    let by_queue = Config { backend: VipBackend::Nfqueue, ..config.clone() };
    let mut plane = DataPlane::open(&by_queue).unwrap();
    // Until the new one knows what to serve, the old one serves.
    let second = Live::connect(vip(), 20);
    assert!(config.directory().unwrap().exists());
    plane.reconcile(&view).unwrap();
    assert!(!config.directory().unwrap().exists(), "nothing of eBPF is left");
    assert_eq!(rules(), 4);
    let third = Live::connect(vip(), 20);
    assert_eq!(plane.vips().unwrap()[0].backends.len(), 1);
    drop(plane);

    let mut plane = DataPlane::open(&config).unwrap();
    assert_eq!(plane.backend(), VipBackend::Ebpf);
    assert_eq!(rules(), 4);
    plane.reconcile(&view).unwrap();
    let fourth = Live::connect(vip(), 20);
    wait_until("the rules are gone", || rules() == 0);
    for live in [&first, &second, &third, &fourth] {
        live.check();
    }
    Live::connect(vip(), 10).check();
    // The connections of NFQUEUE are still translated: what they need is there.
    assert!(said("iptables -w -t nat -S").contains("255.255.255.255"));
    drop(plane);

    // Once they have ended, an agent that starts removes the rest.
    drop(third);
    let mut plane = DataPlane::open(&config).unwrap();
    plane.reconcile(&view).unwrap();
    wait_until("nothing is left", || said("ipset list -n").is_empty());
    assert!(!said("iptables -w -t nat -S").contains("255.255.255.255"));
    first.check();
    fourth.check();
}

#[test]
fn forced_means_is_not_replaced_by_the_other() {
    let Some(mut machine) = Machine::new() else { return };
    hide_btf();
    let config = Config { backend: VipBackend::Ebpf, ..machine.agent() };
    let error = DataPlane::open(&config).err().unwrap();
    assert!(matches!(error, Error::NoBtf { .. }), "{error}");
    assert!(error.to_string().contains("CONFIG_DEBUG_INFO_BTF"), "{error}");
}

#[test]
fn kernel_without_btf_gets_nfqueue_by_itself() {
    let Some(mut machine) = Machine::new() else { return };
    hide_btf();
    let server = Server::tcp();
    let (_, mut plane) = machine.plane_by(VipBackend::Auto);
    assert_eq!(plane.backend(), VipBackend::Nfqueue);
    plane.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    assert_eq!(ask(vip()).unwrap(), server.address);
}

#[test]
fn kernel_that_has_all_gets_ebpf_by_itself() {
    let Some(mut machine) = Machine::new() else { return };
    let (_, plane) = machine.plane_by(VipBackend::Auto);
    assert_eq!(plane.backend(), VipBackend::Ebpf);
    assert!(said("ipset list -n").is_empty());
}

#[test]
fn what_can_be_set_up_is_asked_for_and_not_gone_without() {
    let Some(mut machine) = Machine::new() else { return };
    let config = Config { bpffs: "/tmp".into(), ..machine.agent() };
    let error = DataPlane::open(&config).err().unwrap();
    assert!(error.to_string().contains("mount -t bpf"), "{error}");
    assert!(said("ipset list -n").is_empty());
}

#[test]
fn agent_is_cleaned_up_beside_one_that_serves_by_nfqueue() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (_, mut other) = machine.plane_by(VipBackend::Nfqueue);
    other.reconcile(&[tcp(VIP, &[server.address])]).unwrap();
    for backend in [VipBackend::Auto, VipBackend::Ebpf] {
        let own = Config { backend, ..machine.agent() };
        drop(DataPlane::open(&own).unwrap());
        assert!(own.directory().unwrap().exists());
        DataPlane::remove(&own).unwrap();
        assert!(!own.directory().unwrap().exists(), "{backend:?}");
    }
    // The other's are left alone, and asked for by name they are not to be had.
    assert_eq!(rules(), 4);
    assert_eq!(ask(vip()).unwrap(), server.address);
    let own = Config { backend: VipBackend::Nfqueue, ..machine.agent() };
    assert!(matches!(DataPlane::remove(&own), Err(Error::QueueBusy { .. })));
}

#[test]
fn agent_is_cleaned_up_where_the_kernel_has_no_bpffs() {
    let Some(mut machine) = Machine::new() else { return };
    let nowhere = tempfile::tempdir().unwrap();
    let lacking = Config { bpffs: nowhere.path().to_owned(), ..machine.agent() };
    // A kernel that has it is to have it mounted: there may be something to remove.
    let error = DataPlane::remove(&lacking).err().unwrap();
    assert!(matches!(error, Error::NoBpffs { .. }), "{error}");
    hide(Path::new("/proc/filesystems"), "nodev\tcgroup2\n\text4\n");
    DataPlane::remove(&lacking).unwrap();
    let forced = Config { backend: VipBackend::Nfqueue, ..lacking };
    DataPlane::remove(&forced).unwrap();
}

/// Makes a file say something else, to this thread.
fn hide(file: &Path, text: &str) {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    let other = tempfile::NamedTempFile::new().unwrap();
    fs::write(other.path(), text).unwrap();
    mount(Some(other.path()), file, none, MsFlags::MS_BIND, none).unwrap();
}

/// Makes the kernel look, to this thread, like one without BTF.
fn hide_btf() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("none"), "/sys/kernel/btf", Some("tmpfs"), MsFlags::empty(), none).unwrap();
}
