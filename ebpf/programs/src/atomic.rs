//! Atomic addition, which core does not offer for this target.

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
