//! The eBPF object: thin entry points, one file per hook.
//!
//! What a program decides is in `muster-packet`; here is only how it gets at its inputs and
//! carries the decision out. Every program is attached to an agent's cgroup and sees the
//! sockets of the processes below it, nothing else.
#![no_std]
#![no_main]
// Atomic addition is inline assembly; see `atomic`.
#![feature(asm_experimental_arch)]

mod atomic;
mod balance;
mod connect;
mod count;
mod forward;
mod getpeername;
mod maps;
mod peers;
mod recvmsg;
mod release;
mod sendmsg;
mod sockets;
mod sockops;

/// Lets the kernel's GPL-only helpers be called.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Unreachable: nothing here can panic, and the verifier would refuse the loop.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
