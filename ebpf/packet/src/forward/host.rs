//! The forwarded path in user space: the same decisions as in the kernel, on maps that are vectors.

extern crate std;

use core::cell::{Cell, RefCell};
use std::{collections::HashMap, vec, vec::Vec};

use super::{
    Complaint, Event, Forwarding, Known, Memory, Packet as _, Parsed, Rejection, Relay, Segment,
    Side, Step, Tuple, Verdict, World, follow, onward, open, parse, parse_segment, parse_segment6,
    pay, refuse, reject, relay, rewrite, rewrite_error,
};
use crate::{
    Address, Choice, Endpoint, Load, Pair, Policy, Pool, Settled, Target, UNCOUNTED, Vip, maglev,
    rescue, settle,
};

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes to the kernel, as it was or changed.
    Pass,
    /// It is dropped.
    Drop,
    /// It is sent out again.
    Transmit,
    /// It has become the answer to it, which is sent back.
    Answer,
}

/// Who is next on the way of a packet to an address: its Ethernet address, and that of this machine's interface.
pub type Neighbours = fn(Address) -> Option<([u8; 6], [u8; 6])>;

/// One machine.
pub struct Host {
    /// As the map `forwarding` has it.
    pub rules: Forwarding,
    /// The time, in units of 2^30 ns.
    pub now: u32,
    /// As the map `addresses` has it.
    pub addresses: HashMap<[u8; 16], Known>,
    /// Who is next on the way.
    pub neighbours: Neighbours,
    /// Bytes from the IP header on that fit on all ways.
    pub mtu: u16,
    vips: HashMap<Endpoint, Served>,
    pub(super) tracked: Vec<[Cell<u64>; 8]>,
    pub(super) index: Vec<[Cell<u64>; 8]>,
    counts: RefCell<HashMap<usize, u64>>,
    opened: Cell<(u32, u32)>,
    paid_ns: Cell<u64>,
}

/// A VIP's backends, none of which is down, and its Maglev table: none for one backend.
struct Served {
    backends: Vec<Endpoint>,
    /// How many are of the VIP's family.
    native: usize,
    table: Vec<u16>,
}

/// What a flow's backend is chosen among.
struct Choices<'a>(&'a [Endpoint]);

/// A line of one of the two tables.
#[derive(Clone, Copy, Debug)]
pub enum Line {
    /// Of the index.
    Bucket(usize),
    /// Of the flows.
    Flow(usize),
}

impl Host {
    /// A machine without VIPs.
    pub fn new(rules: Forwarding) -> Self {
        let lines = |count: u32| vec![[const { Cell::new(0) }; 8]; count as usize];
        Self {
            tracked: lines(rules.tracked),
            index: lines(rules.buckets),
            rules,
            now: 1_000_000,
            vips: HashMap::new(),
            addresses: HashMap::new(),
            neighbours: |_| Some(([2; 6], [4; 6])),
            mtu: u16::MAX,
            counts: RefCell::default(),
            opened: Cell::new((0, 0)),
            paid_ns: Cell::new(0),
        }
    }

    /// How often something was counted.
    pub fn counted(&self, event: Event) -> u64 {
        self.counts.borrow().get(&event.index()).copied().unwrap_or(0)
    }

    /// Gives a VIP these backends, those of its own family first, and makes its address known.
    pub fn serve(&mut self, vip: Endpoint, backends: &[Endpoint]) {
        let weighted: Vec<_> = backends.iter().map(|&backend| (backend, 1)).collect();
        let table = if backends.len() > 1 { maglev::build(&weighted) } else { Vec::new() };
        let native = backends.iter().take_while(|backend| is_v4(backend) == is_v4(&vip)).count();
        self.vips.insert(vip, Served { backends: backends.to_vec(), native, table });
        self.addresses.entry(Address::of(&vip).bytes()).or_default().vip = 1;
    }

    /// Makes an address one of this machine's.
    pub fn own(&mut self, address: Address) {
        self.addresses.entry(address.bytes()).or_default().local = 1;
    }

