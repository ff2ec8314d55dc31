//! The programs with maps of their own, in a network namespace, beside the same decisions in user space.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, PerCpuArray},
    programs::{Program, TestRun as _, TestRunOptions},
};
use muster_packet::{
    Address, Backend, Counted, Counters, Endpoint, Event, Forwarded, Forwarding, Handshakes, Host,
    Known, KnownAddress, Networks, Outcome, Pair, Policy, Side, Slot, Vip,
    maglev::{self, MaglevPage},
};

use crate::{
    hosts::bpf,
    machine::{Machine, ip},
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/muster-programs"));

/// The programs of the forwarded path.
const PROGRAMS: [&str; 3] = ["forward", "forward_tc", "reply"];

/// What programs return.
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const TC_UNSPEC: u32 = u32::MAX;
const TC_SHOT: u32 = 2;
const TC_REDIRECT: u32 = 7;

/// This machine, and where the rest of the network is: what is not here is a neighbour on the loopback interface, as
/// packets that are given to programs come by that.
pub(crate) const HERE: [u8; 4] = [10, 77, 0, 1];
pub(crate) const THERE: [u8; 4] = [10, 77, 0, 2];
pub(crate) const CLIENT: [u8; 4] = [10, 77, 0, 7];
pub(crate) const VIP: [u8; 4] = [11, 0, 0, 1];

/// The same of IPv6.
pub(crate) const HERE6: [u8; 16] = six(1);
pub(crate) const THERE6: [u8; 16] = six(2);
pub(crate) const CLIENT6: [u8; 16] = six(7);
pub(crate) const ROUTER6: [u8; 16] = six(9);
pub(crate) const VIP6: [u8; 16] = [0xfd, 1, 0, 0xc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// An address of `fd77::/64`.
const fn six(last: u8) -> [u8; 16] {
    [0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

/// The programs, and the host they are compared with.
pub(crate) struct Bed {
    object: Ebpf,
    pub(crate) host: Host,
    tables: u32,
    counted: std::collections::HashMap<Pair, Counted>,
    vips: Vec<Endpoint>,
    /// For the namespace, and to take turns.
    _machine: Machine,
}

/// Loads the programs with new maps.
fn load() -> Ebpf {
    let mut object = EbpfLoader::new().load(OBJECT).unwrap();
    for name in PROGRAMS {
        match object.program_mut(name).unwrap() {
            Program::Xdp(program) => program.load().unwrap(),
            Program::SchedClassifier(program) => program.load().unwrap(),
            _ => panic!("{name} is of another kind"),
        }
    }
    object
}

// === impl Bed ===

impl Bed {
    /// `None` where it cannot run.
    pub(crate) fn new() -> Option<Self> {
        let machine = Machine::new()?;
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        for last in [2, 7, 9] {
            ip(&format!("route add 10.77.0.{last}/32 dev lo"));
        }
        // The loopback interface has one neighbour, whatever the address.
        ip("neigh add 10.77.0.9 lladdr 02:00:00:00:00:09 dev lo nud permanent");
        fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
        for last in [2, 7, 9] {
            ip(&format!("-6 route add fd77::{last}/128 dev lo"));
            ip(&format!("-6 neigh add fd77::{last} lladdr 02:00:00:00:00:09 dev lo nud permanent"));
        }
        let unlimited = Forwarding::new(Some(HERE), Some(HERE6), 0x5eed);
        let rules = Forwarding { error_interval_ns: 0, ..unlimited };
        let mut host = Host::new(rules);
        host.neighbours = |address| {
            let [.., last] = address.last();
            [2, 7, 9].contains(&last).then_some(([2, 0, 0, 0, 0, 9], [0; 6]))
        };
        let mut bed = Self {
            object: load(),
            host,
            tables: 0,
            counted: std::collections::HashMap::default(),
            vips: Vec::new(),
            _machine: machine,
        };
        bed.array("forwarding").set(0, rules, 0).unwrap();
        bed.own(Address::v4(HERE));
        bed.own(Address::new(HERE6));
        Some(bed)
    }

    fn array<V: aya::Pod>(&mut self, name: &str) -> Array<&mut aya::maps::MapData, V> {
        self.object.map_mut(name).unwrap().try_into().unwrap()
    }

    fn insert<K: aya::Pod, V: aya::Pod>(&mut self, name: &str, key: K, value: V) {
        let mut map: HashMap<_, K, V> = self.object.map_mut(name).unwrap().try_into().unwrap();
        map.insert(key, value, 0).unwrap();
    }

    /// Makes an address this machine's.
    fn own(&mut self, address: Address) {
        self.host.own(address);
        let address = KnownAddress { address: address.bytes() };
        self.insert("addresses", address, Known { local: 1, vip: 0 });
    }

    /// Changes how packets are forwarded.
    pub(crate) fn rule(&mut self, rules: Forwarding) {
        self.host.rules = rules;
        self.array("forwarding").set(0, rules, 0).unwrap();
    }

    /// Lets no larger packets than this through, anywhere.
    pub(crate) fn narrow(&mut self, mtu: u16) {
        for last in [2, 7, 9] {
            ip(&format!("route replace 10.77.0.{last}/32 dev lo mtu lock {mtu}"));
            ip(&format!("-6 route replace fd77::{last}/128 dev lo mtu lock {mtu}"));
        }
        self.host.mtu = mtu;
    }

    /// Gives a VIP backends, those of its own family first.
    pub(crate) fn serve(&mut self, vip: Endpoint, backends: &[Endpoint]) {
        self.host.serve(vip, backends);
        self.tables += 1;
        let table = self.tables;
        for (index, &backend) in (0..).zip(backends) {
            let counter = u32::try_from(self.counted.len()).unwrap();
            let pair = Pair { vip, backend };
            let known = self.counted.iter().find(|(of, _)| of.backend == backend);
            let home = known.map_or(counter, |(_, at)| at.home);
            let at = *self.counted.entry(pair).or_insert(Counted { counter, home });
            let counter = at.counter;
            let value =
                Backend { vip, backend, alias: index, threshold: u32::MAX, weight: 1, counter };
            self.insert("backends", Slot { table, index }, value);
            self.insert("counted", pair, at);
            self.array("counters").set(counter, Counters::new(backend, home), 0).unwrap();
            self.array("handshakes").set(counter, Handshakes::new(vip, home), 0).unwrap();
        }
        let weighted: Vec<_> = backends.iter().map(|&backend| (backend, 1)).collect();
        let named = if backends.len() > 1 { maglev::build(&weighted) } else { Vec::new() };
        for (index, page) in (0..).zip(MaglevPage::pages(&named)) {
            self.insert("maglev", Slot { table, index }, page);
        }
        let count = |number| u32::try_from(number).unwrap();
        let entry = Vip::new(table, count(backends.len()), 0, Policy::Random);
        let is_native = |end: &Endpoint| end.ipv4().is_some() == vip.ipv4().is_some();
        let native = backends.iter().take_while(|backend| is_native(backend)).count();
        let entry = entry.with_native(count(native));
        self.insert("vips", vip, entry.with_slots(count(named.len())));
        let address = KnownAddress { address: Address::of(&vip).bytes() };
        self.insert("addresses", address, Known { local: 0, vip: 1 });
        self.vips.push(vip);
        let networks = Networks::of(&self.vips);
        self.array("networks").set(0, networks, 0).unwrap();
    }

    /// Runs a program; what it returned, and the packet after it.
    pub(crate) fn run(&mut self, name: &str, packet: &[u8]) -> (u32, Vec<u8>) {
        let mut after = vec![0; packet.len() + 64];
        let options = TestRunOptions {
            data_in: Some(packet),
            data_out: Some(&mut after),
            ..TestRunOptions::new()
        };
        let result = match self.object.program_mut(name).unwrap() {
            Program::Xdp(program) => program.test_run(options),
            Program::SchedClassifier(program) => program.test_run(options),
            _ => panic!("{name} is of another kind"),
        };
        let result = result.unwrap();
        after.truncate(usize::try_from(result.data_size_out).unwrap());
        (result.return_value, after)
    }

    /// Runs the code of an XDP program on a packet, again and again. It is made with the map in which the program of this
    /// name is the first.
    pub(crate) fn repeat(
        &mut self,
        name: &str,
        packet: &[u8],
        times: u32,
        code: impl FnOnce(u32) -> Vec<u64>,
    ) {
        const MAP_CREATE: i64 = 0;
        const MAP_UPDATE_ELEM: i64 = 2;
        const PROG_LOAD: i64 = 5;
        const PROG_TEST_RUN: i64 = 10;
        const XDP_HAS_FRAGS: u64 = 1 << 5;
        const ATTACHED_TO_XDP: u64 = 37;
        let program = self.object.program(name).unwrap().fd().unwrap().as_fd().as_raw_fd();
        // A program array with a place for one.
        let map = bpf(MAP_CREATE, &mut [3 | 4 << 32, 4 | 1 << 32, 0]);
        let (key, value) = (0u32, program);
        let addresses = [&raw const key as u64, &raw const value as u64];
        bpf(MAP_UPDATE_ELEM, &mut [u64::from(map), addresses[0], addresses[1], 0]);
        let code = code(map);
        let mut load = [0_u64; 16];
        load[0] = 6 | (code.len() as u64) << 32;
        load[1] = code.as_ptr() as u64;
        load[2] = c"GPL".as_ptr() as u64;
        load[5] = XDP_HAS_FRAGS << 32;
        load[8] = ATTACHED_TO_XDP << 32;
        let repeated = bpf(PROG_LOAD, &mut load);
        let mut after = vec![0_u8; packet.len() + 64];
        let mut run = [
            u64::from(repeated),
            packet.len() as u64 | (after.len() as u64) << 32,
            packet.as_ptr() as u64,
            after.as_mut_ptr() as u64,
            u64::from(times),
            0,
            0,
            0,
            0,
        ];
        bpf(PROG_TEST_RUN, &mut run);
        println!("{} ns for each of {times} packets", run[4] >> 32);
        for descriptor in [map, repeated] {
            nix::unistd::close(descriptor.cast_signed()).unwrap();
        }
    }

    /// Gives a packet to a program and to the host; what became of it, and what it is then: the same
    /// in both, byte for byte.
    pub(crate) fn both(&mut self, name: &str, packet: &[u8]) -> (Outcome, Vec<u8>) {
        let (verdict, after) = self.run(name, packet);
        let side = if name == "reply" { Side::Egress } else { Side::Ingress };
        let mut expected = packet.to_vec();
        let outcome = self.host.run(&mut expected, side);
        let wanted = match (outcome, name) {
            (Outcome::Drop, "forward") => XDP_DROP,
            (Outcome::Pass, "forward") => XDP_PASS,
            (Outcome::Transmit | Outcome::Answer, "forward") => XDP_TX,
            (Outcome::Drop, _) => TC_SHOT,
            (Outcome::Pass, _) => TC_UNSPEC,
            (Outcome::Transmit | Outcome::Answer, _) => TC_REDIRECT,
        };
        assert_eq!(verdict, wanted, "{name}: {outcome:?} {packet:02x?}");
        if outcome == Outcome::Transmit && name != "forward" {
            // Ethernet addresses are written later, by the kernel.
            expected[..12].copy_from_slice(&packet[..12]);
        }
        if outcome != Outcome::Drop {
            assert_eq!(after, expected, "{name}: {packet:02x?}");
        }
        (outcome, after)
    }

    /// What the programs cost, by their names: instructions verified and bytes jitted.
    pub(crate) fn costs(&self) -> Vec<(&'static str, u32, u32)> {
        let cost = |name: &'static str| {
            let info = self.object.program(name).unwrap().info().unwrap();
            (name, info.verified_instruction_count().unwrap(), info.size_jitted())
        };
        PROGRAMS.map(cost).to_vec()
    }

    /// What is known of a backend of a VIP, and what became of connections, since it was last given to the VIP.
    pub(crate) fn known(&mut self, vip: Endpoint, backend: Endpoint) -> (Counters, Handshakes) {
        let Counted { counter, home } = self.counted[&Pair { vip, backend }];
        let known = self.array("counters").get(&home, 0).unwrap();
        (known, self.array("handshakes").get(&counter, 0).unwrap())
    }

    /// How often the programs have counted something.
    pub(crate) fn counted(&mut self, event: Event) -> u64 {
        let map: PerCpuArray<_, Forwarded> =
            self.object.map("forwarded").unwrap().try_into().unwrap();
        let values = map.get(&0, 0).unwrap();
        values.iter().map(|value| value.count(event)).sum()
    }
}
