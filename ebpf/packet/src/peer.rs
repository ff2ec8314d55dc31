//! Value of the maps `connections` and `peers`: what a connected socket was connected to.

use crate::{Endpoint, MAX_CONNECTIONS, layout::map_type};

/// How far a socket's connection to a VIP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The backend is chosen, and no SYN sent.
    Chosen = 0,
    /// The handshake is under way, and counted as started. The state callback was on before.
    Pending = 1,
    /// The same, and the state callback, switched on for this handshake, is to be switched
    /// off after it.
    Watched = 2,
    /// The handshake is complete, or there is none (UDP).
    Established = 3,
}

map_type! {
    /// What a connected socket was connected to.
    ///
    /// A socket has it in the map `connections`, at the place that its cookie says
    /// ([`place`](Self::place)), if that is free. Otherwise it is kept with the socket, in
    /// the map `peers`.
    pub struct Peer {
        /// Four times the socket's cookie, plus the [`Stage`]; 0 in a place that is free.
        /// Together, so that a place changes its owner or its stage by one instruction.
        pub tag: u64,
        /// The VIP the program asked for.
        pub vip: Endpoint,
        /// The backend it got.
        pub backend: Endpoint,
    }
}

impl Peer {
    /// A socket about to connect; with cookie 0, one that has no handshake.
    #[inline(always)]
    pub const fn new(cookie: u64, vip: Endpoint, backend: Endpoint) -> Self {
        let stage = if cookie == 0 { Stage::Established } else { Stage::Chosen };
        Self { tag: Self::tag(cookie, stage), vip, backend }
    }

    /// The tag of a socket's connection. Cookies are counted from 1 and never get near 2^62.
    #[inline(always)]
    pub const fn tag(cookie: u64, stage: Stage) -> u64 {
        (cookie << 2) | stage as u64
    }

    /// True if the tag is one of the socket's.
    #[inline(always)]
    pub const fn is_of(tag: u64, cookie: u64) -> bool {
        tag >> 2 == cookie
    }

    /// True if the tag says this stage.
    #[inline(always)]
    pub const fn is_at(tag: u64, stage: Stage) -> bool {
        tag & 3 == stage as u64
    }

    /// True if the tag says that a handshake is under way.
    #[inline(always)]
    pub const fn is_pending(tag: u64) -> bool {
        Self::is_at(tag, Stage::Pending) || Self::is_at(tag, Stage::Watched)
    }

    /// The tag of the same socket at another stage.
    #[inline(always)]
    pub const fn retag(tag: u64, stage: Stage) -> u64 {
        Self::tag(tag >> 2, stage)
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

    const STAGES: [Stage; 4] = [Stage::Chosen, Stage::Pending, Stage::Watched, Stage::Established];

    proptest! {
        #[test]
        fn tag_says_whose_and_how_far(cookie in 1u64..1 << 62, other in 1u64..1 << 62) {
            for stage in STAGES {
                let tag = Peer::tag(cookie, stage);
                prop_assert_ne!(tag, 0);
                prop_assert!(Peer::is_of(tag, cookie));
                prop_assert_eq!(Peer::is_of(tag, other), cookie == other);
                for asked in STAGES {
                    prop_assert_eq!(Peer::is_at(tag, asked), stage == asked);
                    prop_assert_eq!(Peer::retag(tag, asked), Peer::tag(cookie, asked));
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
        assert!(!Peer::is_pending(0));
    }

    #[test]
    fn handshake_is_pending_whoever_switched_the_callback_on() {
        let pending = STAGES.map(|stage| Peer::is_pending(Peer::tag(7, stage)));
        assert_eq!(pending, [false, true, true, false]);
    }
}
