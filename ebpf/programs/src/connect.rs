//! `connect()`: the VIP becomes a backend before the kernel looks for a route.

use aya_ebpf::{macros::cgroup_sock_addr, programs::SockAddrContext};
use muster_packet::UDP;

use crate::{
    balance::{Destination, balance},
    count::{Event, count},
    sockets::{ALLOW, Family, endpoint, refuse, rewrite, socket},
};

/// `AF_INET` sockets.
///
/// Linux 5.12: atomic exchange. Next are `bpf_ktime_get_coarse_ns` (5.11), and links of cgroups (5.7). From 6.1 on
/// refusals are `ECONNREFUSED` (`bpf_set_retval` in this hook).
#[cgroup_sock_addr(connect4)]
pub fn connect4(ctx: SockAddrContext) -> i32 {
    connect(&ctx, Family::V4)
}

/// `AF_INET6` sockets, to an IPv6 address or to one that maps an IPv4 address.
///
/// Linux 5.12, as [`connect4`].
#[cgroup_sock_addr(connect6)]
pub fn connect6(ctx: SockAddrContext) -> i32 {
    connect(&ctx, Family::V6)
}

#[inline(always)]
fn connect(ctx: &SockAddrContext, family: Family) -> i32 {
    let socket = socket(ctx);
    let destination = endpoint(ctx, family);
    let choice = match &destination {
        Some(vip) => balance(vip),
        None => Destination::Other,
    };
    match (destination, choice) {
        (Some(vip), Destination::Backend(target)) => {
            socket.remember(&vip, &target);
            if vip.protocol == UDP {
                count(&vip, &target, Event::Flow);
            }
            rewrite(ctx, family, target.backend);
            ALLOW
        }
        (_, Destination::Nobody) => refuse(),
        _ => {
            // It may have tried a VIP before.
            socket.forget();
            ALLOW
        }
    }
}
