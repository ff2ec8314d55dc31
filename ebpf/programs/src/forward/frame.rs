//! Access to a packet's bytes.

use core::arch::asm;

/// Where the headers of a packet may be: the verifier wants to know a bound. The longest that are looked at
/// are an ICMP error's, with options in both IP headers.
const REACH: usize = 511;

/// The address of a `T` in the packet between two addresses, if it is there.
#[inline(always)]
pub fn at<T>(start: usize, end: usize, offset: u32) -> Option<*mut T> {
    let mut address = start;
    // SAFETY: arithmetic on two registers. The compiler must not leave the bound out, knowing more than
    // the verifier does; and what is compared below has to be what is used, in one register.
    unsafe {
        asm!(
            "{offset} &= {reach}",
            "{address} += {offset}",
            // As it is: what is above its 32 bits is cut off here.
            offset = inout(reg) offset => _,
            address = inout(reg) address,
            reach = const REACH,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    if address + size_of::<T>() > end { None } else { Some(address as *mut T) }
}

/// A number that the verifier does not know any more, mixed with another that it never knew.
#[inline(always)]
pub fn blur(number: u32, unknown: u64) -> u32 {
    let mut number = u64::from(number);
    // SAFETY: arithmetic on one register, to no effect.
    unsafe {
        asm!(
            "{number} ^= {unknown}",
            "{number} ^= {unknown}",
            number = inout(reg) number,
            unknown = in(reg) unknown,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    number as u32
}

/// Implements `Packet`'s loads and stores for a type with the methods `start`, `end` and `unknown`.
///
/// Each is one instruction, wherever it is: the kernel's processors do that, while the compiler would go byte by byte.
macro_rules! access {
    () => {
        access!(load load8, u8, "u8");
        access!(load load16, u16, "u16");
        access!(load load32, u32, "u32");
        access!(load load64, u64, "u64");
        access!(store store16, u16, "u16");
        access!(store store32, u32, "u32");
        access!(store store64, u64, "u64");

        #[inline(always)]
        fn load160(&self, at: u32) -> Option<[u32; 5]> {
            let bytes = $crate::forward::frame::at::<[u32; 5]>(self.start(), self.end(), at)?;
            let (a, b, c, d, e): (u64, u64, u64, u64, u64);
            // SAFETY: loads of what is within the packet, as the verifier has checked.
            unsafe {
                core::arch::asm!(
                    "{a} = *(u32 *)({bytes} + 0)",
                    "{b} = *(u32 *)({bytes} + 4)",
                    "{c} = *(u32 *)({bytes} + 8)",
                    "{d} = *(u32 *)({bytes} + 12)",
                    "{e} = *(u32 *)({bytes} + 16)",
                    a = out(reg) a,
                    b = out(reg) b,
                    c = out(reg) c,
                    d = out(reg) d,
                    e = out(reg) e,
                    bytes = in(reg) bytes,
                    options(readonly, nostack, preserves_flags),
                );
            }
            Some([a as u32, b as u32, c as u32, d as u32, e as u32])
        }

        #[inline(always)]
        fn store96(&mut self, at: u32, [a, b, c]: [u32; 3]) -> Option<()> {
            let bytes = $crate::forward::frame::at::<[u32; 3]>(self.start(), self.end(), at)?;
            // SAFETY: stores to what is within the packet, as the verifier has checked.
            unsafe {
                core::arch::asm!(
                    "*(u32 *)({bytes} + 0) = {a}",
                    "*(u32 *)({bytes} + 4) = {b}",
                    "*(u32 *)({bytes} + 8) = {c}",
                    a = in(reg) u64::from(a),
                    b = in(reg) u64::from(b),
                    c = in(reg) u64::from(c),
                    bytes = in(reg) bytes,
                    options(nostack, preserves_flags),
                );
            }
            Some(())
        }

        #[inline(always)]
        fn blur(&self, offset: u32) -> u32 {
            $crate::forward::frame::blur(offset, u64::from(self.unknown()))
        }
    };
    (load $name:ident, $type:ty, $width:literal) => {
        #[inline(always)]
        fn $name(&self, at: u32) -> Option<$type> {
            let bytes = $crate::forward::frame::at::<$type>(self.start(), self.end(), at)?;
            let value: u64;
            // SAFETY: one load of what is within the packet, as the verifier has checked.
            unsafe {
                core::arch::asm!(
                    concat!("{value} = *(", $width, " *)({bytes} + 0)"),
                    value = out(reg) value,
                    bytes = in(reg) bytes,
                    options(readonly, nostack, preserves_flags),
                );
            }
            Some(value as $type)
        }
    };
    (store $name:ident, $type:ty, $width:literal) => {
        #[inline(always)]
        fn $name(&mut self, at: u32, value: $type) -> Option<()> {
            let bytes = $crate::forward::frame::at::<$type>(self.start(), self.end(), at)?;
            // SAFETY: one store, as above.
            unsafe {
                core::arch::asm!(
                    concat!("*(", $width, " *)({bytes} + 0) = {value}"),
                    value = in(reg) u64::from(value),
                    bytes = in(reg) bytes,
                    options(nostack, preserves_flags),
                );
            }
            Some(())
        }
    };
}

pub(crate) use access;
