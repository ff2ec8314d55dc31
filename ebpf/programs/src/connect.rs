//! `connect()`: the VIP becomes a backend before the kernel looks for a route.

use aya_ebpf::{macros::cgroup_sock_addr, programs::SockAddrContext};
use muster_packet::{Peer, UDP};

use crate::{
    balance::{Destination, Event, balance, count},
    maps::PEERS,
    sockets::{ALLOW, Family, endpoint, refuse, rewrite},
};

/// `AF_INET` sockets.
#[cgroup_sock_addr(connect4)]
pub fn connect4(ctx: SockAddrContext) -> i32 {
    connect(&ctx, Family::V4)
}

/// `AF_INET6` sockets that connect to an IPv4-mapped address.
#[cgroup_sock_addr(connect6)]
pub fn connect6(ctx: SockAddrContext) -> i32 {
    connect(&ctx, Family::V6)
}

#[inline(always)]
fn connect(ctx: &SockAddrContext, family: Family) -> i32 {
    let Some(vip) = endpoint(ctx, family) else { return ALLOW };
    match balance(&vip) {
        Destination::Other => {
            // The socket may have tried a VIP before. No storage, no cost: the pointer to it
            // is in the socket.
            // SAFETY: the context's socket is alive while the program runs.
            unsafe {
                let sk = (*ctx.sock_addr).__bindgen_anon_1.sk;
                // An error says that there was none.
                let _ = PEERS.delete(sk);
            }
            ALLOW
        }
        Destination::Nobody => refuse(),
        Destination::Backend(backend) => {
            let mut fresh = Peer::new(vip, backend);
            // SAFETY: the context's socket is alive while the program runs. Without memory
            // for it the connection works, but shows the backend as its peer.
            let peer = unsafe { PEERS.get_or_insert_ptr_mut(ctx, Some(&mut fresh)) };
            if !peer.is_null() {
                // SAFETY: not null, and the caller of connect() holds the socket's lock.
                // Field by field: as a whole it would be a call of memmove.
                unsafe {
                    (&raw mut (*peer).vip).write_volatile(vip);
                    (&raw mut (*peer).backend).write_volatile(backend);
                    (&raw mut (*peer).pending).write_volatile(0);
                    (&raw mut (*peer).callback).write_volatile(0);
                }
            }
            if vip.protocol == UDP {
                count(&backend, Event::Flow);
            }
            rewrite(ctx, family, &backend);
            ALLOW
        }
    }
}
