//! What is to be done with a packet.

use core::hint::black_box;

use super::{
    ACK, Answer, Entered, Event, FIN, Forwarding, Found, Known, Memory, Phase, RST, Rejection, SYN,
    Segment, State, Tuple, table,
    table::{direction, ports},
};
use crate::{Address, Endpoint, Pair, TCP, UDP, Vip, choose};

/// Ports of this machine that are tried for a flow.
const PORTS: u64 = 4;

/// What a decision is made from, and what it changes: the maps in the kernel, and anything in a test.
pub trait World: Memory + Sized {
    /// How to forward. `None` if that is not known.
    fn rules(&self) -> Option<&Forwarding>;

    /// The time: see [`unit`](super::unit).
    fn now(&self) -> u32;

    /// False if the endpoint is certainly no VIP.
    fn may_be_vip(&self, end: &Endpoint) -> bool;

    /// The VIP's entry.
    fn vip(&self, vip: &Endpoint) -> Option<Vip>;

    /// What is known of an address.
    fn known(&self, address: Address) -> Known;

    /// The backend that a VIP's flows of this hash value begin with, of those that packets are
    /// [forwarded](Vip::forwarded) to.
    fn backend(&self, vip: &Endpoint, entry: &Vip, hash: u64) -> Option<Endpoint>;

    /// True if the VIP has the backend, whether or not it gets new flows.
    fn serves(&self, pair: &Pair) -> bool;

    /// True if another flow may begin on this processor, where `most` may in a unit of time; 0 is no limit.
    fn may_open(&self, most: u32, now: u32) -> bool;

    /// True if another ICMP error may be sent by this processor: see [`pay`](super::pay).
    fn may_tell(&self, rules: &Forwarding) -> bool;

    /// Counts a packet.
    fn count(&self, event: Event);

    /// Notes that a flow of this protocol begins, to the backend that was asked for last.
    fn began(&self, protocol: u8) {
        let _ = protocol;
    }

    /// Counts the first answer of the TCP connection in a place, to its backend: once for each.
    fn answered(&self, place: u32, answer: Answer) {
        let _ = (place, answer);
    }

    /// [`proceed`]: what few packets of a flow need, and all others are not to be slowed down by.
    fn proceed(&self, direction: u32, state: State, flags: u8, now: u32) -> bool {
        proceed(self, direction, state, flags, now)
    }

    /// [`claim`](table::claim). This and the next two are steps of [`open`] which go over several places: where a verifier
    /// looks at them, each is to be a function by itself.
    fn claim(&self, rules: &Forwarding, hash: u64, now: u32) -> Option<(u32, State)> {
        table::claim(self, rules, hash, now)
    }

    /// [`enter`](table::enter).
    fn enter(&self, rules: &Forwarding, wanted: &Tuple, direction: u32, now: u32) -> Entered {
        table::enter(self, rules, wanted, direction, now)
    }

    /// [`leave`](table::leave).
    fn leave(&self, rules: &Forwarding, direction: u32) {
        table::leave(self, rules, direction);
    }
}

/// Where a packet is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It arrives.
    Ingress,
    /// It leaves.
    Egress,
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the kernel goes on with it as it is.
    Pass,
    /// It goes no further.
    Drop,
    /// The kernel goes on with it, as a packet of this tuple.
    Deliver(Tuple),
    /// It goes out again as a packet of this tuple, and counts as that event.
    Forward(Tuple, Event),
    /// Who sent it is told why it does not: see [`reject`](super::reject()).
    Reject(Rejection),
}

/// What [`follow`] came to.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// All is decided.
    Done(Verdict),
    /// If the packet is to a VIP, a flow begins: see [`open`]. With the place of the one that is over, plus 1; 0 if
    /// there is none.
    Open(u32),
    /// It is of a flow to another machine: see [`onward`]. With twice the flow's place, plus 1 for an answer, and the
    /// state that it was in.
    Onward(u32, State),
}

