//! What a flow's first answer says of its backend.

use super::{ACK, Memory, RST, SYN, table};
use crate::Pair;

/// The first answer of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The backend has taken it.
    Accepted,
    /// The backend has refused it.
    Refused,
}

impl Answer {
    /// What a segment with these flags answers to a SYN. `None` if it is the answer to something else.
    ///
    /// A reset that has no ACK answers a segment that had one (RFC 9293, 3.10.7.1): one of a connection that the backend
    /// knows nothing of. Anybody can send those, so they say nothing of the backend.
    #[inline(always)]
    pub const fn of(flags: u8) -> Option<Self> {
        const ACCEPTED: u8 = SYN | ACK;
        const REFUSED: u8 = RST | ACK;
        match flags & (SYN | ACK | RST) {
            ACCEPTED => Some(Self::Accepted),
            REFUSED => Some(Self::Refused),
            _ => None,
        }
    }
}

/// The VIP and the backend of the flow in a place.
#[inline(always)]
pub fn pair_in<M: Memory>(memory: &M, place: u32) -> Option<Pair> {
    Some(table::pair(memory, memory.flow(place)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FIN;

    #[test]
    fn only_answers_to_a_syn_say_something() {
        assert_eq!(Answer::of(SYN | ACK), Some(Answer::Accepted));
        assert_eq!(Answer::of(RST | ACK), Some(Answer::Refused));
        for other in [0, SYN, ACK, RST, ACK | FIN, SYN | RST, SYN | ACK | RST] {
            assert_eq!(Answer::of(other), None, "{other}");
        }
    }
}
