//! What is to be done with what is no whole segment: ICMP errors, fragments, and what is malformed.

use super::{
    Complaint, Event, Parsed, Side, Tuple, Verdict, World,
    table::{self, ports},
};
use crate::Address;

/// What is to be done with an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relay {
    /// Nothing.
    Pass,
    /// It goes to who sent what it is about, with these addresses, and about a packet of this tuple.
    To {
        /// Its new source.
        source: Address,
        /// Its new destination.
        destination: Address,
        /// What it is about.
        about: Tuple,
        /// True if it goes out again, false if the kernel goes on with it.
        onward: bool,
    },
}

/// What becomes of packets that are neither a whole segment nor an ICMP error.
#[inline(always)]
pub fn refuse<W: World>(world: &W, parsed: &Parsed) -> Verdict {
    if world.rules().is_none_or(|rules| rules.tracked == 0) {
        return Verdict::Pass;
    }
    let (is_vip, event) = match parsed {
        Parsed::Fragment(_, Some(tuple)) => {
            let is_vip = world.vip(&tuple.vip()).is_some();
            (is_vip, Event::FirstFragment)
        }
        Parsed::Fragment(ip, None) => (world.known(ip.destination).vip != 0, Event::LaterFragment),
        Parsed::Malformed { destination } => (world.known(*destination).vip != 0, Event::Malformed),
        _ => (false, Event::Malformed),
    };
    if !is_vip {
        return Verdict::Pass;
    }
    world.count(event);
    Verdict::Drop
}

/// Finds out who sent what an ICMP error is about.
#[inline(always)]
pub fn relay<W: World>(world: &W, complaint: &Complaint, side: Side) -> Relay {
    let Some(rules) = world.rules() else { return Relay::Pass };
    if rules.tracked == 0 {
        return Relay::Pass;
    }
    // The packet that it is about went the other way.
    let arrived = complaint.tuple.reversed();
    let found = table::find(world, rules, &arrived, arrived.hash(rules.seed));
    let Some(found) = found else { return Relay::Pass };
    let [.., nat_port] = ports(world, found.line);
    let is_local = nat_port == 0;
    if (side == Side::Egress) != (found.answers && is_local) {
        return Relay::Pass;
    }
    let translated = table::translated(world, rules, &found);
    let Some(about) = translated.map(Tuple::reversed) else { return Relay::Pass };
    let onward = !is_local;
    if onward && complaint.ip.hops <= 1 {
        world.count(Event::Hops);
        return Relay::Pass;
    }
    // A machine on the way may be unknown to the other side, or speak for the backend.
    let speaks = onward || found.answers && complaint.ip.source == arrived.source;
    let source = if speaks { about.destination } else { complaint.ip.source };
    world.count(Event::Error);
    Relay::To { source, destination: about.source, about, onward }
}
