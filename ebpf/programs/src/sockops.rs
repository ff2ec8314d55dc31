//! TCP handshakes with backends: begun, completed, failed.
//!
//! Other connections leave after one comparison or one look into the socket. A VIP's
//! connection has the state callback on from its SYN until the handshake is decided, and
//! costs nothing after that.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_CONNECT_CB},
    helpers::generated::bpf_sk_storage_get,
    macros::sock_ops,
    programs::SockOpsContext,
};
use muster_packet::Peer;

use crate::{
    balance::{Event, count},
    maps,
};

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
    let Some(peer) = peer(ctx) else { return };
    let flags = ctx.cb_flags();
    // Another program on the cgroup may want the callback for itself.
    if flags & BPF_SOCK_OPS_STATE_CB_FLAG == 0 {
        if ctx.set_cb_flags((flags | BPF_SOCK_OPS_STATE_CB_FLAG) as i32).is_err() {
            return;
        }
        peer.callback = 1;
    }
    peer.pending = 1;
    count(&peer.backend, Event::Started);
}

/// The socket changes its state.
#[inline(always)]
fn decide(ctx: &SockOpsContext) {
    // The state it changes to.
    let event = match ctx.arg(1) {
        ESTABLISHED => Event::Succeeded,
        CLOSE => Event::Failed,
        _ => return,
    };
    let Some(peer) = peer(ctx) else { return };
    if peer.pending == 0 {
        return;
    }
    peer.pending = 0;
    if peer.callback == 1 {
        peer.callback = 0;
        // Only fails for sockets that are no TCP connection, which this one is.
        let _ = ctx.set_cb_flags((ctx.cb_flags() & !BPF_SOCK_OPS_STATE_CB_FLAG) as i32);
    }
    count(&peer.backend, event);
}

/// What the socket was connected to, if to a VIP.
#[expect(clippy::mut_from_ref, reason = "the value is the socket's, not the context's")]
#[inline(always)]
fn peer(ctx: &SockOpsContext) -> Option<&mut Peer> {
    // SAFETY: the kernel hands every program a valid context.
    let sk = unsafe { (*ctx.ops).__bindgen_anon_2.sk };
    if sk.is_null() {
        return None;
    }
    let map: *mut c_void = ptr::from_ref(&maps::PEERS).cast_mut().cast();
    // SAFETY: a map of socket storage and a live socket.
    let peer = unsafe { bpf_sk_storage_get(map, sk.cast(), ptr::null_mut(), 0) }.cast::<Peer>();
    // SAFETY: null or a live value, and the socket is locked while its state changes.
    unsafe { peer.as_mut() }
}