    /// Does with a packet what the programs do: `forward` where it arrives, `reply` where it leaves.
    pub fn run(&self, packet: &mut Vec<u8>, side: Side) -> Outcome {
        let bytes = packet.as_slice();
        if let Some(segment) = parse_segment(bytes).or_else(|| parse_segment6(bytes)) {
            return self.segment(packet, &segment, side);
        }
        match parse(packet.as_slice()) {
            Parsed::Segment(segment) => self.segment(packet, &segment, side),
            Parsed::Complaint(complaint) => self.complaint(packet, &complaint, side),
            parsed if side == Side::Ingress && refuse(self, &parsed) == Verdict::Drop => {
                Outcome::Drop
            }
            _ => Outcome::Pass,
        }
    }

    fn segment(&self, packet: &mut Vec<u8>, segment: &Segment, side: Side) -> Outcome {
        let hops = segment.ip.hops;
        let verdict = match follow(self, segment, side) {
            Step::Done(verdict) => verdict,
            Step::Open(over) => open(self, &segment.tuple, segment.flags, hops, over),
            Step::Onward(way, state) => onward(self, way, state, hops),
        };
        match verdict {
            Verdict::Deliver(to) => written(rewrite(packet.as_mut_slice(), segment, &to, false)),
            Verdict::Reject(why) => self.reject(packet, segment, why),
            Verdict::Forward(to, event) => {
                let Some(way) = (self.neighbours)(to.destination) else { return Outcome::Pass };
                if segment.ip.end - segment.ip.at > u32::from(self.mtu) {
                    self.count(Event::TooBig);
                    return self.too_big(packet, segment, &to, event);
                }
                let outcome = written(rewrite(packet.as_mut_slice(), segment, &to, true));
                self.count(event);
                send(packet, way, outcome)
            }
            Verdict::Drop => Outcome::Drop,
            Verdict::Pass => Outcome::Pass,
        }
    }

    fn reject(&self, packet: &mut Vec<u8>, segment: &Segment, why: Rejection) -> Outcome {
        reject(self, packet, segment, why).map_or(Outcome::Drop, |()| Outcome::Answer)
    }

    /// The kernel can fragment what is not from this machine's own address.
    fn too_big(
        &self,
        packet: &mut Vec<u8>,
        segment: &Segment,
        to: &Tuple,
        event: Event,
    ) -> Outcome {
        if segment.ip.whole {
            return self.reject(packet, segment, Rejection::TooBig(self.mtu));
        }
        if event != Event::RemoteReply {
            return Outcome::Drop;
        }
        self.count(event);
        written(rewrite(packet.as_mut_slice(), segment, to, false))
    }

    fn complaint(&self, packet: &mut [u8], complaint: &Complaint, side: Side) -> Outcome {
        let Relay::To { source, destination, about, onward } = relay(self, complaint, side) else {
            return Outcome::Pass;
        };
        let way = (self.neighbours)(destination);
        if onward && way.is_none() {
            return Outcome::Pass;
        }
        let outcome =
            written(rewrite_error(packet, complaint, source, destination, &about, onward));
        match way {
            Some(way) if onward => send(packet, way, outcome),
            _ => outcome,
        }
    }

    fn line(&self, line: Line) -> Option<&[Cell<u64>; 8]> {
        match line {
            Line::Bucket(index) => self.index.get(index),
            Line::Flow(index) => self.tracked.get(index),
        }
    }

    fn word(&self, line: Line, word: usize) -> Option<&Cell<u64>> {
        self.line(line)?.get(word)
    }
}

fn is_v4(end: &Endpoint) -> bool {
    Address::of(end).is_v4()
}

fn written(result: Option<()>) -> Outcome {
    if result.is_some() { Outcome::Pass } else { Outcome::Drop }
}

