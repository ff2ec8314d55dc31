//! The flows that are remembered, and how they are found.
//!
//! A kernel's LRU hash map would take 64 bytes for each entry beside key and value, and a flow two
//! entries; and a flood of new flows would push out the old ones. So flows are in an array, and an index
//! of buckets, each as long as a cache line, says where: an entry for each direction of each flow.
//!
//! Several processors use it at once, without locks. A flow's last word is replaced whole. Who replaces
//! it by one that says "busy" owns the place, until it says what the place holds. A reader compares that word before and
//! after it has read the rest.

use core::hint::black_box;

use super::{Bucket, Forwarding, Phase, State, Tracked, Tuple, WAYS};
use crate::{Address, Pair};

/// Words of a [`Tracked`].
const CLIENT: usize = 0;
const VIP: usize = 2;
const BACKEND: usize = 4;
const PORTS: usize = 6;
const STATE: usize = 7;

/// How many places that follow each other are looked at, and at how many points of the table. The bounds of
/// loops have 64 bits: of shorter ones on the stack the verifier may not know any more what they are.
const PLACES: u64 = 16;
const POINTS: u64 = 2;

const _: () = assert!(size_of::<Tracked>() == 64 && size_of::<Bucket>() == 64);

/// The maps `tracked` and `track_index`: lines of eight words.
pub trait Memory {
    /// A line.
    type Line: Copy;

    /// A [`Bucket`].
    fn bucket(&self, index: u32) -> Option<Self::Line>;

    /// A [`Tracked`].
    fn flow(&self, index: u32) -> Option<Self::Line>;

    /// A word of a line, below 8.
    fn load(&self, line: Self::Line, word: usize) -> u64;

    /// Sets a word of a line whose owner one is.
    fn store(&self, line: Self::Line, word: usize, value: u64);

    /// The same number. What the verifier cannot know of numbers it need not tell apart: it would follow every way
    /// on which they came about by itself. `unknown` is one that it does not know.
    fn blur(&self, number: u32, unknown: u64) -> u32 {
        let _ = unknown;
        number
    }

    /// [`State::readiness`] of a state's bits. Where a verifier looks at it, it is to be a function by itself: it is asked
    /// of one place after the other, and has many ways through it.
    fn readiness(&self, state: u64, now: u32) -> u32 {
        State::from_bits(state).readiness(now)
    }

    /// Replaces a word, unless it is another by now. True if it was replaced.
    fn replace(&self, line: Self::Line, word: usize, from: u64, to: u64) -> bool;
}

/// A flow that was found.
#[derive(Clone, Copy, Debug)]
pub struct Found<L> {
    /// Where it is.
    pub line: L,
    /// Its place.
    pub place: u32,
    /// True if the packet is of the direction of answers.
    pub answers: bool,
    /// As it was.
    pub state: State,
}

/// What has become of an attempt to enter a flow into the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// It is in.
    Done,
    /// Another flow has the same addresses and ports.
    Taken,
    /// All places of the bucket are others', which do not give them up.
    Full,
}

/// The index's entry of a flow: the upper half of the hash, the place, the direction.
#[inline(always)]
const fn entry(hash: u64, place: u32, answers: bool) -> u64 {
    (hash & !LOW) | (((place + 1) << 1) | answers as u32) as u64
}

/// What an entry's lower half holds.
const LOW: u64 = 0xffff_ffff;

/// The place that an entry names.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn place(entry: u64) -> u32 {
    ((entry as u32) >> 1).wrapping_sub(1)
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn bucket<M: Memory>(memory: &M, rules: &Forwarding, hash: u64) -> Option<M::Line> {
    memory.bucket(hash as u32 & rules.buckets.wrapping_sub(1))
}

#[inline(always)]
fn address<M: Memory>(memory: &M, line: M::Line, word: usize) -> Address {
    Address { words: [memory.load(line, word), memory.load(line, word + 1)] }
}

#[inline(always)]
fn set_address<M: Memory>(memory: &M, line: M::Line, word: usize, address: Address) {
    memory.store(line, word, address.words[0]);
    memory.store(line, word + 1, address.words[1]);
}

/// Ports of a flow: client's, VIP's, backend's, this machine's.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "its parts are meant")]
pub(super) fn ports<M: Memory>(memory: &M, line: M::Line) -> [u16; 4] {
    let word = memory.load(line, PORTS);
    [word as u16, (word >> 16) as u16, (word >> 32) as u16, (word >> 48) as u16]
}

/// The VIP and the backend of a flow.
#[inline(always)]
pub(super) fn pair<M: Memory>(memory: &M, line: M::Line) -> Pair {
    let [_, vip_port, backend_port, _] = ports(memory, line);
    let protocol = State::from_bits(memory.load(line, STATE)).protocol;
    Pair {
        vip: address(memory, line, VIP).endpoint(vip_port, protocol),
        backend: address(memory, line, BACKEND).endpoint(backend_port, protocol),
    }
}

