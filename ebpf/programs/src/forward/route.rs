//! Where a packet goes next.

use core::{ffi::c_void, mem::zeroed};

use aya_ebpf::{
    bindings::{
        BPF_FIB_LKUP_RET_FRAG_NEEDED, BPF_FIB_LKUP_RET_NO_NEIGH, BPF_FIB_LKUP_RET_SUCCESS,
        bpf_fib_lookup as Lookup, bpf_redir_neigh as Neighbour,
    },
    helpers::generated::bpf_fib_lookup,
};
use muster_packet::{Event, Tuple};

/// `AF_INET`.
const INET: u8 = 2;
/// `AF_INET6`.
const INET6: u8 = 10;

/// What the kernel's routes and neighbours say.
pub enum Route {
    /// Out of that interface, to that neighbour.
    To {
        /// The interface's index.
        interface: u32,
        /// Its address.
        source: [u8; 6],
        /// The neighbour's.
        destination: [u8; 6],
        /// Who that is.
        next: Neighbour,
    },
    /// Out of that interface, to a neighbour whose address is not known yet.
    Unknown(u32, Neighbour),
    /// It is larger than what fits on the way, which is this.
    TooBig(u16),
    /// Not on from here, for the reason that is counted.
    None(Event),
}

/// Asks for the way of a packet of this tuple, which has come in by an interface. Of `length` bytes from its IP header on, or
/// 0 if that does not matter. Linux 4.18; what would fit is told since 5.12.
#[inline(always)]
pub fn route(ctx: *mut c_void, interface: u32, tuple: &Tuple, length: u16) -> Route {
    // SAFETY: a C structure of integers.
    let mut lookup: Lookup = unsafe { zeroed() };
    lookup.ifindex = interface;
    lookup.l4_protocol = tuple.protocol;
    lookup.sport = tuple.source_port.to_be();
    lookup.dport = tuple.destination_port.to_be();
    lookup.__bindgen_anon_1.tot_len = length;
    if tuple.destination.is_v4() {
        lookup.family = INET;
        lookup.__bindgen_anon_3.ipv4_src = u32::from_ne_bytes(tuple.source.last());
        lookup.__bindgen_anon_4.ipv4_dst = u32::from_ne_bytes(tuple.destination.last());
    } else {
        lookup.family = INET6;
        let [s0, s1] = tuple.source.words;
        let [d0, d1] = tuple.destination.words;
        lookup.__bindgen_anon_3.ipv6_src = words(s0, s1);
        lookup.__bindgen_anon_4.ipv6_dst = words(d0, d1);
    }
    // SAFETY: the context is the program's, and the kernel knows the structure's size.
    let result = unsafe { bpf_fib_lookup(ctx, &raw mut lookup, size_of::<Lookup>() as i32, 0) };
    let result = result as u32;
    if result == BPF_FIB_LKUP_RET_SUCCESS {
        Route::To {
            interface: lookup.ifindex,
            source: lookup.smac,
            destination: lookup.dmac,
            next: next(&lookup),
        }
    } else if result == BPF_FIB_LKUP_RET_NO_NEIGH {
        Route::Unknown(lookup.ifindex, next(&lookup))
    } else if result == BPF_FIB_LKUP_RET_FRAG_NEEDED {
        // SAFETY: what the kernel has written there.
        Route::TooBig(unsafe { lookup.__bindgen_anon_1.mtu_result })
    } else {
        Route::None(Event::NoRoute)
    }
}

/// The kernel has put the gateway where the destination was, which may be of the other family.
#[inline(always)]
fn next(lookup: &Lookup) -> Neighbour {
    // SAFETY: a C structure of integers.
    let mut next: Neighbour = unsafe { zeroed() };
    next.nh_family = lookup.family.into();
    // SAFETY: both are integers, and all of them have been written.
    next.__bindgen_anon_1.ipv6_nh = unsafe { lookup.__bindgen_anon_4.ipv6_dst };
    next
}

/// Sixteen bytes as the kernel's structure has them.
#[inline(always)]
fn words(first: u64, second: u64) -> [u32; 4] {
    [first as u32, (first >> 32) as u32, second as u32, (second >> 32) as u32]
}