fn send(packet: &mut [u8], way: ([u8; 6], [u8; 6]), outcome: Outcome) -> Outcome {
    if outcome == Outcome::Drop || packet.load64(4).is_none() {
        return Outcome::Drop;
    }
    let (destination, source) = way;
    for (to, from) in packet.iter_mut().zip(destination.iter().chain(&source)) {
        *to = *from;
    }
    Outcome::Transmit
}

impl<'a> Pool<'a> for Choices<'a> {
    fn random(&self) -> u32 {
        // Nothing is drawn: flows say where they go.
        0
    }

    fn slot(&self, choice: Choice) -> Option<Target<'a>> {
        let backend = self.0.get(choice.index as usize)?;
        Some(Target { backend, counter: UNCOUNTED })
    }

    fn load(&self, _: &Target<'_>) -> Load {
        Load::UNKNOWN
    }

    fn claim(&self, _: &Target<'_>, _: &Load) -> bool {
        false
    }
}

impl Memory for Host {
    type Line = Line;

    fn bucket(&self, index: u32) -> Option<Line> {
        let line = Line::Bucket(index as usize);
        self.line(line).map(|_| line)
    }

    fn flow(&self, index: u32) -> Option<Line> {
        let line = Line::Flow(index as usize);
        self.line(line).map(|_| line)
    }

    fn load(&self, line: Line, word: usize) -> u64 {
        self.word(line, word).map_or(0, Cell::get)
    }

    fn store(&self, line: Line, word: usize, value: u64) {
        if let Some(cell) = self.word(line, word) {
            cell.set(value);
        }
    }

    fn replace(&self, line: Line, word: usize, from: u64, to: u64) -> bool {
        self.word(line, word).is_some_and(|cell| {
            let is_same = cell.get() == from;
            if is_same {
                cell.set(to);
            }
            is_same
        })
    }
}

impl World for Host {
    fn rules(&self) -> Option<&Forwarding> {
        Some(&self.rules)
    }

    fn now(&self) -> u32 {
        self.now
    }

    fn may_be_vip(&self, _: &Endpoint) -> bool {
        true
    }

    fn vip(&self, vip: &Endpoint) -> Option<Vip> {
        let Served { backends, native, table } = self.vips.get(vip)?;
        let count = |number: usize| u32::try_from(number).ok();
        let entry = Vip::new(1, count(backends.len())?, 0, Policy::Random);
        Some(entry.with_slots(count(table.len())?).with_native(count(*native)?))
    }

    fn known(&self, address: Address) -> Known {
        self.addresses.get(&address.bytes()).copied().unwrap_or_default()
    }

    fn backend(&self, vip: &Endpoint, entry: &Vip, hash: u64) -> Option<Endpoint> {
        let served = self.vips.get(vip)?;
        let pool = Choices(&served.backends);
        let named = |slot: u32| served.table.get(slot as usize).map(|&index| u32::from(index));
        let entry = entry.forwarded();
        let index = match settle(&pool, &entry, hash, named)? {
            Settled::Up(index) => index,
            Settled::Down(index) => rescue(&pool, index, entry.backends),
        };
        served.backends.get(index as usize).copied()
    }

    fn serves(&self, pair: &Pair) -> bool {
        self.vips.get(&pair.vip).is_some_and(|served| served.backends.contains(&pair.backend))
    }

    fn may_open(&self, most: u32, now: u32) -> bool {
        let (unit, count) = self.opened.get();
        let count = if unit == now { count + 1 } else { 1 };
        self.opened.set((now, count));
        most == 0 || count <= most
    }

    fn may_tell(&self, rules: &Forwarding) -> bool {
        let now_ns = u64::from(self.now) << 30;
        let (interval, burst) = (rules.error_interval_ns, rules.error_burst);
        let paid = pay(self.paid_ns.get(), now_ns, interval, burst);
        self.paid_ns.set(paid.unwrap_or(self.paid_ns.get()));
        paid.is_some()
    }

    fn count(&self, event: Event) {
        *self.counts.borrow_mut().entry(event.index()).or_default() += 1;
    }
}
