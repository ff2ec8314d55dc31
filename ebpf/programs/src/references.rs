//! What the others are measured against: an object by itself, which no agent has.
#![no_std]
#![no_main]

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};

/// Half of the two Ethernet addresses that a packet begins with, in units of two bytes.
const HALF: usize = 3;

/// Sends every packet back to where it is from: swaps the Ethernet addresses, as any program must that
/// transmits, and does nothing else.
///
/// Linux 4.8.
#[xdp]
pub fn transmit(ctx: XdpContext) -> u32 {
    let (start, end) = (ctx.data(), ctx.data_end());
    if start + 2 * HALF * size_of::<u16>() > end {
        return xdp_action::XDP_DROP;
    }
    let addresses = start as *mut u16;
    for at in 0..HALF {
        // SAFETY: within the packet, as was just compared, which begins at an even address.
        unsafe {
            let (to, from) = (addresses.add(at), addresses.add(at + HALF));
            let kept = to.read();
            to.write(from.read());
            from.write(kept);
        }
    }
    xdp_action::XDP_TX
}

/// Drops every packet: what it costs to run any program at all.
///
/// Linux 4.8.
#[xdp]
pub fn discard(_: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// Lets every packet pass, as if it were not there.
///
/// Linux 4.8.
#[xdp]
pub fn pass(_: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// Unreachable: nothing here can panic.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
