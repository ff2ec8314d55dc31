//! `getpeername()`: the program sees whom it asked for.

use aya_ebpf::{macros::cgroup_sock_addr, programs::SockAddrContext};

use crate::sockets::{ALLOW, Family, address, rewrite, socket};

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
    if let Some(vip) = socket(ctx).vip(ip, port) {
        rewrite(ctx, family, &vip);
    }
    ALLOW
}
