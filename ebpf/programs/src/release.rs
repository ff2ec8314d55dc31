//! A socket is closed for good: its place is free for another, at once or when its last state is known.

use aya_ebpf::{
    EbpfContext as _, helpers::bpf_get_socket_cookie, macros::cgroup_sock, programs::SockContext,
};
use muster_packet::TCP;

use crate::{peers::Socket, sockets::ALLOW};

/// Every socket of the cgroup, when its last descriptor is closed.
///
/// Linux 5.12: atomic exchange. Next is the hook (5.9).
#[cgroup_sock(sock_release)]
pub fn release(ctx: SockContext) -> i32 {
    // SAFETY: the kernel hands every program a valid context.
    let (protocol, state) = unsafe {
        (
            (&raw const (*ctx.sock).protocol).read_volatile(),
            (&raw const (*ctx.sock).state).read_volatile(),
        )
    };
    // What is kept in the socket ends with it.
    if protocol == u32::from(TCP) {
        // SAFETY: the context is this program's.
        let cookie = unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
        let socket = Socket { cookie, sk: ctx.sock };
        if let Some(record) = socket.record()
            && !record.close(state)
            // Its handshake or its end was decided this very moment, on another processor.
            && let Some(record) = socket.record()
        {
            record.close(state);
        }
    }
    ALLOW
}
