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

/// 0 if the kernel has no `bpf_set_retval` in these hooks, which is Linux 6.1's. The loader sets it, and the verifier
/// then leaves out what calls it.
#[unsafe(no_mangle)]
static SETS_ERROR_NUMBERS: u32 = 1;

/// Address family of a hook.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`: sockets that speak both reach IPv4 by the addresses that map it.
    V6,
}

/// The address in the context, with its port and protocol, if it can be a VIP's or a backend's.
#[inline(always)]
pub fn endpoint(ctx: &SockAddrContext, family: Family) -> Option<Endpoint> {
    let addr = ctx.sock_addr;
    // SAFETY: the kernel hands every program a valid context, and the verifier rewrites
    // these loads into checked ones; volatile keeps them the size it expects. An IPv6 address
    // may be read as two words since Linux 5.3.
    unsafe {
        let port = (&raw const (*addr).user_port).read_volatile();
        let protocol = (&raw const (*addr).protocol).read_volatile();
        match family {
            Family::V4 => {
                let ip = (&raw const (*addr).user_ip4).read_volatile();
                Endpoint::from_ip4(ip, port, protocol)
            }
            Family::V6 => {
                let words = (&raw const (*addr).user_ip6).cast::<u64>();
                let ip = [words.read_volatile(), words.add(1).read_volatile()];
                Endpoint::from_ip6(ip, port, protocol)
            }
        }
    }
}

/// Puts another address into the context: in that of an IPv4 hook one of IPv4.
#[inline(always)]
pub fn rewrite(ctx: &SockAddrContext, family: Family, to: &Endpoint) {
    let addr = ctx.sock_addr;
    // SAFETY: as in `endpoint`, for stores.
    unsafe {
        match family {
            Family::V4 => (&raw mut (*addr).user_ip4).write_volatile(to.user_ip4()),
            Family::V6 => {
                let words = (&raw mut (*addr).user_ip6).cast::<u64>();
                let [first, second] = to.user_ip6();
                words.write_volatile(first);
                words.add(1).write_volatile(second);
            }
        }
        (&raw mut (*addr).user_port).write_volatile(to.user_port());
    }
}

/// Makes the system call fail with `ECONNREFUSED`, as if the destination had said so; where the kernel cannot be
/// told of it, with its own `EPERM`.
#[inline(always)]
pub fn refuse() -> i32 {
    // SAFETY: a live value; volatile, as another is put in its place.
    if unsafe { (&raw const SETS_ERROR_NUMBERS).read_volatile() } != 0 {
        // SAFETY: takes a number only.
        unsafe { bpf_set_retval(-ECONNREFUSED) };
    }
    DENY
}

/// The context's socket.
#[inline(always)]
pub fn socket(ctx: &SockAddrContext) -> Socket {
    // SAFETY: as in `endpoint`; and the context is this program's.
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
    // SAFETY: as in `endpoint`.
    Socket { cookie: 0, sk: unsafe { (*ctx.sock_addr).__bindgen_anon_1.sk } }
}
