//! Hosts: network namespaces, each with a thread in it, joined by a switch.
//!
//! ```text
//!  client 10.7.0.2, fd07::2 ──┐
//!  node   10.7.0.1, fd07::1 ──┼── switch (a bridge)
//!  second 10.7.0.3, fd07::3 ──┘
//! ```

use std::{
    any::Any,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

use muster_dataplane::{Config, Forward};
use nix::{
    libc,
    sched::{CloneFlags, unshare},
    unistd::gettid,
};

use crate::machine::{Machine, ip};

pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);
pub(crate) const SECOND: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 3);

/// Another address of a host, of IPv6.
pub(crate) fn six(address: Ipv4Addr) -> Ipv6Addr {
    let [.., last] = address.octets();
    Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, last.into())
}

type Work = Box<dyn FnOnce() + Send>;

/// A network namespace, which ends with the value.
pub(crate) struct Host {
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
    /// A name by which `ip link set netns` knows it.
    pub(crate) tid: i32,
}

/// The client and the second node; the node is where the test's own thread is.
pub(crate) struct Hosts {
    pub(crate) client: Host,
    pub(crate) second: Host,
    switch: Host,
}

// === impl Host ===

impl Host {
    pub(crate) fn new() -> Self {
        let (work, works): (_, Receiver<Work>) = channel();
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            ip("link set lo up");
            tell.send(gettid().as_raw()).unwrap();
            for work in works {
                work();
            }
        });
        Self { work: Some(work), thread: Some(thread), tid: told.recv().unwrap() }
    }

    /// Runs a function in the namespace. Threads that it starts stay there.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let (tell, told) = channel::<Result<T, Box<dyn Any + Send>>>();
        let work: Work = Box::new(move || {
            let _ = tell.send(catch_unwind(AssertUnwindSafe(function)));
        });
        self.work.as_ref().unwrap().send(work).unwrap();
        match told.recv().unwrap() {
            Ok(result) => result,
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Host {
    /// Joins a host's network to this switch.
    fn plug(&self, port: &'static str, tid: i32) {
        self.run(move || {
            ip(&format!("link add {port} type veth peer name eth0 netns {tid}"));
            ip(&format!("link set {port} master br0"));
            ip(&format!("link set {port} up"));
            pass_all(port);
        });
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.work.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

// === impl Hosts ===

impl Hosts {
    /// Joins new hosts to this thread's network: each has an `eth0`.
    pub(crate) fn new() -> Self {
        let switch = Host::new();
        let (client, second) = (Host::new(), Host::new());
        switch.run(|| {
            ip("link add br0 type bridge");
            ip("link set br0 up");
        });
        switch.plug("node", gettid().as_raw());
        up(NODE);
        switch.plug("client", client.tid);
        client.run(|| {
            up(CLIENT);
            ip(&format!("route add 11.0.0.0/8 via {NODE}"));
            ip(&format!("-6 route add fd01:c::/64 via {}", six(NODE)));
        });
        switch.plug("second", second.tid);
        second.run(|| up(SECOND));
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
        Self { client, second, switch }
    }

    /// Plugs the node in again after its interface was deleted.
    pub(crate) fn plug_node(&self) {
        self.switch.plug("node", gettid().as_raw());
        up(NODE);
    }
}

/// Attaches an XDP program that passes everything: without one here, a veth is not told of what
/// XDP at its other end sends.
fn pass_all(interface: &str) {
    // mov r0, XDP_PASS; exit
    let code: [u64; 2] = [0x2_0000_00b7, 0x95];
    let mut load = [0_u64; 16];
    // Type XDP and two instructions; where they are; the license.
    load[0] = 6 | 2 << 32;
    load[1] = code.as_ptr() as u64;
    load[2] = c"GPL".as_ptr() as u64;
    let program = bpf(5, &mut load);
    let index = nix::net::if_::if_nametoindex(interface).unwrap();
    // BPF_LINK_CREATE: the program, the interface, and BPF_XDP.
    let mut link = [u64::from(program) | u64::from(index) << 32, 37, 0, 0];
    // It ends with the test's process, or with the interface.
    bpf(28, &mut link);
}

pub(crate) fn bpf(command: libc::c_long, attr: &mut [u64]) -> u32 {
    let size = size_of_val(attr);
    // SAFETY: the attributes, and what they point to, outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size) };
    u32::try_from(result).unwrap_or_else(|_| panic!("{}", std::io::Error::last_os_error()))
}

fn up(address: Ipv4Addr) {
    ip(&format!("addr add {address}/24 dev eth0"));
    ip(&format!("-6 addr add {}/64 dev eth0 nodad", six(address)));
    // As from a wire: complete.
    offload("eth0", "tx off");
    ip("link set eth0 up");
}

/// Switches what an interface leaves to the hardware, which here is none.
pub(crate) fn offload(interface: &str, feature: &str) {
    let mut command = Command::new("ethtool");
    command.args(["-K", interface]).args(feature.split(' ')).stdout(Stdio::null());
    assert!(command.status().unwrap().success(), "ethtool -K {interface} {feature}");
}

/// An agent of the machine that forwards what comes by these interfaces.
pub(crate) fn forwarding(machine: &mut Machine, interfaces: &str) -> Config {
    let interfaces = interfaces.parse().unwrap();
    let forward = Forward { interfaces, address: IpAddr::V4(NODE), ..Forward::default() };
    Config { forward, ..machine.agent() }
}
