//! What tells one flow from another.

use crate::{Address, Endpoint};

/// One direction of a flow: addresses, ports (in host order) and protocol of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// Where the packet is from.
    pub source: Address,
    /// Where it is going.
    pub destination: Address,
    /// The source's.
    pub source_port: u16,
    /// The destination's.
    pub destination_port: u16,
    /// [`TCP`](crate::TCP) or [`UDP`](crate::UDP).
    pub protocol: u8,
}

impl Tuple {
    /// The tuple of packets in the other direction.
    #[inline(always)]
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            protocol: self.protocol,
        }
    }

    /// Where the packet is going, as VIPs are looked up.
    #[inline(always)]
    pub const fn vip(&self) -> Endpoint {
        self.destination.endpoint(self.destination_port, self.protocol)
    }

    /// The number that a flow's backend is chosen by: the same on every machine.
    #[inline(always)]
    pub const fn spread(&self) -> u64 {
        self.hash(0)
    }

    /// A number that nobody can foresee who does not know `seed`: else all places of one bucket
    /// could be taken on purpose.
    #[inline(always)]
    pub const fn hash(&self, seed: u64) -> u64 {
        let rest = self.source_port as u64
            | (self.destination_port as u64) << 16
            | (self.protocol as u64) << 32;
        let mut hash = seed;
        // Of IPv4 these are known beforehand.
        hash = step(hash, self.source.words[0]);
        hash = step(hash, self.destination.words[0]);
        hash = step(hash, self.source.words[1]);
        hash = step(hash, self.destination.words[1]);
        hash = step(hash, rest);
        // The finalizer of MurmurHash3 (A. Appleby), with the secret once more.
        hash ^= seed.rotate_left(29);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ (hash >> 33)
    }
}

#[inline(always)]
const fn step(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::TCP;

    fn tuple(n: u32) -> Tuple {
        Tuple {
            source: Address::v4((0x0a00_0000 + n / 7).to_be_bytes()),
            destination: Address::v4([11, 0, 0, 1]),
            source_port: (n % 7) as u16 + 40_000,
            destination_port: 80,
            protocol: TCP,
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "two hundred thousand hash values take minutes")]
    fn flows_are_spread_evenly_and_differently_for_each_seed() {
        for seed in [0, 1, u64::MAX] {
            let (mut low, mut high) = ([0u32; 64], [0u32; 64]);
            for n in 0..64_000 {
                let hash = tuple(n).hash(seed);
                low[(hash & 63) as usize] += 1;
                high[(hash >> 58) as usize] += 1;
            }
            for hits in [low, high] {
                assert!(hits.iter().all(|n| (850..1150).contains(n)), "{hits:?}");
            }
        }
        assert_ne!(tuple(1).hash(1), tuple(1).hash(2));
        assert_ne!(tuple(1).hash(1), tuple(1).reversed().hash(1));
        assert_eq!(tuple(1).reversed().reversed(), tuple(1));
    }
}
