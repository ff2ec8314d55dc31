//! Answers of backends on this machine, as they leave it.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::classifier, programs::TcContext};

use crate::forward::{
    plan::{DELIVER, EGRESS, Look, TELL},
    skb::{At, delivered, told_here},
};

/// Makes the VIP the source of what backends here send to clients that asked the VIP, also in this machine's ICMP errors.
///
/// Linux 5.12: atomic exchange. Next is `bpf_ktime_get_coarse_ns` (5.11). By tcx, 6.6.
#[classifier]
#[inline(always)]
pub fn reply(ctx: TcContext) -> i32 {
    let ctx = ctx.skb.skb;
    let step = At::<EGRESS>(ctx).step();
    if step == DELIVER {
        delivered(ctx) as i32
    } else if step == TELL {
        told_here(ctx) as i32
    } else {
        TC_ACT_UNSPEC
    }
}
