//! Packets at tc, in the kernel's socket buffers.

use aya_ebpf::{
    bindings::{__sk_buff, TC_ACT_SHOT, TC_ACT_UNSPEC},
    helpers::generated::{
        bpf_csum_update, bpf_l4_csum_replace, bpf_skb_change_head, bpf_skb_change_tail,
        bpf_skb_load_bytes, bpf_skb_pull_data,
    },
};
use muster_packet::{
    Difference, FARTHEST6, Packet, Resize, Segment, Side, TCP, rewrite, rewrite_error,
};

use crate::forward::{
    frame::access,
    plan::{EGRESS, Look, PASS, cut_off, look, look_closely, plan},
    rejected::sum,
    six::{look_closely_six, look_six},
};

/// `BPF_F_PSEUDO_HDR`: what changes is part of the pseudo-header.
const PSEUDO: u64 = 1 << 4;
/// `BPF_F_MARK_MANGLED_0`: 0 means none.
const OPTIONAL: u64 = 1 << 5;

/// Ethernet, IPv4 and TCP without options.
const LEAST: u32 = 54;

/// Ethernet, IPv6 and TCP without options.
const LEAST6: u32 = 74;

/// What may be needed of a packet's headers, but in the strangest packets.
const MOST: u32 = 192;

/// The packet of a tc program.
pub struct Skb {
    /// The program's context.
    pub ctx: *mut __sk_buff,
}

/// A packet of a tc program at a side.
#[derive(Clone, Copy)]
pub struct At<const SIDE: u32>(pub *mut __sk_buff);

impl<const SIDE: u32> Look for At<SIDE> {
    const SIDE: u32 = SIDE;

    #[inline(always)]
    fn looked(self) -> u32 {
        if SIDE == EGRESS { looked_leaving(self.0) } else { looked_arriving(self.0) }
    }

    #[inline(always)]
    fn looked_closely(self) -> u32 {
        looked_closely(self.0, SIDE)
    }

    #[inline(always)]
    fn looked_six(self) -> u32 {
        looked_six(self.0)
    }

    #[inline(always)]
    fn looked_closely_six(self) -> u32 {
        looked_closely_six(self.0, SIDE)
    }
}

/// See [`look`]: for each side by itself, so that nothing has to be found out of it.
#[cold]
#[inline(never)]
fn looked_arriving(ctx: *mut __sk_buff) -> u32 {
    look(&mut Skb::new(ctx), Side::Ingress)
}

/// The same.
#[cold]
#[inline(never)]
fn looked_leaving(ctx: *mut __sk_buff) -> u32 {
    look(&mut Skb::new(ctx), Side::Egress)
}

/// See [`look_closely`].
#[cold]
#[inline(never)]
fn looked_closely(ctx: *mut __sk_buff, side: u32) -> u32 {
    let skb = Skb { ctx };
    skb.gather(MOST);
    look_closely(&skb, side)
}

/// See [`look_six`].
#[cold]
#[inline(never)]
fn looked_six(ctx: *mut __sk_buff) -> u32 {
    let skb = Skb { ctx };
    skb.gather(LEAST6);
    look_six(&skb)
}

/// See [`look_closely_six`].
#[cold]
#[inline(never)]
fn looked_closely_six(ctx: *mut __sk_buff, side: u32) -> u32 {
    let skb = Skb { ctx };
    skb.gather(FARTHEST6);
    look_closely_six(&skb, side)
}

/// The kernel goes on with the packet as one of another tuple.
#[cold]
#[inline(never)]
pub fn delivered(ctx: *mut __sk_buff) -> u32 {
    let Some(plan) = plan() else { return TC_ACT_UNSPEC as u32 };
    let written = rewrite(&mut Skb { ctx }, &plan.segment, &plan.to, false);
    if cut_off(written, PASS) == PASS { TC_ACT_UNSPEC as u32 } else { TC_ACT_SHOT as u32 }
}

/// The kernel goes on with an ICMP error that is another's.
#[cold]
#[inline(never)]
pub fn told_here(ctx: *mut __sk_buff) -> u32 {
    let Some(plan) = plan() else { return TC_ACT_UNSPEC as u32 };
    let (source, destination) = (plan.source, plan.destination);
    let mut skb = Skb { ctx };
    let written = rewrite_error(&mut skb, &plan.complaint, source, destination, &plan.to, false);
    if cut_off(written, PASS) == PASS { TC_ACT_UNSPEC as u32 } else { TC_ACT_SHOT as u32 }
}

impl Skb {
    /// The packet, with its headers where the program can reach them, if they are of the usual length.
    #[inline(always)]
    pub fn new(ctx: *mut __sk_buff) -> Self {
        let skb = Self { ctx };
        skb.gather(LEAST);
        skb
    }

