//! Value of the map `flows`: where an unconnected UDP socket's datagrams go.

use crate::{Endpoint, layout::map_type};

/// Backends of VIPs one unconnected UDP socket can have at a time. With more, the oldest is
/// forgotten, and late answers of it show the backend's address.
pub const FLOWS: usize = 16;

const _: () = assert!(FLOWS.is_power_of_two(), "the ring's counter wraps");

map_type! {
    /// One VIP a socket sends to.
    #[derive(Default)]
    pub struct Flow {
        /// The VIP the program sends to.
        pub vip: Endpoint,
        /// Where its datagrams go, and its answers come from.
        pub backend: Endpoint,
    }
}

map_type! {
    /// Kept with the socket and freed with it.
    ///
    /// It only turns answers' senders back into VIPs. Which backend a datagram goes to needs
    /// no memory: see [`steady`](crate::steady).
    #[derive(Default)]
    pub struct Flows {
        /// A ring.
        pub flows: [Flow; FLOWS],
        /// Flows ever added: modulo [`FLOWS`], the place of the oldest.
        pub added: u64,
    }
}

impl Flows {
    /// The VIP whose answers come from this backend.
    #[inline(always)]
    pub fn vip(&self, backend: &Endpoint) -> Option<&Endpoint> {
        for flow in &self.flows {
            if flow.backend.is(backend) {
                return Some(&flow.vip);
            }
        }
        None
    }

    /// Remembers a flow, in the place of the oldest unless its backend is known. A flow to
    /// another backend of the same VIP stays, for answers that are under way. True if it is
    /// new.
    ///
    /// Two threads that send on one socket for the first time at the same moment may mix
    /// their flows up; the next datagram to either puts it right.
    #[inline(always)]
    pub fn remember(&mut self, flow: Flow) -> bool {
        for known in &mut self.flows {
            if known.backend.is(&flow.backend) {
                if !known.vip.is(&flow.vip) {
                    known.vip = flow.vip;
                }
                return false;
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is below FLOWS")]
        let place = (self.added % FLOWS as u64) as usize;
        if let Some(oldest) = self.flows.get_mut(place) {
            *oldest = flow;
        }
        self.added = self.added.wrapping_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use proptest::prelude::*;

    use super::*;
    use crate::UDP;

    fn end(last: u8, port: u16) -> Endpoint {
        Endpoint::v4([10, 0, 0, last], port, UDP)
    }

    fn answer_from(flows: &Flows, backend: Endpoint) -> Option<Endpoint> {
        flows.vip(&backend).copied()
    }

    #[test]
    fn answer_is_from_the_vip() {
        let mut flows = Flows::default();
        flows.remember(Flow { vip: end(1, 53), backend: end(2, 5353) });
        assert_eq!(answer_from(&flows, end(2, 5353)), Some(end(1, 53)));
        assert_eq!(answer_from(&flows, end(2, 53)), None);
        assert_eq!(answer_from(&flows, end(1, 53)), None);
    }

    #[test]
    fn backend_shared_by_two_vips_answers_for_the_one_asked_last() {
        let mut flows = Flows::default();
        flows.remember(Flow { vip: end(1, 53), backend: end(9, 53) });
        flows.remember(Flow { vip: end(2, 53), backend: end(9, 53) });
        assert_eq!(answer_from(&flows, end(9, 53)), Some(end(2, 53)));
    }

    #[test]
    fn late_answer_of_the_former_backend_is_still_known() {
        let mut flows = Flows::default();
        flows.remember(Flow { vip: end(1, 53), backend: end(2, 53) });
        assert!(flows.remember(Flow { vip: end(1, 53), backend: end(3, 53) }));
        assert!(!flows.remember(Flow { vip: end(1, 53), backend: end(3, 53) }));
        assert_eq!(answer_from(&flows, end(2, 53)), Some(end(1, 53)));
        assert_eq!(answer_from(&flows, end(3, 53)), Some(end(1, 53)));
    }

    proptest! {
        #[test]
        fn the_newest_flows_are_remembered(vips in proptest::collection::vec(0u8..40, 1..200)) {
            let mut flows = Flows::default();
            let known = |flows: &Flows, vip| answer_from(flows, end(vip, 2)) == Some(end(vip, 1));
            for &vip in &vips {
                flows.remember(Flow { vip: end(vip, 1), backend: end(vip, 2) });
                prop_assert!(known(&flows, vip));
            }
            let distinct = vips.iter().collect::<std::collections::BTreeSet<_>>().len();
            let count = (0..40).filter(|&vip| known(&flows, vip)).count();
            prop_assert_eq!(count, distinct.min(FLOWS));
        }
    }
}