/// The tuple of a flow's packets as they arrive, from the client or from the backend. `None` if this machine
/// has no address for it any more.
#[inline(always)]
pub(super) fn tuple<M: Memory>(
    memory: &M,
    rules: &Forwarding,
    line: M::Line,
    answers: bool,
) -> Option<Tuple> {
    let [client_port, vip_port, backend_port, nat_port] = ports(memory, line);
    let protocol = State::from_bits(memory.load(line, STATE)).protocol;
    let client = address(memory, line, CLIENT);
    if !answers {
        return Some(Tuple {
            source: client,
            destination: address(memory, line, VIP),
            source_port: client_port,
            destination_port: vip_port,
            protocol,
        });
    }
    let source = address(memory, line, BACKEND);
    let (destination, destination_port) =
        if nat_port == 0 { (client, client_port) } else { (rules.source(source)?, nat_port) };
    Some(Tuple { source, destination, source_port: backend_port, destination_port, protocol })
}

/// The tuple of a flow's packets as they leave: the reverse of what arrives on the other side.
#[inline(always)]
pub(super) fn translated<M: Memory>(
    memory: &M,
    rules: &Forwarding,
    found: &Found<M::Line>,
) -> Option<Tuple> {
    let tuple = tuple(memory, rules, found.line, !found.answers)?.reversed();
    if is_same(memory, found) { Some(tuple) } else { None }
}

/// [`translated`] of a flow to a backend here: the other side does not change.
#[inline(always)]
pub(super) fn met<M: Memory>(memory: &M, found: &Found<M::Line>, tuple: &Tuple) -> Option<Tuple> {
    let [_, vip_port, backend_port, _] = ports(memory, found.line);
    let to = if found.answers {
        Tuple { source: address(memory, found.line, VIP), source_port: vip_port, ..*tuple }
    } else {
        let destination = address(memory, found.line, BACKEND);
        Tuple { destination, destination_port: backend_port, ..*tuple }
    };
    if is_same(memory, found) { Some(to) } else { None }
}

/// True if nobody has taken the flow's place since it was found.
#[inline(always)]
fn is_same<M: Memory>(memory: &M, found: &Found<M::Line>) -> bool {
    let state = State::from_bits(memory.load(found.line, STATE));
    state.generation == found.state.generation && !state.is(Phase::Busy)
}

/// The flow of a packet.
#[inline(always)]
pub(super) fn find<M: Memory>(
    memory: &M,
    rules: &Forwarding,
    wanted: &Tuple,
    hash: u64,
) -> Option<Found<M::Line>> {
    let line = bucket(memory, rules, hash)?;
    let mut found = 0;
    for way in 0..WAYS {
        let entry = memory.load(line, way);
        if (entry ^ hash) >> 32 == 0 && entry & LOW != 0 {
            found = entry;
            break;
        }
    }
    if found == 0 {
        return None;
    }
    let (place, answers) = (place(found), found & 1 != 0);
    let line = memory.flow(place)?;
    let state = State::from_bits(memory.load(line, STATE));
    let is_open = state.is(Phase::Open) && !state.is(Phase::Busy);
    let is_wanted = if answers {
        tuple(memory, rules, line, true)? == *wanted
    } else {
        asks(memory, line, wanted) && state.protocol == wanted.protocol
    };
    if is_open && is_wanted { Some(Found { line, place, answers, state }) } else { None }
}

/// True if a flow is from this client's address and port to this VIP's: what is asked most often.
#[inline(always)]
fn asks<M: Memory>(memory: &M, line: M::Line, wanted: &Tuple) -> bool {
    let [client_port, vip_port, ..] = ports(memory, line);
    wanted.source == address(memory, line, CLIENT)
        && wanted.destination == address(memory, line, VIP)
        && wanted.source_port == client_port
        && wanted.destination_port == vip_port
}

/// Takes a place for a new flow: its index, and what was there. It is the caller's, until it says
/// otherwise.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "parts of the hash are meant")]
pub fn claim<M: Memory>(
    memory: &M,
    rules: &Forwarding,
    hash: u64,
    now: u32,
) -> Option<(u32, State)> {
    let (mut best, mut bits, mut chosen) = (0, 0, 0);
    for look in 0..black_box(PLACES * POINTS) {
        let point = if look < PLACES { hash >> 16 } else { hash >> 32 };
        let index = (point as u32).wrapping_add(look as u32) & rules.tracked.wrapping_sub(1);
        let state = memory.load(memory.flow(index)?, STATE);
        let readiness = memory.blur(memory.readiness(state, now), rules.seed);
        if readiness > best {
            (best, bits, chosen) = (readiness, state, index);
        }
        if readiness == State::FREE {
            break;
        }
        best = memory.blur(best, rules.seed);
    }
    if best == 0 {
        return None;
    }
    let line = memory.flow(chosen)?;
    let former = State::from_bits(bits);
    let busy = State { phase: Phase::Busy as u8, ..former };
    if memory.replace(line, STATE, bits, busy.bits()) { Some((chosen, former)) } else { None }
}

