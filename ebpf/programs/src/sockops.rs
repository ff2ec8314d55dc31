//! TCP handshakes with backends: begun, completed, late, failed.
//!
//! Other connections leave after one comparison or one look into the socket. A VIP's
//! connection has the callbacks for its state and for timeouts on from its SYN until the
//! handshake is decided, and costs nothing after that.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        BPF_SOCK_OPS_RTO_CB, BPF_SOCK_OPS_RTO_CB_FLAG, BPF_SOCK_OPS_STATE_CB,
        BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_CONNECT_CB,
    },
    helpers::{bpf_get_socket_cookie, bpf_ktime_get_ns},
    macros::sock_ops,
    programs::SockOpsContext,
};
use muster_packet::{Peer, Stage, ticks};

use crate::{count::Event, peers::Socket};

/// `TCP_ESTABLISHED` of the kernel's `tcp_states.h`.
const ESTABLISHED: u32 = 1;

/// `TCP_CLOSE`.
const CLOSE: u32 = 7;

/// What a handshake is watched by.
const CALLBACKS: u32 = BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTO_CB_FLAG;

/// What the kernel does with the connection is up to the kernel.
const GO_ON: u32 = 1;

/// Counts what becomes of connections to VIPs.
#[sock_ops]
pub fn handshake(ctx: SockOpsContext) -> u32 {
    match ctx.op() {
        BPF_SOCK_OPS_TCP_CONNECT_CB => begin(&ctx),
        BPF_SOCK_OPS_STATE_CB => decide(&ctx),
        BPF_SOCK_OPS_RTO_CB => late(&ctx),
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
fn decide(ctx: &SockOpsContext) {
    // The state it changes to.
    let state = ctx.arg(1);
    if state != ESTABLISHED && state != CLOSE {
        return;
    }
    let Some(record) = socket(ctx).record() else { return };
    if !Peer::is_undecided(record.tag) {
        return;
    }
    let callbacks = unpacked(Peer::callbacks(record.tag));
    if callbacks != 0 {
        // Only fails for sockets that are no TCP connection, which this one is.
        let _ = ctx.set_cb_flags((ctx.cb_flags() & !callbacks) as i32);
    }
    if state == CLOSE {
        // Were it the program that gives it up, its socket would have been released before.
        record.end(0, true);
    } else {
        let successes = u64::from(Peer::is_at(record.tag, Stage::Pending));
        let event = Event::Completed { since: record.since(), successes };
        record.advance(Stage::Established, event);
    }
}

/// The SYN was not answered, and is sent again: to who chooses next, that is a failure.
#[inline(always)]
fn late(ctx: &SockOpsContext) {
    let Some(record) = socket(ctx).record() else { return };
    if Peer::is_at(record.tag, Stage::Pending) {
        record.be_late();
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
