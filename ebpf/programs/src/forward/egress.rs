//! Answers of backends on this machine, as they leave it.

use aya_ebpf::{
    bindings::{__sk_buff, TC_ACT_UNSPEC},
    macros::classifier,
    programs::TcContext,
};
use muster_packet::Side;

use crate::forward::{
    plan::{DELIVER, ODD, TELL, look, look_closely, tell},
    skb::{MOST, Skb, delivered, told_here},
};

/// Makes the VIP the source of what backends here send to clients that asked the VIP.
///
/// Linux 5.12.
#[classifier]
pub fn reply(ctx: TcContext) -> i32 {
    let ctx = ctx.skb.skb;
    let step = looked(ctx);
    if step == DELIVER {
        return delivered(ctx) as i32;
    }
    if step == ODD && looked_closely(ctx) == TELL && told() == TELL {
        return told_here(ctx) as i32;
    }
    TC_ACT_UNSPEC
}

#[cold]
#[inline(never)]
fn looked(ctx: *mut __sk_buff) -> u32 {
    look(&Skb::new(ctx), Side::Egress)
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
fn told() -> u32 {
    tell(Side::Egress)
}
