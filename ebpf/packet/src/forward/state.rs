//! How far a flow is, and when its place may go to another.

use crate::TCP;

/// Bits of a flow's phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The place is taken.
    Open = 1,
    /// The backend has answered.
    Answered = 2,
    /// The client has gone on after that: it is there. Nobody who sends from others' addresses gets so far
    /// without seeing the answer.
    Confirmed = 4,
    /// The client is done (TCP's FIN).
    ClientDone = 8,
    /// The backend is done.
    BackendDone = 16,
    /// One of them has given the connection up (TCP's RST).
    Reset = 32,
    /// The place is being given to a flow.
    Busy = 128,
}

/// The last word of a [`Tracked`](crate::Tracked), which is read and replaced whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// See [`Tracked::seen`](crate::Tracked::seen).
    pub seen: u32,
    /// The flow's.
    pub protocol: u8,
    /// Bits of [`Phase`].
    pub phase: u8,
    /// See [`Tracked::generation`](crate::Tracked::generation).
    pub generation: u16,
}

const _: () = assert!(cfg!(target_endian = "little"), "the word's parts are the record's fields");

/// A unit of time is 2^30 ns.
const UNIT_BITS: u32 = 30;

/// Seconds, roughly: units of time.
const UDP_IDLE: u32 = 28;
const HANDSHAKE_IDLE: u32 = 56;
const CLOSED_IDLE: u32 = 56;
const TCP_IDLE: u32 = 6_706;
const TCP_IDLE_IF_FULL: u32 = 838;

/// The unit of time that is now, by `CLOCK_MONOTONIC`.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a machine runs less than 146 years")]
pub const fn unit(now_ns: u64) -> u32 {
    (now_ns >> UNIT_BITS) as u32
}

impl State {
    /// Free to be taken.
    pub const FREE: u32 = u32::MAX;

    /// That of which these are the bits.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "its parts are meant")]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            seen: bits as u32,
            protocol: (bits >> 32) as u8,
            phase: (bits >> 40) as u8,
            generation: (bits >> 48) as u16,
        }
    }

    /// All of it as one number.
    #[inline(always)]
    pub const fn bits(self) -> u64 {
        self.seen as u64
            | (self.protocol as u64) << 32
            | (self.phase as u64) << 40
            | (self.generation as u64) << 48
    }

    /// True if the flow is in this phase.
    #[inline(always)]
    pub const fn is(self, phase: Phase) -> bool {
        self.phase & phase as u8 != 0
    }

    /// With another phase.
    #[inline(always)]
    #[must_use]
    pub const fn with(self, phase: Phase) -> Self {
        Self { phase: self.phase | phase as u8, ..self }
    }

    /// True if both sides are done, or one has given up.
    #[inline(always)]
    pub const fn is_closed(self) -> bool {
        let done = Phase::ClientDone as u8 | Phase::BackendDone as u8;
        self.phase & done == done || self.is(Phase::Reset)
    }

    /// How readily the place is given up for a new flow, the readiest first: 0 is not at all,
    /// [`FREE`](Self::FREE) is no loss. After those come flows that are closed, those that nobody
    /// has confirmed, and connections that have been silent for a quarter of an hour; of each the one silent
    /// for longest.
    ///
    /// So a flood of first packets only ever takes the places of other first packets.
    #[inline(always)]
    pub const fn readiness(self, now: u32) -> u32 {
        const CLOSED: u32 = 3 << 24;
        const UNCONFIRMED: u32 = 2 << 24;
        if self.is(Phase::Busy) {
            return 0;
        }
        if !self.is(Phase::Open) {
            return Self::FREE;
        }
        let idle = now.wrapping_sub(self.seen);
        // The clock may have been read a moment before.
        let idle = if idle > u32::MAX / 2 { 0 } else { idle };
        let least = if self.protocol != TCP {
            UDP_IDLE
        } else if self.is_closed() {
            CLOSED_IDLE
        } else if !self.is(Phase::Confirmed) {
            HANDSHAKE_IDLE
        } else {
            TCP_IDLE
        };
        if idle >= least {
            return Self::FREE;
        }
        // Below 2^24, as nothing is idle for longer than `least`.
        if self.is_closed() {
            CLOSED + idle
        } else if !self.is(Phase::Confirmed) {
            UNCONFIRMED + idle
        } else if idle >= TCP_IDLE_IF_FULL {
            idle
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::UDP;

    const NOW: u32 = 1_000_000;

    fn state(protocol: u8, phases: &[Phase], idle: u32) -> State {
        let phase = phases.iter().fold(Phase::Open as u8, |all, &phase| all | phase as u8);
        State { seen: NOW - idle, protocol, phase, generation: 7 }
    }

    proptest! {
        #[test]
        fn bits_come_back(bits: u64) {
            prop_assert_eq!(State::from_bits(bits).bits(), bits);
        }

        #[test]
        fn live_connection_gives_its_place_to_nobody(idle in 0u32..800) {
            let live = state(TCP, &[Phase::Answered, Phase::Confirmed], idle);
            prop_assert_eq!(live.readiness(NOW), 0);
            prop_assert_eq!(live.with(Phase::ClientDone).readiness(NOW), 0);
            prop_assert_eq!(live.readiness(NOW - idle - 1), 0, "clocks differ");
        }
    }

    #[test]
    fn places_are_given_up_in_their_order() {
        let confirmed = [Phase::Answered, Phase::Confirmed];
        let closed = [Phase::Answered, Phase::Confirmed, Phase::ClientDone, Phase::BackendDone];
        let order = [
            State { phase: 0, ..state(TCP, &[], 0) },
            state(TCP, &closed, 1),
            state(TCP, &[Phase::Reset], 0),
            state(TCP, &[], 9),
            state(UDP, &[], 3),
            state(TCP, &[Phase::Answered], 1),
            state(TCP, &confirmed, 2_000),
            state(TCP, &confirmed, 1_000),
            state(UDP, &confirmed, 9),
        ];
        assert!(order.map(|state| state.readiness(NOW)).is_sorted_by(|a, b| a > b));
        assert_eq!(state(TCP, &[Phase::Busy], 9_999).readiness(NOW), 0);
    }

    #[test]
    fn what_is_over_is_free() {
        for (protocol, phases, idle) in [
            (UDP, &[Phase::Answered, Phase::Confirmed][..], UDP_IDLE),
            (UDP, &[], UDP_IDLE),
            (TCP, &[], HANDSHAKE_IDLE),
            (TCP, &[Phase::Reset], CLOSED_IDLE),
            (TCP, &[Phase::Answered, Phase::Confirmed], TCP_IDLE),
        ] {
            assert_eq!(state(protocol, phases, idle).readiness(NOW), State::FREE);
            assert_ne!(state(protocol, phases, idle - 1).readiness(NOW), State::FREE);
        }
    }
}
