//! `getpeername()`: the program sees whom it asked for.

use aya_ebpf::{macros::cgroup_sock_addr, programs::SockAddrContext};

use crate::sockets::{ALLOW, Family, endpoint, rewrite, socket};

/// `AF_INET` sockets.
///
/// Linux 5.8: the hook. Next are links of cgroups (5.7).
#[cgroup_sock_addr(getpeername4)]
pub fn getpeername4(ctx: SockAddrContext) -> i32 {
    getpeername(&ctx, Family::V4)
}

/// `AF_INET6` sockets.
///
/// Linux 5.8, as [`getpeername4`].
#[cgroup_sock_addr(getpeername6)]
pub fn getpeername6(ctx: SockAddrContext) -> i32 {
    getpeername(&ctx, Family::V6)
}

#[inline(always)]
fn getpeername(ctx: &SockAddrContext, family: Family) -> i32 {
    let Some(peer) = endpoint(ctx, family) else { return ALLOW };
    if let Some(vip) = socket(ctx).vip(&peer) {
        rewrite(ctx, family, &vip);
    }
    ALLOW
}
