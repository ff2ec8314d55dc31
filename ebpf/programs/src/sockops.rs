//! TCP connections to backends: handshakes begun, completed, late, failed; segments sent again; ends.
//!
//! Other connections leave after one comparison or one look into the socket. A VIP's connection has the
//! callbacks for its state and for timeouts on from its SYN until it first changes its state after the
//! handshake, which is one call for most, and that for retransmissions from the handshake on. None is called for
//! each packet.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        BPF_SOCK_OPS_RETRANS_CB, BPF_SOCK_OPS_RETRANS_CB_FLAG, BPF_SOCK_OPS_RTO_CB,
        BPF_SOCK_OPS_RTO_CB_FLAG, BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG,
        BPF_SOCK_OPS_TCP_CONNECT_CB,
    },
    helpers::{bpf_get_socket_cookie, bpf_ktime_get_ns},
    macros::sock_ops,
    programs::SockOpsContext,
};
use muster_packet::{Peer, Stage, ticks};

use crate::{
    count::Event,
    peers::{ESTABLISHED, Record, Socket},
};

/// `TCP_CLOSE` of the kernel's `tcp_states.h`.
const CLOSE: u32 = 7;

/// What a connection is watched by.
const CALLBACKS: u32 = BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTO_CB_FLAG;

/// What the kernel does with the connection is up to the kernel.
const GO_ON: u32 = 1;

/// Counts what becomes of connections to VIPs.
///
/// Linux 5.12: atomic exchange. Next are links of cgroups (5.7), and the socket in the context (5.3).
#[sock_ops]
pub fn handshake(ctx: SockOpsContext) -> u32 {
    match ctx.op() {
        BPF_SOCK_OPS_TCP_CONNECT_CB => begin(&ctx),
        BPF_SOCK_OPS_STATE_CB => change(&ctx),
        BPF_SOCK_OPS_RTO_CB => late(&ctx),
        BPF_SOCK_OPS_RETRANS_CB => again(&ctx),
        _ => {}
    }
    GO_ON
}

/// The SYN is about to be sent.
#[inline(always)]
fn begin(ctx: &SockOpsContext) {
    let Some(record) = socket(ctx).record() else { return };
    if !Peer::is_at(record.tag, Stage::Chosen) {
        return;
    }
    let flags = ctx.cb_flags();
    // Another program on the cgroup may want a callback for itself.
    let missing = CALLBACKS & !flags;
    if missing != 0 && ctx.set_cb_flags((flags | missing) as i32).is_err() {
        return;
    }
    // SAFETY: takes no arguments.
    record.begin(packed(missing), ticks(unsafe { bpf_ktime_get_ns() }));
}

/// The socket changes its state.
#[inline(always)]
fn change(ctx: &SockOpsContext) {
    // The state it changes to.
    let state = ctx.arg(1);
    let Some(record) = socket(ctx).record() else { return };
    if Peer::is_undecided(record.tag) {
        decide(ctx, record, state);
    } else if Peer::is_lasting(record.tag) {
        unwatch(ctx, record);
        // From established to closed: both sides would have to say so.
        let reset = state == CLOSE && Peer::is_at(record.tag, Stage::Established);
        record.be_over(ended(ctx, u64::from(reset), 0));
    }
}

/// The handshake is complete, or has failed.
#[inline(always)]
fn decide(ctx: &SockOpsContext, record: Record, state: u32) {
    if state == ESTABLISHED {
        // Without it nothing is counted that is sent again.
        let _ = ctx.set_cb_flags((ctx.cb_flags() | BPF_SOCK_OPS_RETRANS_CB_FLAG) as i32);
        let successes = u64::from(Peer::is_at(record.tag, Stage::Pending));
        let event = Event::Completed { since: record.since(), successes };
        record.advance(Stage::Established, event);
    } else if state == CLOSE {
        unwatch(ctx, record);
        // Were it the program that gives it up, its socket would have been released before.
        record.end(0, true);
    }
}

/// Switches the callbacks off that were switched on for the connection.
#[inline(always)]
fn unwatch(ctx: &SockOpsContext, record: Record) {
    let callbacks = unpacked(Peer::callbacks(record.tag));
    if callbacks != 0 {
        // Only fails for sockets that are no TCP connection, which this one is.
        let _ = ctx.set_cb_flags((ctx.cb_flags() & !callbacks) as i32);
    }
}

/// What is counted of an established connection at its end.
#[inline(always)]
fn ended(ctx: &SockOpsContext, resets: u64, expired: u64) -> Event {
    // SAFETY: the kernel hands every program a valid context.
    let srtt = unsafe { (&raw const (*ctx.ops).srtt_us).read_volatile() };
    // The kernel keeps it in eighths.
    Event::Ended { rtt: u64::from(srtt >> 3), resets, expired }
}

/// A timer has expired: what was sent was not acknowledged.
#[inline(always)]
fn late(ctx: &SockOpsContext) {
    // Whether this was once too often.
    let given_up = ctx.arg(2) != 0;
    let Some(record) = socket(ctx).record() else { return };
    if Peer::is_at(record.tag, Stage::Pending) {
        // The SYN is sent again: to who chooses next, that is a failure.
        record.be_late();
    } else if given_up && Peer::is_at(record.tag, Stage::Established) {
        unwatch(ctx, record);
        record.be_over(ended(ctx, 0, 1));
    }
}

/// Segments are sent again.
#[inline(always)]
fn again(ctx: &SockOpsContext) {
    let (segments, failed) = (ctx.arg(1), ctx.arg(2));
    if failed != 0 {
        return;
    }
    if let Some(record) = socket(ctx).record() {
        record.sent_again(u64::from(segments));
    }
}

/// Flags of callbacks as a tag keeps them, in two bits.
#[inline(always)]
fn packed(flags: u32) -> u32 {
    u32::from(flags & BPF_SOCK_OPS_STATE_CB_FLAG != 0)
        | u32::from(flags & BPF_SOCK_OPS_RTO_CB_FLAG != 0) << 1
}

/// The flags that were [`packed`].
#[inline(always)]
fn unpacked(bits: u32) -> u32 {
    ((bits & 1) * BPF_SOCK_OPS_STATE_CB_FLAG) | (((bits >> 1) & 1) * BPF_SOCK_OPS_RTO_CB_FLAG)
}

#[inline(always)]
fn socket(ctx: &SockOpsContext) -> Socket {
    // SAFETY: the kernel hands every program a valid context.
    unsafe {
        Socket { cookie: bpf_get_socket_cookie(ctx.as_ptr()), sk: (*ctx.ops).__bindgen_anon_2.sk }
    }
}