/// Follows a flow. One to a backend here is followed to its end, as that is what has to be quick.
#[inline(always)]
pub fn follow<W: World>(world: &W, segment: &Segment, side: Side) -> Step {
    let pass = || Step::Done(Verdict::Pass);
    let Some(rules) = world.rules() else { return pass() };
    let tuple = &segment.tuple;
    let is_near = side == Side::Ingress && world.may_be_vip(&tuple.vip());
    let may_answer = || {
        side == Side::Egress
            || tuple.destination_port >= rules.first_port
                && tuple.destination_port <= rules.last_port
    };
    if rules.tracked == 0 || !is_near && !may_answer() {
        return pass();
    }
    let hash = tuple.hash(rules.seed);
    let Some(found) = table::find(world, rules, tuple, hash) else {
        return if is_near { Step::Open(0) } else { pass() };
    };
    let [.., nat_port] = ports(world, found.line);
    let is_local = nat_port == 0;
    // Answers of backends here are met when they leave, all else when it arrives.
    if (side == Side::Egress) != (found.answers && is_local) {
        return pass();
    }
    let now = world.now();
    let (flags, way) = (segment.flags, direction(found.place, found.answers));
    if !is_settled(&found, flags, now) && !world.proceed(way, found.state, flags, now) {
        return Step::Open(found.place + 1);
    }
    if !is_local {
        return Step::Onward(way, found.state);
    }
    // Which the compiler knows.
    let found = Found { answers: side == Side::Egress, ..found };
    let Some(to) = table::met(world, &found, tuple) else { return pass() };
    world.count(if found.answers { Event::LocalReply } else { Event::Local });
    Step::Done(Verdict::Deliver(to))
}

/// What is to be done with a packet of a flow to another machine.
#[inline(always)]
pub fn onward<W: World>(world: &W, way: u32, state: State, hops: u8) -> Verdict {
    let (place, answers) = (way >> 1, way & 1 != 0);
    let (Some(rules), Some(line)) = (world.rules(), world.flow(place)) else {
        return Verdict::Pass;
    };
    let found = Found { line, place, answers, state };
    let Some(translated) = table::translated(world, rules, &found) else { return Verdict::Pass };
    if hops <= 1 {
        world.count(Event::Hops);
        return Verdict::Reject(Rejection::Expired);
    }
    Verdict::Forward(translated, if answers { Event::RemoteReply } else { Event::Remote })
}

/// True if the packet is like most of its flow: it neither begins nor ends anything, nor is it the first for a while.
#[inline(always)]
const fn is_settled<L: Copy>(found: &Found<L>, flags: u8, now: u32) -> bool {
    let phase = if found.answers { Phase::Answered } else { Phase::Confirmed };
    found.state.seen == now && found.state.is(phase) && flags & (SYN | FIN | RST) == 0
}

/// Moves a flow on by a packet with these flags. `direction` is twice the flow's place, plus 1 for an answer; it was in this
/// state when it was found. False if the packet is not one of the flow, but begins another.
#[inline(always)]
pub fn proceed<W: World>(world: &W, direction: u32, state: State, flags: u8, now: u32) -> bool {
    let (place, answers) = (direction >> 1, direction & 1 != 0);
    let Some(line) = world.flow(place) else { return true };
    if !answers && is_over(world, line, state, flags, now) {
        return false;
    }
    let next = State { seen: now, ..after(state, flags, answers) };
    // If another processor was faster, the flow's next packet does it.
    let is_next = table::advance(world, line, state, next);
    if answers
        && !state.is(Phase::Answered)
        && is_next
        && state.protocol == TCP
        && let Some(answer) = Answer::of(flags)
    {
        world.answered(place, answer);
    }
    true
}

/// True if the packet is not one of the flow that was found, but begins another.
#[inline(always)]
fn is_over<W: World>(world: &W, line: W::Line, state: State, flags: u8, now: u32) -> bool {
    if state.protocol == TCP {
        return flags & (SYN | ACK) == SYN && state.is_closed();
    }
    // Nobody says that a flow of UDP ends: it is looked after once in a while.
    state.seen != now && !world.serves(&table::pair(world, line))
}

/// The flow's state after a packet.
#[inline(always)]
const fn after(state: State, flags: u8, answers: bool) -> State {
    let mut next = state;
    if answers {
        next = next.with(Phase::Answered);
    } else if state.is(Phase::Answered) && flags & SYN == 0 {
        next = next.with(Phase::Confirmed);
    }
    if flags & FIN != 0 {
        next = next.with(if answers { Phase::BackendDone } else { Phase::ClientDone });
    }
    if flags & RST != 0 {
        next = next.with(Phase::Reset);
    }
    next
}

