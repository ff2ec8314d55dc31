//! Packets as they arrive, where XDP has left them to us or is not there.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{__sk_buff, TC_ACT_SHOT, TC_ACT_UNSPEC, bpf_redir_neigh as Neighbour},
    helpers::generated::{bpf_redirect, bpf_redirect_neigh},
    macros::classifier,
    programs::TcContext,
};
use muster_packet::{Event, rewrite, rewrite_error};

use crate::forward::{
    maps::count,
    plan::{
        DELIVER, DROP, FORWARD, INGRESS, Look, PASS, REFUSED, SPLIT, TELL, TELL_ON, TOO_BIG,
        cut_off, plan,
    },
    rejected,
    route::{Route, route},
    skb::{At, Skb, delivered, told_here},
};

/// Does what `forward` does: to any interface, and with neighbours that have yet to be found.
///
/// Linux 5.12: atomic exchange. Next are `bpf_ktime_get_coarse_ns` (5.11), and `bpf_redirect_neigh` (5.10). By tcx, 6.6.
#[classifier]
#[inline(always)]
pub fn forward_tc(ctx: TcContext) -> i32 {
    let ctx = ctx.skb.skb;
    let mut step = At::<INGRESS>(ctx).step();
    if step == FORWARD {
        step = forwarded(ctx);
        if step != TOO_BIG && step != SPLIT {
            return step as i32;
        }
    }
    if step == DELIVER || step == SPLIT {
        delivered(ctx) as i32
    } else if step >= REFUSED {
        rejected(ctx, step) as i32
    } else if step == TELL {
        told_here(ctx) as i32
    } else if step == TELL_ON {
        told_on(ctx) as i32
    } else if step == DROP {
        TC_ACT_SHOT
    } else {
        TC_ACT_UNSPEC
    }
}

/// What the program is to return; or [`TOO_BIG`] or [`SPLIT`].
#[cold]
#[inline(never)]
fn forwarded(ctx: *mut __sk_buff) -> u32 {
    let mut skb = Skb { ctx };
    let Some(plan) = plan() else { return TC_ACT_UNSPEC as u32 };
    let length = skb.wire_length(&plan.segment);
    let (interface, next) = match route(ctx.cast::<c_void>(), skb.interface(), &plan.to, length) {
        Route::To { interface, next, .. } | Route::Unknown(interface, next) => (interface, next),
        Route::TooBig(mtu) => {
            count(Event::TooBig);
            if plan.segment.ip.whole {
                plan.mtu = mtu;
                return TOO_BIG;
            }
            // The kernel takes no packet that is from its own address.
            if !plan.is_answer {
                return TC_ACT_SHOT as u32;
            }
            count(Event::RemoteReply);
            return SPLIT;
        }
        Route::None(event) => {
            count(event);
            return TC_ACT_SHOT as u32;
        }
    };
    if cut_off(rewrite(&mut skb, &plan.segment, &plan.to, true), PASS) != PASS {
        return TC_ACT_SHOT as u32;
    }
    count(plan.event());
    send(interface, next)
}

/// Sends the answer back.
#[cold]
#[inline(never)]
fn rejected(ctx: *mut __sk_buff, step: u32) -> u32 {
    let mut skb = Skb { ctx };
    if !rejected::rejected(&mut skb, step) {
        return TC_ACT_SHOT as u32;
    }
    // SAFETY: takes numbers.
    unsafe { bpf_redirect(skb.interface(), 0) as u32 }
}

/// Passes an ICMP error on.
#[cold]
#[inline(never)]
fn told_on(ctx: *mut __sk_buff) -> u32 {
    let mut skb = Skb { ctx };
    let Some(plan) = plan() else { return TC_ACT_UNSPEC as u32 };
    let (interface, next) = match route(ctx.cast::<c_void>(), skb.interface(), &plan.outer(), 0) {
        Route::To { interface, next, .. } | Route::Unknown(interface, next) => (interface, next),
        Route::TooBig(_) => {
            count(Event::TooBig);
            return TC_ACT_SHOT as u32;
        }
        Route::None(event) => {
            count(event);
            return TC_ACT_SHOT as u32;
        }
    };
    let (source, destination) = (plan.source, plan.destination);
    let written = rewrite_error(&mut skb, &plan.complaint, source, destination, &plan.to, true);
    if cut_off(written, PASS) == PASS { send(interface, next) } else { TC_ACT_SHOT as u32 }
}

/// Out of the interface, to that neighbour, whose address the kernel finds out if need be. It would look for the way
/// again if it was not told. Linux 5.10.
#[inline(always)]
fn send(interface: u32, mut next: Neighbour) -> u32 {
    // SAFETY: the kernel knows the structure's size.
    unsafe { bpf_redirect_neigh(interface, &raw mut next, size_of::<Neighbour>() as i32, 0) as u32 }
}
