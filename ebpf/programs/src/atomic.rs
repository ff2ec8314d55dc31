//! Atomic operations, which core does not offer for this target.

use core::arch::asm;

/// Adds to a number that other processors may be adding to.
///
/// # Safety
///
/// `field` points into a map value that is alive, and is aligned to 8.
#[inline(always)]
pub unsafe fn add(field: *mut u64, value: u64) {
    // SAFETY: one instruction that reads and writes what the caller vouches for.
    unsafe {
        asm!(
            "lock *(u64 *)({field} + 0) += {value}",
            field = in(reg) field,
            value = in(reg) value,
            options(nostack, preserves_flags),
        );
    }
}

/// Changes a number from `from` to `to`, unless it is another one by now. True if it was
/// changed. Linux 5.12.
///
/// # Safety
///
/// As for [`add`].
#[inline(always)]
pub unsafe fn exchange(field: *mut u64, from: u64, to: u64) -> bool {
    let found: u64;
    // SAFETY: one instruction that reads and writes what the caller vouches for.
    unsafe {
        asm!(
            "r0 = cmpxchg_64({field} + 0, r0, {to})",
            field = in(reg) field,
            to = in(reg) to,
            inlateout("r0") from => found,
            options(nostack, preserves_flags),
        );
    }
    found == from
}
