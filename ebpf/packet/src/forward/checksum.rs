//! The Internet checksum (RFC 1071), kept right without adding up the packet (RFC 1624).

/// What was taken out of a packet and what was put in, as a one's complement sum of 16-bit words
/// in the order they have in memory: the sum does not depend on the machine's (RFC 1071, 2.B).
///
/// Each change adds less than 2^35, and nobody makes 2^29 of them, so it is folded only when it is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Difference(u64);

impl Difference {
    /// Nothing changed.
    pub const NONE: Self = Self(0);

    /// One word instead of another, both as they lie in memory.
    #[inline(always)]
    pub const fn of16(old: u16, new: u16) -> Self {
        Self(!old as u64 + new as u64)
    }

    /// Eight bytes instead of others.
    #[inline(always)]
    pub const fn of64(old: u64, new: u64) -> Self {
        let (old, new) = (!old, new);
        Self((old & LOW) + (old >> 32) + (new & LOW) + (new >> 32))
    }

    /// Both changes.
    #[inline(always)]
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// As helpers of the kernel give it.
    #[inline(always)]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits as u64)
    }

    /// As they take it: what the kernel calls a `__wsum`.
    #[inline(always)]
    pub const fn bits(self) -> u64 {
        fold32(self.0) as u64
    }

    /// The checksum that was `checksum` before the change (RFC 1624, equation 3), both as they lie
    /// in memory.
    #[inline(always)]
    pub const fn apply(self, checksum: u16) -> u16 {
        !fold16(!checksum as u64 + self.0)
    }
}

const LOW: u64 = 0xffff_ffff;

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "after two steps nothing is left above")]
const fn fold32(sum: u64) -> u32 {
    let once = (sum & LOW) + (sum >> 32);
    ((once & LOW) + (once >> 32)) as u32
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "after four steps nothing is left above")]
const fn fold16(sum: u64) -> u16 {
    // Below 2^33 after the first step, 2^18 after the second, 2^17 after the third.
    let sum = (sum & LOW) + (sum >> 32);
    let once = (sum & 0xffff) + (sum >> 16);
    let twice = (once & 0xffff) + (once >> 16);
    ((twice & 0xffff) + (twice >> 16)) as u16
}

#[cfg(test)]
mod tests {
    extern crate std;
    use proptest::prelude::*;

    use super::*;

    /// The checksum of some words, added up.
    fn sum(words: &[u16]) -> u16 {
        let mut sum: u64 = words.iter().map(|&word| u64::from(word)).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap()
    }

    proptest! {
        #[test]
        fn changed_sum_is_the_sum_of_what_was_changed(
            mut words in proptest::collection::vec(any::<u16>(), 5..40), new: [u16; 5],
        ) {
            // A header is never all zero: it says its version.
            words[4] |= 1;
            let before = sum(&words);
            let wide = |w: &[u16]| w.iter().rev().fold(0u64, |all, &word| all << 16 | u64::from(word));
            let difference = Difference::of64(wide(&words[..4]), wide(&new[..4]))
                .and(Difference::of16(words[4], new[4] | 1));
            words[..4].copy_from_slice(&new[..4]);
            words[4] = new[4] | 1;
            prop_assert_eq!(difference.apply(before), sum(&words));
        }

        #[test]
        fn change_there_and_back_is_none(old: u64, new: u64, checksum in 0u16..0xffff) {
            let (there, back) = (Difference::of64(old, new), Difference::of64(new, old));
            prop_assert_eq!(back.apply(there.apply(checksum)), checksum);
            prop_assert_eq!(there.and(back).apply(checksum), checksum);
        }
    }

    #[test]
    fn example_of_the_rfc() {
        // RFC 1624, 4: m = 0x5555 becomes 0x3285, and the checksum 0xdd2f is 0x0000.
        assert_eq!(Difference::of16(0x5555, 0x3285).apply(0xdd2f), 0x0000);
    }

    #[test]
    fn largest_sums_fold() {
        assert_eq!(fold32(u64::MAX), u32::MAX);
        assert_eq!((fold16(u64::MAX), fold16(0x1_ffff_ffff), fold16(0)), (u16::MAX, 1, 0));
        let most = Difference::from_bits(u32::MAX);
        assert_eq!(most.and(most).bits(), most.bits());
        assert_eq!(most.apply(0), 0);
        assert_eq!(most.apply(0x1234), 0x1234);
        // As much as all changes of a packet together can be.
        let all = (0..1_000).fold(most, |all, _| all.and(Difference::of64(0, u64::MAX)));
        assert_eq!(all.apply(0x1234), 0x1234);
    }
}
