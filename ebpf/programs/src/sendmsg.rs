//! `sendto()` and `sendmsg()` on unconnected UDP sockets.
//!
//! Sockets of both families that send to an IPv4-mapped address end up in this hook.

use aya_ebpf::{
    EbpfContext as _, helpers::bpf_get_socket_cookie, macros::cgroup_sock_addr,
    programs::SockAddrContext,
};
use muster_packet::{Flow, Flows};

use crate::{
    balance::{Destination, balance_steadily},
    count::{Event, count},
    maps,
    sockets::{ALLOW, Family, endpoint, refuse, rewrite},
};

/// Sends a datagram for a VIP to the socket's backend of it.
#[cgroup_sock_addr(sendmsg4)]
pub fn sendmsg4(ctx: SockAddrContext) -> i32 {
    let Some(vip) = endpoint(&ctx, Family::V4) else { return ALLOW };
    // SAFETY: the context is this program's.
    let cookie = || unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
    match balance_steadily(&vip, cookie) {
        Destination::Other => ALLOW,
        Destination::Nobody => refuse(),
        Destination::Backend(target) => {
            // SAFETY: the context's socket is alive while the program runs. Without memory
            // for it the datagram goes out, but the answer shows the backend.
            let flows: *mut Flows = unsafe { maps::FLOWS.get_or_insert_ptr_mut(&ctx, None) };
            // SAFETY: null or a live value of the socket's. Another thread that sends on the
            // same socket writes another flow; a reader compares what it needs.
            if let Some(flows) = unsafe { flows.as_mut() }
                && flows.remember(Flow { vip, backend: target.backend })
            {
                count(&target, Event::Flow);
            }
            rewrite(&ctx, Family::V4, &target.backend);
            ALLOW
        }
    }
}
