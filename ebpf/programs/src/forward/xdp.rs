//! Packets as they arrive, before the kernel has made anything of them.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{xdp_action, xdp_md},
    helpers::generated::{
        bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len, bpf_xdp_load_bytes,
    },
    macros::xdp,
    programs::XdpContext,
};
use muster_packet::{Difference, Event, Packet, Resize, Side, Tuple, rewrite, rewrite_error};

use crate::forward::{
    frame::access,
    maps::count,
    plan::{
        DELIVER, DROP, FORWARD, INGRESS, Look, PASS, REFUSED, TELL, TELL_ON, TOO_BIG, cut_off,
        look, look_closely, plan,
    },
    rejected::{self, sum},
    route::{Route, route},
    six::{look_closely_six, look_six},
};

/// The packet of an XDP program.
#[derive(Clone, Copy)]
struct Frame {
    ctx: *mut xdp_md,
}

/// Forwards packets to VIPs and the answers of backends on other machines. What goes out by another interface, or to a
/// neighbour that is not known, is left to `forward_tc`.
///
/// The kernel must be allowed to forward (`net.ipv4.ip_forward`, `net.ipv6.conf.all.forwarding`), which is what it is asked: where a packet goes.
/// Senders on the same machine have to fill in checksums themselves (`ethtool -K <veth> tx off`): to XDP
/// it cannot be told that they have not.
///
/// Linux 5.18: packets in several buffers. Atomic exchange is 5.12's.
#[xdp(frags)]
#[inline(always)]
pub fn forward(ctx: XdpContext) -> u32 {
    let ctx = ctx.ctx;
    let mut step = Frame { ctx }.step();
    if step == TELL || step == TELL_ON {
        return passed_on(ctx, u32::from(step == TELL_ON));
    }
    if step == FORWARD {
        step = forwarded(ctx);
        if step < REFUSED {
            return step;
        }
    }
    if step == DELIVER {
        delivered(ctx)
    } else if step >= REFUSED {
        rejected(ctx, step)
    } else if step == DROP {
        xdp_action::XDP_DROP
    } else {
        xdp_action::XDP_PASS
    }
}

#[cold]
#[inline(never)]
fn looked(ctx: *mut xdp_md) -> u32 {
    look(&mut Frame { ctx }, Side::Ingress)
}

#[cold]
#[inline(never)]
fn looked_closely(ctx: *mut xdp_md) -> u32 {
    look_closely(&Frame { ctx }, INGRESS)
}

#[cold]
#[inline(never)]
fn looked_six(ctx: *mut xdp_md) -> u32 {
    look_six(&Frame { ctx })
}

#[cold]
#[inline(never)]
fn looked_closely_six(ctx: *mut xdp_md) -> u32 {
    look_closely_six(&Frame { ctx }, INGRESS)
}

#[cold]
#[inline(never)]
fn delivered(ctx: *mut xdp_md) -> u32 {
    let Some(plan) = plan() else { return xdp_action::XDP_PASS };
    let written = rewrite(&mut Frame { ctx }, &plan.segment, &plan.to, false);
    if cut_off(written, PASS) == PASS { xdp_action::XDP_PASS } else { xdp_action::XDP_DROP }
}

/// The action; or [`TOO_BIG`].
#[cold]
#[inline(never)]
fn forwarded(ctx: *mut xdp_md) -> u32 {
    let mut frame = Frame { ctx };
    let Some(plan) = plan() else { return xdp_action::XDP_PASS };
    let length = (plan.segment.ip.end - plan.segment.ip.at) as u16;
    let action = frame.head_for(&plan.to, length);
    if action == TOO_BIG {
        if !plan.segment.ip.whole {
            // At tc the kernel may be able to fragment it.
            count(Event::Unresolved);
            return xdp_action::XDP_PASS;
        }
        count(Event::TooBig);
    }
    if action != xdp_action::XDP_TX {
        return action;
    }
    let written = rewrite(&mut frame, &plan.segment, &plan.to, true);
    if cut_off(written, PASS) == PASS {
        count(plan.event());
        action
    } else {
        xdp_action::XDP_DROP
    }
}

/// Sends the answer back.
#[cold]
#[inline(never)]
fn rejected(ctx: *mut xdp_md, step: u32) -> u32 {
    let is_answer = rejected::rejected(&mut Frame { ctx }, step);
    if is_answer { xdp_action::XDP_TX } else { xdp_action::XDP_DROP }
}

