//! A packet's bytes: in the kernel those in its buffer, in a test a slice.

use super::Difference;

/// Reads and writes at offsets from the start of the Ethernet header. `None` beyond the end.
pub trait Packet {
    /// One byte.
    fn load8(&self, at: u32) -> Option<u8>;
    /// Two, as they lie in memory.
    fn load16(&self, at: u32) -> Option<u16>;
    /// Four.
    fn load32(&self, at: u32) -> Option<u32>;
    /// Eight.
    fn load64(&self, at: u32) -> Option<u64>;

    /// Twenty, in words of four: a header of IPv4, or of TCP, without options.
    #[inline(always)]
    fn load160(&self, at: u32) -> Option<[u32; 5]> {
        Some([
            self.load32(at)?,
            self.load32(at + 4)?,
            self.load32(at + 8)?,
            self.load32(at + 12)?,
            self.load32(at + 16)?,
        ])
    }

    /// Writes two bytes.
    fn store16(&mut self, at: u32, value: u16) -> Option<()>;
    /// Writes four.
    fn store32(&mut self, at: u32, value: u32) -> Option<()>;
    /// Writes eight.
    fn store64(&mut self, at: u32, value: u64) -> Option<()>;

    /// Writes twelve, in words of four.
    #[inline(always)]
    fn store96(&mut self, at: u32, [first, second, third]: [u32; 3]) -> Option<()> {
        self.store32(at, first)?;
        self.store32(at + 4, second)?;
        self.store32(at + 8, third)
    }

    /// The same number. The verifier would follow every way on which an offset came about by itself; what it cannot
    /// know, it need not tell apart.
    #[inline(always)]
    fn blur(&self, offset: u32) -> u32 {
        offset
    }

    /// A number of two bytes in network order.
    #[inline(always)]
    fn number(&self, at: u32) -> Option<u16> {
        Some(u16::from_be(self.load16(at)?))
    }

    /// Corrects the checksum of a transport header, given what changed of what its pseudo-header
    /// has in common with the IP header, and what changed else. Where `optional`, 0 means that there is
    /// none, and 0xffff what else were 0 (RFC 768).
    ///
    /// The kernel may have left part of the adding up to the network card: then it has to be told which is which.
    #[inline(always)]
    fn correct(
        &mut self,
        at: u32,
        pseudo: Difference,
        rest: Difference,
        optional: bool,
    ) -> Option<()> {
        let before = self.load16(at)?;
        if optional && before == 0 {
            return Some(());
        }
        let after = pseudo.and(rest).apply(before);
        self.store16(at, if optional && after == 0 { 0xffff } else { after })
    }

    /// Tells of a change of a header that has no checksum of its own. The kernel may have the sum of the whole packet,
    /// and takes it that a change of addresses leaves that as it was, as it does with IPv4.
    #[inline(always)]
    fn unsummed(&mut self, change: Difference) {
        let _ = change;
    }
}

#[cfg(any(test, feature = "user"))]
mod slice {
    use super::Packet;

    fn part<const N: usize>(bytes: &[u8], at: u32) -> Option<[u8; N]> {
        bytes.get(at as usize..)?.first_chunk().copied()
    }

    fn put<const N: usize>(bytes: &mut [u8], at: u32, value: [u8; N]) -> Option<()> {
        *bytes.get_mut(at as usize..)?.first_chunk_mut()? = value;
        Some(())
    }

    impl Packet for [u8] {
        fn load8(&self, at: u32) -> Option<u8> {
            self.get(at as usize).copied()
        }

        fn load16(&self, at: u32) -> Option<u16> {
            part(self, at).map(u16::from_ne_bytes)
        }

        fn load32(&self, at: u32) -> Option<u32> {
            part(self, at).map(u32::from_ne_bytes)
        }

        fn load64(&self, at: u32) -> Option<u64> {
            part(self, at).map(u64::from_ne_bytes)
        }

        fn store16(&mut self, at: u32, value: u16) -> Option<()> {
            put(self, at, value.to_ne_bytes())
        }

        fn store32(&mut self, at: u32, value: u32) -> Option<()> {
            put(self, at, value.to_ne_bytes())
        }

        fn store64(&mut self, at: u32, value: u64) -> Option<()> {
            put(self, at, value.to_ne_bytes())
        }
    }
}
