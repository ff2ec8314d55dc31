//! What is to be done with a packet, worked out in steps.
//!
//! The verifier allows 512 bytes of stack for functions that call each other, so the steps call one after
//! the other, and what one finds out for the next is in a map of each processor's own: no other program that uses it
//! runs there meanwhile, as all of them run with softirqs disabled. It also makes the verifier's work little, for what comes from
//! a map it need not tell apart.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use muster_packet::{
    Address, Complaint, Endpoint, Event, Interest, Packet, Parsed, Rejection, Relay, Segment, Side,
    State, Step, Target, Tuple, UDP, UNCOUNTED, Verdict, World as _, follow, interest, onward,
    open, parse_segment, parse4, refuse, relay, rewrite,
};

use crate::{
    balance::kept,
    count,
    forward::{
        maps::{self, Maps},
        six::{FOLLOW, followed_six},
    },
};

/// The packet goes its way as it is.
pub const PASS: u32 = 0;
/// It is dropped.
pub const DROP: u32 = 1;
/// It becomes one of [`Plan::to`], and the kernel goes on with it.
pub const DELIVER: u32 = 2;
/// The same, and it goes out again.
pub const FORWARD: u32 = 3;
/// See [`begin`].
pub const OPEN: u32 = 4;
/// See [`look_closely`].
pub const ODD: u32 = 5;
/// It is an ICMP error, and becomes one of [`Plan::source`] to [`Plan::destination`] about [`Plan::to`]; the kernel goes on
/// with it.
pub const TELL: u32 = 6;
/// The same, and it goes out again.
pub const TELL_ON: u32 = 7;
/// It has an IPv6 header: see [`six`](crate::forward::six).
pub const SIX: u32 = 8;
/// See [`go_on`].
pub const ONWARD: u32 = 10;

/// What functions that are not inlined are told of a [`Side`]: the packet arrives.
pub const INGRESS: u32 = 0;
/// It leaves.
pub const EGRESS: u32 = 1;

/// Who sent it is to be told why it does not go on. None of these is what a program returns.
pub const REFUSED: u32 = 0x100;
/// See [`Rejection`].
pub const EXPIRED: u32 = 0x101;
/// With [`Plan::mtu`].
pub const TOO_BIG: u32 = 0x102;
/// It becomes one of [`Plan::to`], and the kernel fragments it.
pub const SPLIT: u32 = 0x103;

/// A plan in words: the map's value.
const WORDS: usize = 56;

#[btf_map(name = "plans")]
static PLANS: PerCpuArray<[u64; WORDS], 1> = PerCpuArray::new();

/// What one step leaves to the next.
pub struct Plan {
    /// The packet.
    pub segment: Segment,
    /// What it is to be.
    pub to: Tuple,
    /// True if it is an answer of a backend on another machine.
    pub is_answer: bool,
    /// See [`Step::Open`] and [`Step::Onward`].
    flow: u32,
    /// See [`pick`].
    backend: Endpoint,
    /// Where it is counted in the VIP.
    counter: u32,
    /// What is to be entered into the index.
    pub wanted: Tuple,
    /// Bits of the state of what was in the place that was claimed, or of the flow that goes [`ONWARD`].
    pub former: u64,
    /// What would fit.
    pub mtu: u16,
    /// The ICMP error.
    pub complaint: Complaint,
    /// Its source to be.
    pub source: Address,
    /// Its destination to be.
    pub destination: Address,
}

const _: () = assert!(size_of::<Plan>() <= WORDS * 8 && align_of::<Plan>() <= 8);

/// This processor's plan.
#[inline(always)]
pub fn plan() -> Option<&'static mut Plan> {
    let plan = PLANS.get_ptr_mut(0)?.cast::<Plan>();
    // SAFETY: a live map value of this processor's own, large enough, and nobody else uses it while the
    // program runs. A step only reads what the one before it has written.
    Some(unsafe { &mut *plan })
}

/// The first steps of all programs.
pub trait Look: Copy {
    /// [`INGRESS`] or [`EGRESS`].
    const SIDE: u32;

    /// See [`look`].
    fn looked(self) -> u32;
    /// See [`look_closely`].
    fn looked_closely(self) -> u32;
    /// See [`look_six`](crate::forward::six::look_six).
    fn looked_six(self) -> u32;
    /// See [`look_closely_six`](crate::forward::six::look_closely_six).
    fn looked_closely_six(self) -> u32;

    /// What is to be done with the packet.
    #[inline(always)]
    fn step(self) -> u32 {
        let mut step = self.looked();
        if step == SIX {
            step = self.looked_six();
            if step == ODD {
                step = self.looked_closely_six();
            }
            if step == FOLLOW {
                step = followed_six(Self::SIDE);
            }
        } else if step == ODD {
            step = self.looked_closely();
        }
        if step == TELL {
            told(Self::SIDE)
        } else if step == OPEN && Self::SIDE == INGRESS {
            pick();
            begin()
        } else if step == ONWARD && Self::SIDE == INGRESS {
            go_on()
        } else {
            step
        }
    }
}

/// The side of which this is the number.
#[inline(always)]
pub const fn side_of(number: u32) -> Side {
    if number == EGRESS { Side::Egress } else { Side::Ingress }
}

