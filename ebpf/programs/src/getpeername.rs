//! `getpeername()`: the program sees whom it asked for.

use aya_ebpf::{macros::cgroup_sock_addr, programs::SockAddrContext};
use muster_packet::Peer;

use crate::{
    maps,
    sockets::{ALLOW, Family, address, rewrite},
};

/// `AF_INET` sockets.
#[cgroup_sock_addr(getpeername4)]
pub fn getpeername4(ctx: SockAddrContext) -> i32 {
    getpeername(&ctx, Family::V4)
}

/// `AF_INET6` sockets connected to an IPv4-mapped address.
#[cgroup_sock_addr(getpeername6)]
pub fn getpeername6(ctx: SockAddrContext) -> i32 {
    getpeername(&ctx, Family::V6)
}

#[inline(always)]
fn getpeername(ctx: &SockAddrContext, family: Family) -> i32 {
    let Some((ip, port)) = address(ctx, family) else { return ALLOW };
    // SAFETY: the context's socket is alive while the program runs.
    let peer: *mut Peer = unsafe { maps::PEERS.get_ptr_mut(ctx) };
    // SAFETY: null or a live value of the socket's, only read.
    if let Some(peer) = unsafe { peer.as_ref() }
        && peer.backend.is_at(ip, port)
    {
        rewrite(ctx, family, &peer.vip);
    }
    ALLOW
}
