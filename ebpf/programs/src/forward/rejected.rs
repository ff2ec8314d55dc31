//! Answers of our own to packets that cannot go on.

use core::{arch::asm, hint::black_box};

use aya_ebpf::{
    btf_maps::PerCpuArray,
    helpers::generated::{bpf_csum_diff, bpf_ktime_get_coarse_ns},
    macros::btf_map,
};
use muster_packet::{
    Difference, Forwarded, Forwarding, MOST_SUMMED, Rejection, Resize, pay, reject,
};

use crate::{
    forward::{
        maps::Maps,
        plan::{EXPIRED, REFUSED, plan},
    },
    maps::FORWARDED,
};

/// Half of what is summed at once: before Linux 6.13 the kernel adds up no more than 512 bytes in one go.
const HALF: usize = MOST_SUMMED as usize / 2;
const WORDS: usize = MOST_SUMMED as usize / 8;

const _: () = assert!(HALF == 512 && MOST_SUMMED.is_power_of_two());

/// What is to be summed. Nothing else runs here that uses it, as with the plan.
#[btf_map(name = "summands")]
static SUMMANDS: PerCpuArray<[u64; WORDS], 1> = PerCpuArray::new();

/// Makes of the plan's packet the answer to it; false if it is to be dropped.
#[inline(always)]
pub fn rejected(packet: &mut impl Resize, step: u32) -> bool {
    let Some(plan) = plan() else { return false };
    let why = if step == REFUSED {
        Rejection::Refused
    } else if step == EXPIRED {
        Rejection::Expired
    } else {
        Rejection::TooBig(plan.mtu)
    };
    reject(&Maps, packet, &plan.segment, why).is_some()
}

/// Pays for an ICMP error.
#[inline(always)]
pub fn may_tell(rules: &Forwarding) -> bool {
    let Some(counters): Option<*mut Forwarded> = FORWARDED.get_ptr_mut(0) else { return false };
    // SAFETY: a live map value of this processor's; nothing else runs here meanwhile that would change it.
    let paid_ns = unsafe { &mut (*counters).paid_ns };
    // SAFETY: takes no arguments. Linux 5.11.
    let now_ns = unsafe { bpf_ktime_get_coarse_ns() };
    let Some(paid) = pay(*paid_ns, now_ns, rules.error_interval_ns, rules.error_burst) else {
        return false;
    };
    *paid_ns = paid;
    true
}

/// Sums up bytes that `copy` gets from the packet: to an address, as many as it is told, which is at least one. `None` if
/// it cannot.
#[inline(always)]
pub fn sum(length: u32, copy: impl FnOnce(*mut u64, u32) -> i64) -> Option<Difference> {
    if length == 0 || length > MOST_SUMMED {
        return None;
    }
    let buffer: *mut u64 = SUMMANDS.get_ptr_mut(0)?.cast();
    // What is behind the last byte must not count.
    for word in 0..black_box(WORDS as u64) {
        // SAFETY: a word of a live map value of this processor's. Volatile, for the loop is to stay one.
        unsafe { buffer.add(word as usize & (WORDS - 1)).write_volatile(0) };
    }
    let mut bytes = u64::from(length.wrapping_sub(1));
    // SAFETY: arithmetic on one register, to no effect. The compiler must not leave out the bounds, which the verifier
    // wants to see in the register that is used.
    unsafe {
        asm!(
            "{bytes} &= {most}",
            "{bytes} += 1",
            bytes = inout(reg) bytes,
            most = const MOST_SUMMED - 1,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    if copy(buffer, bytes as u32) != 0 {
        return None;
    }
    let (first, second) = (buffer.cast::<u32>(), buffer.wrapping_byte_add(HALF).cast::<u32>());
    let none = core::ptr::null_mut();
    // SAFETY: both halves of the buffer. Linux 4.6.
    let sum = unsafe {
        let sum = bpf_csum_diff(none, 0, first, HALF as u32, 0);
        bpf_csum_diff(none, 0, second, HALF as u32, sum as u32)
    };
    u32::try_from(sum).ok().map(Difference::from_bits)
}
