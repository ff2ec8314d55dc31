//! `sendto()` and `sendmsg()` on unconnected UDP sockets.

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

/// Datagrams to IPv4 addresses, of `AF_INET6` sockets as well: the kernel has turned addresses
/// that map them by then.
///
/// Linux 5.7: links of cgroups. Next is the socket in the context (5.3). From 6.1 on refusals are `ECONNREFUSED`
/// (`bpf_set_retval` in this hook).
#[cgroup_sock_addr(sendmsg4)]
pub fn sendmsg4(ctx: SockAddrContext) -> i32 {
    sendmsg(&ctx, Family::V4)
}

/// Datagrams to IPv6 addresses.
///
/// Linux 5.7, as [`sendmsg4`].
#[cgroup_sock_addr(sendmsg6)]
pub fn sendmsg6(ctx: SockAddrContext) -> i32 {
    sendmsg(&ctx, Family::V6)
}

/// Sends a datagram for a VIP to the socket's backend of it.
#[inline(always)]
fn sendmsg(ctx: &SockAddrContext, family: Family) -> i32 {
    let Some(vip) = endpoint(ctx, family) else { return ALLOW };
    // SAFETY: the context is this program's.
    let cookie = || unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
    match balance_steadily(&vip, cookie) {
        Destination::Other => ALLOW,
        Destination::Nobody => refuse(),
        Destination::Backend(target) => {
            // SAFETY: the context's socket is alive while the program runs. Without memory
            // for it the datagram goes out, but the answer shows the backend.
            let flows: *mut Flows = unsafe { maps::FLOWS.get_or_insert_ptr_mut(ctx, None) };
            // SAFETY: null or a live value of the socket's. Another thread that sends on the
            // same socket writes another flow; a reader compares what it needs.
            if let Some(flows) = unsafe { flows.as_mut() }
                && flows.remember(Flow { vip, backend: *target.backend })
            {
                count(&vip, &target, Event::Flow);
            }
            rewrite(ctx, family, target.backend);
            ALLOW
        }
    }
}
