//! `recvfrom()` and `recvmsg()` on UDP sockets: the answer comes from the VIP.

use aya_ebpf::{macros::cgroup_sock_addr, programs::SockAddrContext};
use muster_packet::Flows;

use crate::{
    maps,
    sockets::{ALLOW, Family, endpoint, rewrite, udp_socket},
};

/// `AF_INET` sockets.
///
/// Linux 5.7: links of cgroups. Next are the socket in the context (5.3), and the hook (5.2).
#[cgroup_sock_addr(recvmsg4)]
pub fn recvmsg4(ctx: SockAddrContext) -> i32 {
    recvmsg(&ctx, Family::V4)
}

/// `AF_INET6` sockets.
///
/// Linux 5.7, as [`recvmsg4`].
#[cgroup_sock_addr(recvmsg6)]
pub fn recvmsg6(ctx: SockAddrContext) -> i32 {
    recvmsg(&ctx, Family::V6)
}

#[inline(always)]
fn recvmsg(ctx: &SockAddrContext, family: Family) -> i32 {
    let Some(sender) = endpoint(ctx, family) else { return ALLOW };
    // SAFETY: the context's socket is alive while the program runs.
    let flows: *mut Flows = unsafe { maps::FLOWS.get_ptr_mut(ctx) };
    // SAFETY: null or a live value of the socket's, only read.
    if let Some(vip) = unsafe { flows.as_ref() }.and_then(|flows| flows.vip(&sender)) {
        rewrite(ctx, family, vip);
        return ALLOW;
    }
    if let Some(vip) = udp_socket(ctx).vip(&sender) {
        rewrite(ctx, family, &vip);
    }
    ALLOW
}
