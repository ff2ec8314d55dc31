//! Value of the maps `connections` and `peers`: what a connected socket was connected to.

use crate::{Endpoint, MAX_CONNECTIONS, Target, layout::map_type};

/// How far a socket's connection to a VIP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The backend is chosen, and no SYN sent.
    Chosen = 0,
    /// The handshake is under way, and counted as started.
    Pending = 1,
    /// The same, but it was not answered in time, and is counted as failed.
    Late = 2,
    /// The handshake is complete, and how the connection ends is watched for.
    Established = 3,
    /// Its end is decided, or there is nothing to be watched for (UDP).
    Over = 4,
    /// The program has closed an established connection. What is known of it is read, and its place
    /// freed, when that changes its state, which is next.
    Closing = 5,
}

map_type! {
    /// What a connected socket was connected to.
    ///
    /// A socket has it in the map `connections`, at the place that its cookie says
    /// ([`place`](Self::place)), if that is free. Otherwise it is kept with the socket, in
    /// the map `peers`.
    pub struct Peer {
        /// 32 times the socket's cookie, plus eight times the callbacks that were switched on for
        /// the connection, plus the [`Stage`]; 0 in a place that is free.
        /// Together, so that a place changes its owner or its stage by one instruction.
        pub tag: u64,
        /// The VIP the program asked for.
        pub vip: Endpoint,
        /// The backend it got.
        pub backend: Endpoint,
        /// Where the connection is counted: see [`Backend::counter`](crate::Backend::counter).
        pub counter: u32,
        /// When the handshake began: see [`ticks`](crate::ticks).
        pub since: u32,
    }
}

impl Peer {
    /// A socket about to connect; with cookie 0, one that has no handshake.
    #[inline(always)]
    pub const fn new(cookie: u64, vip: Endpoint, target: &Target<'_>) -> Self {
        let Target { backend, counter } = *target;
        Self { tag: Self::first_tag(cookie), vip, backend: *backend, counter, since: 0 }
    }

    /// The tag of a socket about to connect.
    #[inline(always)]
    pub const fn first_tag(cookie: u64) -> u64 {
        Self::tag(cookie, if cookie == 0 { Stage::Over } else { Stage::Chosen })
    }

    /// The tag of a socket's connection. Cookies are counted from 1 and never get near 2^59.
    #[inline(always)]
    pub const fn tag(cookie: u64, stage: Stage) -> u64 {
        (cookie << 5) | stage as u64
    }

    /// True if the tag is one of the socket's.
    #[inline(always)]
    pub const fn is_of(tag: u64, cookie: u64) -> bool {
        tag >> 5 == cookie
    }

    /// True if the tag says this stage.
    #[inline(always)]
    pub const fn is_at(tag: u64, stage: Stage) -> bool {
        tag & 7 == stage as u64
    }

    /// True if the tag says that a handshake is under way, late or not.
    #[inline(always)]
    pub const fn is_undecided(tag: u64) -> bool {
        Self::is_at(tag, Stage::Pending) || Self::is_at(tag, Stage::Late)
    }

    /// True if the tag says that the connection was established, and its state has not changed since.
    #[inline(always)]
    pub const fn is_lasting(tag: u64) -> bool {
        Self::is_at(tag, Stage::Established) || Self::is_at(tag, Stage::Closing)
    }

    /// The tag of the same socket at another stage.
    #[inline(always)]
    pub const fn retag(tag: u64, stage: Stage) -> u64 {
        (tag & !7) | stage as u64
    }

    /// The tag of the same socket with these callbacks (two bits) to be switched off when
    /// the connection's end is decided.
    #[inline(always)]
    pub const fn watched(tag: u64, callbacks: u32) -> u64 {
        (tag & !0b11000) | ((callbacks & 3) as u64) << 3
    }

    /// What was given to [`watched`](Self::watched).
    #[inline(always)]
    pub const fn callbacks(tag: u64) -> u32 {
        (tag >> 3 & 3) as u32
    }

    /// Index in `connections` of a socket's place. Cookies are given out in order, so
    /// connections that follow each other have their places side by side, and share the
    /// processor's cache.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below the divisor")]
    pub const fn place(cookie: u64) -> u32 {
        (cookie % MAX_CONNECTIONS as u64) as u32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAGES: [Stage; 6] = [
        Stage::Chosen,
        Stage::Pending,
        Stage::Late,
        Stage::Established,
        Stage::Over,
        Stage::Closing,
    ];

    proptest! {
        #[test]
        fn tag_says_whose_and_how_far(cookie in 1u64..1 << 59, other in 1u64..1 << 59) {
            for stage in STAGES {
                let tag = Peer::tag(cookie, stage);
                prop_assert_ne!(tag, 0);
                prop_assert!(Peer::is_of(tag, cookie));
                prop_assert_eq!(Peer::is_of(tag, other), cookie == other);
                for asked in STAGES {
                    prop_assert_eq!(Peer::is_at(tag, asked), stage == asked);
                    prop_assert_eq!(Peer::retag(tag, asked), Peer::tag(cookie, asked));
                }
                for callbacks in 0..4 {
                    let watched = Peer::watched(tag, callbacks);
                    prop_assert!(Peer::is_of(watched, cookie) && Peer::is_at(watched, stage));
                    let moved = Peer::retag(watched, Stage::Late);
                    prop_assert_eq!(Peer::callbacks(moved), callbacks);
                    prop_assert_eq!(Peer::watched(watched, 0), tag);
                }
            }
        }

        #[test]
        fn sockets_that_follow_each_other_have_different_places(first: u64) {
            let next = first.wrapping_add(1);
            prop_assert_eq!((Peer::place(first) + 1) as usize % MAX_CONNECTIONS, Peer::place(next) as usize);
        }
    }

    #[test]
    fn free_place_is_nobodys() {
        assert!(!Peer::is_of(0, 1));
        assert!(!Peer::is_undecided(0));
    }

    #[test]
    fn late_handshake_is_undecided() {
        let undecided = STAGES.map(|stage| Peer::is_undecided(Peer::tag(7, stage)));
        assert_eq!(undecided, [false, true, true, false, false, false]);
        let lasting = STAGES.map(|stage| Peer::is_lasting(Peer::tag(7, stage)));
        assert_eq!(lasting, [false, false, false, true, false, true]);
    }
}
