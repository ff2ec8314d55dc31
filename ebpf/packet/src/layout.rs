//! What makes two builds' maps interchangeable.
//!
//! A map that a former agent left pinned may only be adopted if both builds mean the same
//! by its bytes. Sizes alone do not tell: two fields may have changed places. So the names,
//! offsets and sizes of all fields of all keys and values go into one number.

use crate::{
    Backend, Bucket, Counted, Counters, Endpoint, Flow, Flows, Forwarded, Forwarding, Handshakes,
    Known, KnownAddress, Latency, MAX_BACKENDS, MAX_BUCKETS, MAX_CONNECTIONS, MAX_COUNTERS,
    MAX_KNOWN, MAX_TRACKED, MAX_VIPS, Networks, Pair, Peer, Slot, Tracked, Vip,
    maglev::{MAX_PAGES, MaglevPage},
};

/// Defines a key or value of a map.
///
/// The struct gets C's layout, a compile-time check that the compiler put no padding into
/// it (the kernel hashes and compares every byte, so padding must be a zeroed field), and
/// its [`Layout::FINGERPRINT`](crate::layout::Layout).
macro_rules! map_type {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident { $($(#[$field_meta:meta])* $visibility:vis $field:ident: $type:ty,)+ }
    ) => {
        $(#[$meta])*
        // Aligned so that the kernel side reads and compares whole words.
        #[repr(C, align(8))]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis struct $name { $($(#[$field_meta])* $visibility $field: $type,)+ }

        const _: () = assert!(
            size_of::<$name>() == 0 $(+ size_of::<$type>())+,
            concat!(stringify!($name), " has padding"),
        );

        impl $crate::layout::Layout for $name {
            const FINGERPRINT: u64 = {
                let hash = $crate::layout::hash($crate::layout::SEED, stringify!($name).as_bytes());
                $(
                    let hash = $crate::layout::hash(hash, stringify!($field).as_bytes());
                    let hash = $crate::layout::hash(hash, stringify!($type).as_bytes());
                    let hash = $crate::layout::mix(hash, core::mem::offset_of!($name, $field));
                )+
                $crate::layout::mix(hash, size_of::<$name>())
            };
        }

        // SAFETY: C's layout, no padding (asserted above), and only integers, arrays of
        // them and other map types inside: every bit pattern is a value.
        #[cfg(feature = "user")]
        unsafe impl aya::Pod for $name {}
    };
}

pub(crate) use map_type;

/// A type whose layout is known by number.
pub(crate) trait Layout {
    /// Hash of the names, types, offsets and sizes of all fields.
    const FINGERPRINT: u64;
}

/// FNV-1a's offset basis.
pub(crate) const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a over `bytes`, going on from `hash`.
pub(crate) const fn hash(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    // Ends the string, so that "ab" + "c" and "a" + "bc" differ.
    (hash ^ 0xff).wrapping_mul(0x0000_0100_0000_01b3)
}

/// [`hash`] of a number.
pub(crate) const fn mix(seed: u64, number: usize) -> u64 {
    hash(seed, &(number as u64).to_le_bytes())
}

map_type! {
    /// The only value of the map `meta`: written last, so it also says that all other maps
    /// are in place.
    pub struct Meta {
        /// [`fingerprint`] of the build that made the maps; 0 while they are being made.
        pub layout: u64,
        /// [`flow_fingerprint`] of the build that made the tables of forwarded flows.
        pub flows: u64,
    }
}

/// A map as the object declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapShape {
    /// Name of the map, and of its pin.
    pub name: &'static str,
    /// Bytes of a key.
    pub key: usize,
    /// Bytes of a value.
    pub value: usize,
    /// Most entries; 0 for storage kept with sockets.
    pub entries: usize,
}

impl MapShape {
    const fn new<K, V>(name: &'static str, entries: usize) -> Self {
        Self { name, key: size_of::<K>(), value: size_of::<V>(), entries }
    }
}

/// Every map of the object but [`FLOW_MAPS`]. `meta` is the last, and is to be put in place last.
pub const MAPS: [MapShape; 13] = [
    MapShape::new::<Endpoint, Vip>("vips", MAX_VIPS),
    MapShape::new::<u32, Networks>("networks", 1),
    MapShape::new::<Slot, Backend>("backends", MAX_BACKENDS),
    MapShape::new::<Slot, MaglevPage>("maglev", MAX_PAGES),
    MapShape::new::<Pair, Counted>("counted", MAX_COUNTERS),
    MapShape::new::<u32, Counters>("counters", MAX_COUNTERS),
    MapShape::new::<u32, Handshakes>("handshakes", MAX_COUNTERS),
    MapShape::new::<u32, Peer>("connections", MAX_CONNECTIONS),
    MapShape::new::<i32, Peer>("peers", 0),
    MapShape::new::<i32, Flows>("flows", 0),
    MapShape::new::<KnownAddress, Known>("addresses", MAX_KNOWN),
    MapShape::new::<u32, Forwarded>("forwarded", 1),
    MapShape::new::<u32, Meta>("meta", 1),
];

/// The maps of forwarded flows, which belong together: they may be of a size of their own, and are kept where
/// other maps have another layout. The size of the last two is the default.
pub const FLOW_MAPS: [MapShape; 3] = [
    MapShape::new::<u32, Forwarding>("forwarding", 1),
    MapShape::new::<u32, Tracked>("tracked", MAX_TRACKED),
    MapShape::new::<u32, Bucket>("track_index", MAX_BUCKETS),
];

/// The number that tells whether [`FLOW_MAPS`] of another build can be adopted by this one.
pub const fn flow_fingerprint() -> u64 {
    let total = hash(SEED, &Forwarding::FINGERPRINT.to_le_bytes());
    let total = hash(total, &Tracked::FINGERPRINT.to_le_bytes());
    hash(total, &Bucket::FINGERPRINT.to_le_bytes())
}

/// The number that tells whether [`MAPS`] of another build can be adopted by this one.
pub const fn fingerprint() -> u64 {
    let parts = [
        Endpoint::FINGERPRINT,
        Vip::FINGERPRINT,
        Networks::FINGERPRINT,
        Slot::FINGERPRINT,
        Backend::FINGERPRINT,
        MaglevPage::FINGERPRINT,
        Pair::FINGERPRINT,
        Counted::FINGERPRINT,
        Latency::FINGERPRINT,
        Counters::FINGERPRINT,
        Handshakes::FINGERPRINT,
        Peer::FINGERPRINT,
        Flow::FINGERPRINT,
        Flows::FINGERPRINT,
        KnownAddress::FINGERPRINT,
        Known::FINGERPRINT,
        Forwarded::FINGERPRINT,
        Meta::FINGERPRINT,
    ];
    let mut total = SEED;
    let mut at = 0;
    while at < parts.len() {
        total = hash(total, &parts[at].to_le_bytes());
        at += 1;
    }
    let mut at = 0;
    while at < MAPS.len() {
        total = mix(hash(total, MAPS[at].name.as_bytes()), MAPS[at].entries);
        at += 1;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    mod one {
        map_type! {
            /// A layout.
            pub(super) struct Sample { pub(super) a: u32, pub(super) b: u32, }
        }
    }

    mod other {
        map_type! {
            /// The same bytes, with another meaning.
            pub(super) struct Sample { pub(super) b: u32, pub(super) a: u32, }
        }
    }

    #[test]
    fn fields_that_change_places_change_the_fingerprint() {
        assert_ne!(one::Sample::FINGERPRINT, other::Sample::FINGERPRINT);
    }

    #[test]
    fn strings_do_not_run_into_each_other() {
        assert_ne!(hash(hash(SEED, b"ab"), b"c"), hash(hash(SEED, b"a"), b"bc"));
    }

    #[test]
    fn fingerprint_is_never_the_number_that_means_unfinished() {
        assert_ne!(fingerprint(), 0);
        assert_ne!(flow_fingerprint(), 0);
    }
}