/// Looks at a packet. One of a flow that the kernel goes on with is rewritten at once, and is then to be passed: calls
/// are dear where returns are made safe from speculation.
#[inline(always)]
pub fn look(packet: &mut impl Packet, side: Side) -> u32 {
    let Some(segment) = parse_segment(packet) else {
        return match interest(packet) {
            Interest::None => PASS,
            Interest::V4 => ODD,
            Interest::V6 => SIX,
        };
    };
    let step = follow(&Maps, &segment, side);
    if let Step::Done(verdict) = step {
        match verdict {
            Verdict::Pass => return PASS,
            Verdict::Drop => return DROP,
            Verdict::Deliver(to) => return cut_off(rewrite(packet, &segment, &to, false), PASS),
            Verdict::Forward(..) | Verdict::Reject(_) => {}
        }
    }
    let Some(plan) = plan() else { return PASS };
    plan.segment = segment;
    plan.note(step)
}

/// Picks the backend that a flow is to begin with, if the packet is to a VIP.
#[cold]
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn pick() -> u32 {
    let Some(plan) = plan() else { return PASS };
    let tuple = &plan.segment.tuple;
    let vip = tuple.vip();
    let backend = match Maps.vip(&vip) {
        Some(entry) if entry.native > 0 => kept(&vip, &entry.forwarded(), tuple.spread()),
        _ => None,
    };
    plan.counter = backend.as_ref().map_or(UNCOUNTED, |target| target.counter);
    // Backends have ports.
    plan.backend = backend.map_or(Endpoint::from_words([0; 3]), |target| *target.backend);
    OPEN
}

/// What was picked.
#[inline(always)]
pub fn picked() -> Option<Endpoint> {
    let backend = plan()?.backend;
    if backend.port == 0 { None } else { Some(backend) }
}

/// Begins a flow with the backend that was picked.
#[cold]
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn begin() -> u32 {
    let Some(plan) = plan() else { return PASS };
    let (flags, hops) = (plan.segment.flags, plan.segment.ip.hops);
    let verdict = open(&Maps, &plan.segment.tuple, flags, hops, plan.flow);
    plan.note(Step::Done(verdict))
}

/// Counts a flow of this protocol at the backend that was picked. A connection counts when it is answered.
#[inline(always)]
pub fn began(protocol: u8) {
    if protocol == UDP
        && let Some(plan) = plan()
    {
        let target = Target { backend: &plan.backend, counter: plan.counter };
        count::count(&plan.segment.tuple.vip(), &target, count::Event::Flow);
    }
}

/// Finds out how a packet of a flow to another machine goes on.
#[cold]
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn go_on() -> u32 {
    let Some(plan) = plan() else { return PASS };
    let verdict = onward(&Maps, plan.flow, State::from_bits(plan.former), plan.segment.ip.hops);
    plan.note(Step::Done(verdict))
}

/// The step that gives this answer.
#[inline(always)]
const fn step_to(why: Rejection) -> u32 {
    match why {
        Rejection::Refused => REFUSED,
        Rejection::Expired => EXPIRED,
        Rejection::TooBig(_) => TOO_BIG,
    }
}

/// Looks at what is no whole segment: ICMP errors, fragments, and what is malformed.
#[inline(always)]
pub fn look_closely(packet: &impl Packet, side: u32) -> u32 {
    complain(&parse4(packet), side)
}

/// Notes an ICMP error. Drops what else is to be dropped.
#[inline(always)]
pub fn complain(parsed: &Parsed, side: u32) -> u32 {
    let Some(plan) = plan() else { return PASS };
    let Parsed::Complaint(complaint) = parsed else {
        let is_dropped = side == INGRESS && refuse(&Maps, parsed) == Verdict::Drop;
        return if is_dropped { DROP } else { PASS };
    };
    plan.complaint = *complaint;
    TELL
}

/// Finds out whom an ICMP error is to be told.
#[cold]
#[inline(never)]
fn told(side: u32) -> u32 {
    let Some(plan) = plan() else { return PASS };
    match relay(&Maps, &plan.complaint, side_of(side)) {
        Relay::Pass => PASS,
        Relay::To { source, destination, about, onward } => {
            plan.to = about;
            plan.source = source;
            plan.destination = destination;
            if onward { TELL_ON } else { TELL }
        }
    }
}

/// It cannot be: what was read could not be written.
#[inline(always)]
pub fn cut_off(written: Option<()>, then: u32) -> u32 {
    if written.is_some() {
        return then;
    }
    maps::count(Event::Malformed);
    DROP
}

impl Plan {
    /// Notes what is to be done with the packet.
    #[inline(always)]
    pub fn note(&mut self, step: Step) -> u32 {
        match step {
            Step::Done(Verdict::Pass) => PASS,
            Step::Done(Verdict::Drop) => DROP,
            Step::Done(Verdict::Deliver(to)) => {
                self.to = to;
                DELIVER
            }
            Step::Done(Verdict::Forward(to, event)) => {
                self.to = to;
                self.is_answer = event == Event::RemoteReply;
                FORWARD
            }
            Step::Done(Verdict::Reject(why)) => step_to(why),
            Step::Open(over) => {
                self.flow = over;
                OPEN
            }
            Step::Onward(way, state) => {
                self.flow = way;
                self.former = state.bits();
                ONWARD
            }
        }
    }

    /// What the packet counts as when it is on its way.
    #[inline(always)]
    pub fn event(&self) -> Event {
        // The verifier has to see which counter it is.
        if self.is_answer { Event::RemoteReply } else { Event::Remote }
    }

    /// Who is next on the way of an ICMP error is asked with this.
    #[inline(always)]
    pub fn outer(&self) -> Tuple {
        Tuple {
            source: self.source,
            destination: self.destination,
            source_port: 0,
            destination_port: 0,
            protocol: self.complaint.ip.protocol,
        }
    }
}