/// Takes the place of a flow that is over. `None` if another processor has.
#[inline(always)]
pub(super) fn own<M: Memory>(memory: &M, place: u32) -> Option<(M::Line, State)> {
    let line = memory.flow(place)?;
    let bits = memory.load(line, STATE);
    let state = State::from_bits(bits);
    let busy = State { phase: Phase::Busy as u8, ..state };
    let is_owned = !state.is(Phase::Busy) && memory.replace(line, STATE, bits, busy.bits());
    if is_owned { Some((line, state)) } else { None }
}

/// Fills in a claimed place. Nobody finds it yet.
#[inline(always)]
pub(super) fn fill<M: Memory>(memory: &M, line: M::Line, from: &Tuple, to: &Tuple, nat_port: u16) {
    set_address(memory, line, CLIENT, from.source);
    set_address(memory, line, VIP, from.destination);
    set_address(memory, line, BACKEND, to.destination);
    let ports = u64::from(from.source_port)
        | u64::from(from.destination_port) << 16
        | u64::from(to.destination_port) << 32
        | u64::from(nat_port) << 48;
    memory.store(line, PORTS, ports);
}

/// Says what a claimed place, or one's own, now holds.
#[inline(always)]
pub(super) fn publish<M: Memory>(memory: &M, line: M::Line, state: State) {
    let before = memory.load(line, STATE);
    // Not a plain store: processors may have their own order of those.
    memory.replace(line, STATE, before, state.bits());
}

/// Moves a flow on. False if another processor did, meanwhile.
#[inline(always)]
pub(super) fn advance<M: Memory>(memory: &M, line: M::Line, from: State, to: State) -> bool {
    from == to || memory.replace(line, STATE, from.bits(), to.bits())
}

/// Which direction of which flow, in one number: twice the place, plus 1 for answers.
#[inline(always)]
pub(super) const fn direction(place: u32, answers: bool) -> u32 {
    place << 1 | answers as u32
}

/// Enters one direction of a flow into the index. `direction` is twice the flow's place, plus 1 for that of
/// answers.
#[inline(always)]
pub fn enter<M: Memory>(
    memory: &M,
    rules: &Forwarding,
    wanted: &Tuple,
    direction: u32,
    now: u32,
) -> Entered {
    let hash = wanted.hash(rules.seed);
    let answers = direction & 1 != 0;
    let new = entry(hash, direction >> 1, answers);
    let Some(line) = bucket(memory, rules, hash) else { return Entered::Full };
    // The first way that is free, else the one whose flow gives it up most readily.
    let (mut best, mut chosen, mut former) = (0, 0, 0);
    for way in 0..black_box(WAYS) {
        let entry = memory.load(line, way);
        if (entry ^ new) >> 32 == 0 && entry & 1 == new & 1 && entry != 0 {
            if answers && is_taken(memory, rules, wanted, entry) {
                return Entered::Taken;
            }
            // It led to a flow that is no more.
            (best, chosen, former) = (State::FREE, way, entry);
            break;
        }
        let readiness = memory.blur(readiness(memory, entry, now), rules.seed);
        if readiness > best {
            (best, chosen, former) = (readiness, way, entry);
        }
        best = memory.blur(best, rules.seed);
    }
    if best != 0 && memory.replace(line, chosen, former, new) {
        Entered::Done
    } else {
        Entered::Full
    }
}

/// How readily an entry is given up.
#[inline(always)]
fn readiness<M: Memory>(memory: &M, entry: u64, now: u32) -> u32 {
    if entry == 0 {
        return State::FREE;
    }
    match memory.flow(place(entry)) {
        Some(flow) => memory.readiness(memory.load(flow, STATE), now),
        None => 0,
    }
}

/// True if an entry's flow is open, and has these addresses and ports.
#[inline(always)]
fn is_taken<M: Memory>(memory: &M, rules: &Forwarding, wanted: &Tuple, entry: u64) -> bool {
    let Some(flow) = memory.flow(place(entry)) else { return false };
    let state = State::from_bits(memory.load(flow, STATE));
    state.is(Phase::Open)
        && !state.is_closed()
        && tuple(memory, rules, flow, true).is_some_and(|tuple| tuple == *wanted)
}

/// Takes one direction of a flow out of the index: see [`enter`].
#[inline(always)]
pub fn leave<M: Memory>(memory: &M, rules: &Forwarding, direction: u32) {
    let answers = direction & 1 != 0;
    let Some(line) = memory.flow(direction >> 1) else { return };
    let Some(tuple) = tuple(memory, rules, line, answers) else { return };
    let hash = tuple.hash(rules.seed);
    let Some(bucket) = bucket(memory, rules, hash) else { return };
    let former = entry(hash, direction >> 1, answers);
    for way in 0..black_box(WAYS) {
        if memory.load(bucket, way) == former {
            memory.replace(bucket, way, former, 0);
            break;
        }
    }
}
