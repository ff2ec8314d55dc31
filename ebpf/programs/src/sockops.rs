//! TCP handshakes with backends: begun, completed, failed.
//!
//! Other connections leave after one comparison or one look into the socket. A VIP's
//! connection has the state callback on from its SYN until the handshake is decided, and
//! costs nothing after that.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_CONNECT_CB},
    helpers::bpf_get_socket_cookie,
    macros::sock_ops,
    programs::SockOpsContext,
};
use muster_packet::{Peer, Stage};

use crate::{balance::Event, peers::Socket};

/// `TCP_ESTABLISHED` of the kernel's `tcp_states.h`.
const ESTABLISHED: u32 = 1;

/// `TCP_CLOSE`.
const CLOSE: u32 = 7;

/// What the kernel does with the connection is up to the kernel.
const GO_ON: u32 = 1;

/// Counts what becomes of connections to VIPs.
#[sock_ops]
pub fn handshake(ctx: SockOpsContext) -> u32 {
    match ctx.op() {
        BPF_SOCK_OPS_TCP_CONNECT_CB => begin(&ctx),
        BPF_SOCK_OPS_STATE_CB => decide(&ctx),
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
    let mut stage = Stage::Pending;
    // Another program on the cgroup may want the callback for itself.
    if flags & BPF_SOCK_OPS_STATE_CB_FLAG == 0 {
        if ctx.set_cb_flags((flags | BPF_SOCK_OPS_STATE_CB_FLAG) as i32).is_err() {
            return;
        }
        stage = Stage::Watched;
    }
    record.advance(stage, Event::Started);
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
    if !Peer::is_pending(record.tag) {
        return;
    }
    if Peer::is_at(record.tag, Stage::Watched) {
        // Only fails for sockets that are no TCP connection, which this one is.
        let _ = ctx.set_cb_flags((ctx.cb_flags() & !BPF_SOCK_OPS_STATE_CB_FLAG) as i32);
    }
    if state == ESTABLISHED {
        record.advance(Stage::Established, Event::Succeeded);
    } else {
        record.end(0);
    }
}

#[inline(always)]
fn socket(ctx: &SockOpsContext) -> Socket {
    // SAFETY: the kernel hands every program a valid context.
    unsafe {
        Socket { cookie: bpf_get_socket_cookie(ctx.as_ptr()), sk: (*ctx.ops).__bindgen_anon_2.sk }
    }
}