    /// Has the packet's first bytes brought together, if it has more than are. Linux 4.9.
    #[inline(always)]
    pub fn gather(&self, least: u32) {
        // SAFETY: the kernel hands every program a valid context.
        let length = unsafe { (&raw const (*self.ctx).len).read_volatile() };
        let least = if length < least { length } else { least };
        if self.start() + least as usize > self.end() {
            let most = if least < MOST { MOST } else { least };
            let most = if length < most { length } else { most };
            // If there is no memory for it, what is not there is not read.
            // SAFETY: as above.
            let _ = unsafe { bpf_skb_pull_data(self.ctx, most) };
        }
    }

    /// Index of the interface that the packet came by.
    #[inline(always)]
    pub fn interface(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (&raw const (*self.ctx).ifindex).read_volatile() }
    }

    /// How long the packet is from its IP header on, or each of those that it will be taken apart into.
    #[inline(always)]
    pub fn wire_length(&self, segment: &Segment) -> u16 {
        let ip = &segment.ip;
        // SAFETY: as above. Linux 5.7.
        let carried = unsafe { (&raw const (*self.ctx).gso_size).read_volatile() };
        let header = if carried == 0 {
            return (ip.end - ip.at) as u16;
        } else if ip.protocol == TCP {
            u32::from(self.load8(ip.payload + 12).unwrap_or(0) >> 4) * 4
        } else {
            8
        };
        (ip.payload - ip.at + header + carried) as u16
    }

    #[inline(always)]
    fn unknown(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (&raw const (*self.ctx).hash).read_volatile() }
    }

    #[inline(always)]
    fn start(&self) -> usize {
        // SAFETY: as above.
        unsafe { (&raw const (*self.ctx).data).read_volatile() as usize }
    }

    #[inline(always)]
    fn end(&self) -> usize {
        // SAFETY: as above.
        unsafe { (&raw const (*self.ctx).data_end).read_volatile() as usize }
    }
}

impl Packet for Skb {
    access!();

    /// The kernel may have left the adding up to the network card, or have it from there.
    #[inline(always)]
    fn correct(
        &mut self,
        at: u32,
        pseudo: Difference,
        rest: Difference,
        optional: bool,
    ) -> Option<()> {
        if optional && self.load16(at)? == 0 {
            return Some(());
        }
        let flags = if optional { OPTIONAL } else { 0 };
        // SAFETY: the context is this program's; a place beyond the end is refused.
        let (first, second) = unsafe {
            (
                bpf_l4_csum_replace(self.ctx, at, 0, pseudo.bits(), flags | PSEUDO),
                bpf_l4_csum_replace(self.ctx, at, 0, rest.bits(), flags),
            )
        };
        if first == 0 && second == 0 { Some(()) } else { None }
    }

    #[inline(always)]
    fn unsummed(&mut self, change: Difference) {
        // It is refused where the kernel has no sum of the packet.
        // SAFETY: the context is this program's. Linux 4.6.
        let _ = unsafe { bpf_csum_update(self.ctx, change.bits() as u32) };
    }
}

impl Resize for Skb {
    #[inline(always)]
    fn length(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (&raw const (*self.ctx).len).read_volatile() }
    }

    #[inline(always)]
    fn cut(&mut self, length: u32) -> Option<()> {
        // What the network card has summed up is only forgotten if the length changes.
        // SAFETY: as above; what cannot be is refused. Linux 4.9.
        let (first, second) = unsafe {
            (bpf_skb_change_tail(self.ctx, length + 1, 0), bpf_skb_change_tail(self.ctx, length, 0))
        };
        if first == 0 && second == 0 { Some(()) } else { None }
    }

    #[inline(always)]
    fn grow(&mut self, bytes: u32) -> Option<()> {
        // SAFETY: as above. Linux 5.8.
        if unsafe { bpf_skb_change_head(self.ctx, bytes, 0) } == 0 { Some(()) } else { None }
    }

    #[inline(always)]
    fn sum(&self, from: u32, length: u32) -> Option<Difference> {
        let ctx = self.ctx.cast_const().cast();
        // SAFETY: a buffer of as many bytes. Linux 4.5.
        sum(length, |to, length| unsafe { bpf_skb_load_bytes(ctx, from, to.cast(), length) })
    }

    /// The kernel leaves alone what is not the pseudo-header's, if it is not to make that sum itself.
    #[inline(always)]
    fn lacks_sum(&mut self, spare: u32) -> bool {
        let is_written = self.store16(spare, 0).is_some();
        // SAFETY: as above.
        let result = unsafe { bpf_l4_csum_replace(self.ctx, spare, 0, 1, 0) };
        is_written && result == 0 && self.load16(spare) == Some(0)
    }
}
