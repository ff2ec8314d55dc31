//! Answers of backends on this machine, as they leave it.

use aya_ebpf::{
    bindings::{__sk_buff, TC_ACT_UNSPEC},
    macros::classifier,
    programs::TcContext,
};
use muster_packet::Side;

use crate::forward::{
    plan::{DELIVER, EGRESS, Look, TELL, look},
    skb::{Skb, delivered, looked_closely, looked_closely_six, looked_six, told_here},
};

/// A packet that leaves.
#[derive(Clone, Copy)]
struct Leaving(*mut __sk_buff);

impl Look for Leaving {
    const SIDE: u32 = EGRESS;

    #[inline(always)]
    fn looked(self) -> u32 {
        looked(self.0)
    }

    #[inline(always)]
    fn looked_closely(self) -> u32 {
        looked_closely(self.0, Self::SIDE)
    }

    #[inline(always)]
    fn looked_six(self) -> u32 {
        looked_six(self.0)
    }

    #[inline(always)]
    fn looked_closely_six(self) -> u32 {
        looked_closely_six(self.0, Self::SIDE)
    }
}

/// Makes the VIP the source of what backends here send to clients that asked the VIP, also in this machine's ICMP errors.
///
/// Linux 5.12: atomic exchange. Next is `bpf_ktime_get_coarse_ns` (5.11). By tcx, 6.6.
#[classifier]
#[inline(always)]
pub fn reply(ctx: TcContext) -> i32 {
    let ctx = ctx.skb.skb;
    let step = Leaving(ctx).step();
    if step == DELIVER {
        delivered(ctx) as i32
    } else if step == TELL {
        told_here(ctx) as i32
    } else {
        TC_ACT_UNSPEC
    }
}

#[cold]
#[inline(never)]
fn looked(ctx: *mut __sk_buff) -> u32 {
    look(&mut Skb::new(ctx), Side::Egress)
}