/// Passes an ICMP error on.
#[cold]
#[inline(never)]
fn passed_on(ctx: *mut xdp_md, onward: u32) -> u32 {
    let mut frame = Frame { ctx };
    let Some(plan) = plan() else { return xdp_action::XDP_PASS };
    let mut action = xdp_action::XDP_PASS;
    if onward != 0 {
        action = frame.head_for(&plan.outer(), 0);
        if action != xdp_action::XDP_TX {
            return action;
        }
    }
    let (source, destination) = (plan.source, plan.destination);
    let written =
        rewrite_error(&mut frame, &plan.complaint, source, destination, &plan.to, onward != 0);
    if cut_off(written, PASS) == PASS { action } else { xdp_action::XDP_DROP }
}

impl Look for Frame {
    const SIDE: u32 = INGRESS;

    #[inline(always)]
    fn looked(self) -> u32 {
        looked(self.ctx)
    }

    #[inline(always)]
    fn looked_closely(self) -> u32 {
        looked_closely(self.ctx)
    }

    #[inline(always)]
    fn looked_six(self) -> u32 {
        looked_six(self.ctx)
    }

    #[inline(always)]
    fn looked_closely_six(self) -> u32 {
        looked_closely_six(self.ctx)
    }
}

impl Frame {
    #[inline(always)]
    fn start(&self) -> usize {
        // SAFETY: the kernel hands every program a valid context.
        unsafe { (&raw const (*self.ctx).data).read_volatile() as usize }
    }

    #[inline(always)]
    fn end(&self) -> usize {
        // SAFETY: as above.
        unsafe { (&raw const (*self.ctx).data_end).read_volatile() as usize }
    }

    #[inline(always)]
    fn unknown(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (&raw const (*self.ctx).rx_queue_index).read_volatile() }
    }

    /// Gives the packet the Ethernet addresses that its way begins with, if that leads out of the interface that it came by. Otherwise
    /// another action than `XDP_TX`; or [`TOO_BIG`], if it has a length.
    #[inline(always)]
    fn head_for(&mut self, to: &Tuple, length: u16) -> u32 {
        // SAFETY: as above.
        let here = unsafe { (&raw const (*self.ctx).ingress_ifindex).read_volatile() };
        match route(self.ctx.cast::<c_void>(), here, to, length) {
            Route::To { interface, source, destination, .. } if interface == here => {
                let [d0, d1, d2, d3, d4, d5] = destination;
                let [s0, s1, s2, s3, s4, s5] = source;
                let first = self.store64(0, u64::from_ne_bytes([d0, d1, d2, d3, d4, d5, s0, s1]));
                let second = self.store32(8, u32::from_ne_bytes([s2, s3, s4, s5]));
                let is_written = cut_off(first.and(second), PASS) == PASS;
                if is_written { xdp_action::XDP_TX } else { xdp_action::XDP_DROP }
            }
            // As it came, to the program at tc.
            Route::TooBig(mtu) if length != 0 => {
                if let Some(plan) = plan() {
                    plan.mtu = mtu;
                }
                TOO_BIG
            }
            Route::To { .. } | Route::Unknown(..) | Route::TooBig(_) => {
                count(Event::Unresolved);
                xdp_action::XDP_PASS
            }
            Route::None(event) => {
                count(event);
                xdp_action::XDP_DROP
            }
        }
    }
}

impl Packet for Frame {
    access!();
}

impl Resize for Frame {
    #[inline(always)]
    fn length(&self) -> u32 {
        // SAFETY: as above. Linux 5.18.
        unsafe { bpf_xdp_get_buff_len(self.ctx) as u32 }
    }

    #[inline(always)]
    fn cut(&mut self, length: u32) -> Option<()> {
        let change = length.wrapping_sub(self.length()) as i32;
        // SAFETY: as above; what cannot be is refused. Linux 4.18.
        if unsafe { bpf_xdp_adjust_tail(self.ctx, change) } == 0 { Some(()) } else { None }
    }

    #[inline(always)]
    fn grow(&mut self, bytes: u32) -> Option<()> {
        // SAFETY: as above. Linux 4.10.
        let result = unsafe { bpf_xdp_adjust_head(self.ctx, (bytes as i32).wrapping_neg()) };
        if result == 0 { Some(()) } else { None }
    }

    #[inline(always)]
    fn sum(&self, from: u32, length: u32) -> Option<Difference> {
        // SAFETY: a buffer of as many bytes. Linux 5.18.
        sum(length, |to, length| unsafe { bpf_xdp_load_bytes(self.ctx, from, to.cast(), length) })
    }
}
