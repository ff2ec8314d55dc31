//! Packets of IPv6. What is made of their headers is put into the plan, so that all that comes after is the same
//! code for both families, and the verifier looks at it once; and packets of IPv4 cost what they would without.

use muster_packet::{Packet, Parsed, follow, parse_segment6, parse6};

use crate::forward::{
    maps::Maps,
    plan::{ODD, PASS, complain, plan, side_of},
};

/// The plan has the packet's segment, whose flow is to be followed.
pub const FOLLOW: u32 = 9;

/// Looks at a packet of IPv6 with [`FOLLOW`] or [`ODD`] as the outcome.
#[inline(always)]
pub fn look_six(packet: &impl Packet) -> u32 {
    let Some(segment) = parse_segment6(packet) else { return ODD };
    let Some(plan) = plan() else { return PASS };
    plan.segment = segment;
    FOLLOW
}

/// Looks at what is more than a header and a segment: extension headers, ICMP errors, and what is malformed.
#[inline(always)]
pub fn look_closely_six(packet: &impl Packet, side: u32) -> u32 {
    let parsed = parse6(packet);
    let Parsed::Segment(segment) = parsed else { return complain(&parsed, side) };
    let Some(plan) = plan() else { return PASS };
    plan.segment = segment;
    FOLLOW
}

/// Follows the flow of the segment in the plan.
#[cold]
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn followed_six(side: u32) -> u32 {
    let Some(plan) = plan() else { return PASS };
    let step = follow(&Maps, &plan.segment, side_of(side));
    plan.note(step)
}
