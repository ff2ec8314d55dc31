//! Maglev hashing: which backend a hash value means, much the same whatever becomes of others.
//!
//! D. E. Eisenbud et al., "Maglev: A fast and reliable software network load balancer",
//! NSDI 2016, section 3.4. A table of a prime number of slots names a backend in each. It is
//! the same on every machine that knows the same backends, each backend has its share of the
//! slots, and few slots change their backend when another one comes or goes.
//!
//! User space builds tables with `build` (feature `user`); the programs look into them with [`slot`].

#[cfg(any(test, feature = "user"))]
mod build;

mod page;

#[cfg(any(test, feature = "user"))]
pub use build::build;
pub use page::{MAX_PAGES, MaglevPage, PAGE_SLOTS, pages, place};

/// Numbers of slots: below each power of two the greatest prime.
#[cfg(not(miri))]
const SIZES: [u32; 10] =
    [16_381, 32_749, 65_521, 131_071, 262_139, 524_287, 1_048_573, 2_097_143, 4_194_301, 8_388_593];

/// Tables of those sizes take Miri, which interprets, minutes each.
#[cfg(miri)]
const SIZES: [u32; 10] = [251, 509, 1_021, 2_039, 4_093, 8_191, 16_381, 32_749, 65_521, 131_071];

/// Slots for each backend, at least: shares are then off by at most a hundredth.
const SLOTS_PER_BACKEND: u64 = if cfg!(miri) { 1 } else { 100 };

/// Most backends of one table: a slot names one by 16 bits.
pub const MAX_BACKENDS: usize = 1 << 16;

/// Part of every client's hash value. The same everywhere and at all times: a client that comes back keeps
/// its backend.
pub const SEED: u64 = 0x006d_6167_6c65_7600;

/// How many slots the table of so many backends has: a prime, at least 16,381, and at least
/// a hundred for each. `None` for more than [`MAX_BACKENDS`].
pub const fn slots(backends: usize) -> Option<u32> {
    let mut at = 0;
    while at < SIZES.len() && backends <= MAX_BACKENDS {
        if SIZES[at] as u64 >= backends as u64 * SLOTS_PER_BACKEND {
            return Some(SIZES[at]);
        }
        at += 1;
    }
    None
}

/// The slot of a hash value in a table of `size` slots. Below `size`, unless that is 0.
///
/// Made from the upper 32 bits without a division, as [`choose`](crate::choose) does.
#[inline(always)]
pub const fn slot(hash: u64, size: u32) -> u32 {
    (((hash >> 32) * size as u64) >> 32) as u32
}

/// A hash value of some numbers: a client's identity, or a flow's addresses, ports and protocol.
///
/// The finalizer of `MurmurHash3` (A. Appleby) for each number: every bit of it reaches every bit
/// of the result. Another `seed` is another function.
#[inline(always)]
pub const fn hash<const WORDS: usize>(seed: u64, words: [u64; WORDS]) -> u64 {
    let mut hash = mix(seed ^ 0x9e37_79b9_7f4a_7c15);
    let mut at = 0;
    while at < WORDS {
        hash = mix(hash.rotate_left(5).wrapping_add(words[at]));
        at += 1;
    }
    hash
}

#[inline(always)]
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use proptest::prelude::*;
    use std::{collections::BTreeSet, vec};

    use super::*;

    proptest! {
        #[test]
        fn slot_is_below_the_size(hash: u64, size in 1u32..) {
            prop_assert!(slot(hash, size) < size);
        }

        #[test]
        #[cfg_attr(miri, ignore = "tables are smaller")]
        fn there_are_a_hundred_slots_for_each_backend(backends in 0..=MAX_BACKENDS) {
            let slots = slots(backends).unwrap() as usize;
            prop_assert!(slots >= 16_381 && slots >= 100 * backends);
            prop_assert!(slots == 16_381 || slots < 201 * backends, "no more than are of use");
        }
    }

    #[test]
    fn sizes_are_primes_in_order() {
        assert!(SIZES.is_sorted());
        for size in SIZES {
            assert!((2..size).take_while(|d| d * d <= size).all(|d| size % d != 0), "{size}");
        }
        assert_eq!(slots(MAX_BACKENDS + 1), None);
    }

    #[test]
    fn first_and_last_hash_values_mean_the_first_and_last_slot() {
        assert_eq!(slot(0, 16_381), 0);
        assert_eq!(slot(u64::MAX, 16_381), 16_380);
        assert_eq!(slot(u64::MAX, 0), 0);
    }

    #[test]
    #[cfg_attr(miri, ignore = "two hundred thousand hash values take minutes")]
    fn consecutive_identities_are_spread_evenly() {
        for seed in [0, 1, u64::MAX] {
            let mut hits = vec![0u32; 64];
            for identity in 0..64_000 {
                hits[slot(hash(seed, [identity]), 64) as usize] += 1;
            }
            assert!(hits.iter().all(|n| (850..1150).contains(n)), "{hits:?}");
        }
    }

    #[test]
    fn every_word_its_place_and_the_seed_matter() {
        let all: BTreeSet<u64> = [
            hash(0, [1, 2]),
            hash(1, [1, 2]),
            hash(0, [2, 1]),
            hash(0, [1, 3]),
            hash(0, [2, 2]),
            hash(0, [0, 0]),
            hash(0, [0]),
        ]
        .into();
        assert_eq!(all.len(), 7);
    }
}
