//! Answers of backends on this machine, as they leave it.

use aya_ebpf::{
    bindings::{__sk_buff, TC_ACT_UNSPEC},
    macros::classifier,
    programs::TcContext,
};
use muster_packet::{FARTHEST6, Side};

use crate::forward::{
    plan::{DELIVER, ODD, SIX, TELL, look, look_closely, tell},
    six::{EGRESS, FOLLOW, followed_six, look_closely_six, look_six},
    skb::{LEAST6, MOST, Skb, delivered, told_here},
};

/// Makes the VIP the source of what backends here send to clients that asked the VIP.
///
/// Linux 5.12: atomic exchange. Next is `bpf_ktime_get_coarse_ns` (5.11). By tcx, 6.6.
#[classifier]
#[inline(always)]
pub fn reply(ctx: TcContext) -> i32 {
    let ctx = ctx.skb.skb;
    let mut step = looked(ctx);
    if step == SIX {
        step = looked_six(ctx);
        if step == ODD {
            step = looked_closely_six(ctx);
        }
        if step == FOLLOW {
            step = followed_six(EGRESS);
        }
    } else if step == ODD {
        step = looked_closely(ctx);
    }
    if step == DELIVER {
        return delivered(ctx) as i32;
    }
    if step == TELL && told() == TELL {
        return told_here(ctx) as i32;
    }
    TC_ACT_UNSPEC
}

#[cold]
#[inline(never)]
fn looked(ctx: *mut __sk_buff) -> u32 {
    look(&mut Skb::new(ctx), Side::Egress)
}

/// ICMP errors of this machine's about packets to backends here.
#[cold]
#[inline(never)]
fn looked_closely(ctx: *mut __sk_buff) -> u32 {
    let skb = Skb { ctx };
    skb.gather(MOST);
    look_closely(&skb, Side::Egress)
}

#[cold]
#[inline(never)]
fn looked_six(ctx: *mut __sk_buff) -> u32 {
    let skb = Skb { ctx };
    skb.gather(LEAST6);
    look_six(&skb)
}

#[cold]
#[inline(never)]
fn looked_closely_six(ctx: *mut __sk_buff) -> u32 {
    let skb = Skb { ctx };
    skb.gather(FARTHEST6);
    look_closely_six(&skb, Side::Egress)
}

#[cold]
#[inline(never)]
fn told() -> u32 {
    tell(Side::Egress)
}
