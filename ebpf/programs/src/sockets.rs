//! The address in a socket address context, in both families.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{bpf_get_socket_cookie, bpf_set_retval},
    programs::SockAddrContext,
};
use muster_packet::{Endpoint, TCP};

use crate::peers::Socket;

/// The context's address may be used.
pub const ALLOW: i32 = 1;

/// The call fails with the error of [`refuse`].
pub const DENY: i32 = 0;

/// `errno` of a connection that nobody takes.
const ECONNREFUSED: i32 = 111;

/// `::ffff:0:0/96`, in network order, as the third word of an IPv4-mapped IPv6 address.
const MAPPED: u32 = 0xffff_u32.to_be();

/// Address family of a hook.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`: sockets that speak both reach IPv4 by IPv4-mapped addresses.
    V6,
}

/// The IPv4 address and the port in the context, both in network order. `None` for an IPv6
/// address that maps no IPv4 address.
#[inline(always)]
pub fn address(ctx: &SockAddrContext, family: Family) -> Option<(u32, u32)> {
    let addr = ctx.sock_addr;
    // SAFETY: the kernel hands every program a valid context, and the verifier rewrites
    // these loads into checked ones; volatile keeps them the size it expects.
    unsafe {
        let ip = match family {
            Family::V4 => (&raw const (*addr).user_ip4).read_volatile(),
            Family::V6 => {
                let words = (&raw const (*addr).user_ip6).cast::<u32>();
                let mapped = words.read_volatile() == 0
                    && words.add(1).read_volatile() == 0
                    && words.add(2).read_volatile() == MAPPED;
                if !mapped {
                    return None;
                }
                words.add(3).read_volatile()
            }
        };
        Some((ip, (&raw const (*addr).user_port).read_volatile()))
    }
}

/// The destination in the context, if it can be a VIP.
#[inline(always)]
pub fn endpoint(ctx: &SockAddrContext, family: Family) -> Option<Endpoint> {
    let (ip, port) = address(ctx, family)?;
    // SAFETY: as in `address`.
    let protocol = unsafe { (&raw const (*ctx.sock_addr).protocol).read_volatile() };
    Endpoint::from_context(ip, port, protocol)
}

/// Puts another address into the context. An IPv6 context keeps its mapping prefix.
#[inline(always)]
pub fn rewrite(ctx: &SockAddrContext, family: Family, to: &Endpoint) {
    let addr = ctx.sock_addr;
    // SAFETY: as in `address`, for stores.
    unsafe {
        match family {
            Family::V4 => (&raw mut (*addr).user_ip4).write_volatile(to.user_ip4()),
            Family::V6 => {
                (&raw mut (*addr).user_ip6).cast::<u32>().add(3).write_volatile(to.user_ip4());
            }
        }
        (&raw mut (*addr).user_port).write_volatile(to.user_port());
    }
}

/// Makes the system call fail with `ECONNREFUSED`, as if the destination had said so.
///
/// The helper is there for these hooks from Linux 6.1 on.
#[inline(always)]
pub fn refuse() -> i32 {
    // SAFETY: takes a number only.
    unsafe { bpf_set_retval(-ECONNREFUSED) };
    DENY
}

/// The context's socket.
#[inline(always)]
pub fn socket(ctx: &SockAddrContext) -> Socket {
    // SAFETY: as in `address`; and the context is this program's.
    let cookie = unsafe {
        if (&raw const (*ctx.sock_addr).protocol).read_volatile() == u32::from(TCP) {
            bpf_get_socket_cookie(ctx.as_ptr())
        } else {
            0
        }
    };
    Socket { cookie, ..udp_socket(ctx) }
}

/// The context's socket, where only UDP sockets come.
#[inline(always)]
pub fn udp_socket(ctx: &SockAddrContext) -> Socket {
    // SAFETY: as in `address`.
    Socket { cookie: 0, sk: unsafe { (*ctx.sock_addr).__bindgen_anon_1.sk } }
}