/// Begins a flow, if the packet is to a VIP, in place of the one that is over.
///
/// Where too many have begun just then, nothing is remembered of the packet. A datagram to a backend here goes
/// to the one that a flow would have had, as with Katran, and so do those after it. All else needs a flow to
/// be answered: a connection, because nobody else knows that the answer is the VIP's; what goes to another machine, a port of
/// this one's. That is dropped, and the client sends it again.
#[inline(always)]
pub fn open<W: World>(world: &W, tuple: &Tuple, flags: u8, hops: u8, over: u32) -> Verdict {
    let Some(rules) = world.rules() else { return Verdict::Pass };
    let vip = tuple.vip();
    let Some(entry) = world.vip(&vip) else { return Verdict::Pass };
    let refuse = |event| {
        world.count(event);
        Verdict::Drop
    };
    if over != 0 {
        retire(world, rules, over - 1);
    }
    // What ends a connection begins none.
    if flags & RST != 0 || flags & FIN != 0 && entry.native > 0 {
        return Verdict::Pass;
    }
    let nobody = || {
        world.count(Event::NoBackend);
        Verdict::Reject(Rejection::Refused)
    };
    let target = if entry.native == 0 { None } else { world.backend(&vip, &entry, tuple.spread()) };
    let Some(target) = target else { return nobody() };
    let backend = Address::of(&target);
    let is_local = world.known(backend).local != 0;
    let source = if is_local { Some(tuple.source) } else { rules.source(backend) };
    let Some(source) = source else { return nobody() };
    if backend.is_v4() != tuple.destination.is_v4() {
        return nobody();
    }
    if !is_local && hops <= 1 {
        world.count(Event::Hops);
        return Verdict::Reject(Rejection::Expired);
    }
    let mut to = Tuple {
        source,
        destination: backend,
        source_port: tuple.source_port,
        destination_port: target.port,
        protocol: tuple.protocol,
    };
    let now = world.now();
    if !world.may_open(rules.most_new, now) {
        if is_local && tuple.protocol == UDP {
            world.count(Event::Flood);
            world.count(Event::Local);
            return Verdict::Deliver(to);
        }
        return refuse(Event::Flood);
    }
    let hash = tuple.hash(rules.seed);
    let Some((place, former)) = world.claim(rules, hash, now) else { return refuse(Event::Full) };
    let Some(line) = world.flow(place) else { return refuse(Event::Full) };
    if former.is(Phase::Open) {
        world.leave(rules, direction(place, false));
        world.leave(rules, direction(place, true));
        if !former.is(Phase::Confirmed) && !former.is_closed() {
            world.count(Event::Displaced);
        }
    }
    let entered = enter_answers(world, rules, &mut to, place, is_local, hash);
    let free = State { phase: 0, generation: former.generation.wrapping_add(1), ..former };
    if entered != Entered::Done {
        table::publish(world, line, free);
        return refuse(if entered == Entered::Taken { Event::Ports } else { Event::Full });
    }
    table::fill(world, line, tuple, &to, if is_local { 0 } else { to.source_port });
    let state = State { seen: now, protocol: tuple.protocol, phase: Phase::Open as u8, ..free };
    table::publish(world, line, state);
    if world.enter(rules, tuple, direction(place, false), now) != Entered::Done {
        world.leave(rules, direction(place, true));
        table::publish(world, line, free);
        return refuse(Event::Full);
    }
    world.count(Event::Opened);
    world.began(tuple.protocol);
    if is_local {
        world.count(Event::Local);
        Verdict::Deliver(to)
    } else {
        Verdict::Forward(to, Event::Remote)
    }
}

/// Enters the direction of answers, with a port of this machine's that nobody else has towards the backend.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the upper half is meant; ports are 16 bits")]
fn enter_answers<W: World>(
    world: &W,
    rules: &Forwarding,
    to: &mut Tuple,
    place: u32,
    is_local: bool,
    hash: u64,
) -> Entered {
    let now = world.now();
    let count = u32::from(rules.last_port).wrapping_sub(u32::from(rules.first_port)) + 1;
    let mut drawn = (hash >> 32) as u32;
    let mut entered = Entered::Taken;
    for _ in 0..black_box(PORTS) {
        if !is_local {
            to.source_port = rules.first_port.wrapping_add(choose(drawn, count).index as u16);
        }
        entered = world.enter(rules, &to.reversed(), direction(place, true), now);
        if entered != Entered::Taken || is_local {
            break;
        }
        drawn = drawn.wrapping_add(0x9e37_79b9);
    }
    entered
}

/// Forgets the flow in a place, which is over.
#[inline(always)]
fn retire<W: World>(world: &W, rules: &Forwarding, place: u32) {
    let Some((line, state)) = table::own(world, place) else { return };
    world.leave(rules, direction(place, false));
    world.leave(rules, direction(place, true));
    let generation = state.generation.wrapping_add(1);
    table::publish(world, line, State { phase: 0, generation, ..state });
}
