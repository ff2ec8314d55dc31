//! Flows from one table to another, of another size.

extern crate std;

use core::cell::Cell;
use std::vec::Vec;

use super::{Bucket, Entered, Host, Memory as _, Phase, State, Tracked, Tuple, table};
use crate::Address;

impl Tracked {
    /// Its client's packets to the VIP.
    pub const fn tuple(&self) -> Tuple {
        Tuple {
            source: Address::new(self.client),
            destination: Address::new(self.vip),
            source_port: self.client_port,
            destination_port: self.vip_port,
            protocol: self.protocol,
        }
    }

    /// Packets to its backend, but for their source if it is elsewhere.
    const fn forwarded(&self) -> Tuple {
        Tuple {
            source: Address::new(self.client),
            destination: Address::new(self.backend),
            source_port: self.client_port,
            destination_port: self.backend_port,
            protocol: self.protocol,
        }
    }
}

impl Host {
    /// Takes over a flow of another table. False if there is no place for it but another flow's.
    pub fn carry(&self, flow: &Tracked) -> bool {
        let asked = flow.tuple();
        let hash = asked.hash(self.rules.seed);
        let Some((place, former)) = table::claim(self, &self.rules, hash, self.now) else {
            return false;
        };
        let Some(line) = self.flow(place) else { return false };
        if former.is(Phase::Open) {
            table::publish(self, line, former);
            return false;
        }
        table::fill(self, line, &asked, &flow.forwarded(), flow.nat_port);
        let state = State { generation: former.generation.wrapping_add(1), ..flow.state() };
        table::publish(self, line, state);
        let Some(answered) = table::tuple(self, &self.rules, line, true) else {
            table::publish(self, line, former);
            return false;
        };
        for (tuple, answers) in [(answered, true), (asked, false)] {
            let direction = table::direction(place, answers);
            if table::enter(self, &self.rules, &tuple, direction, self.now) != Entered::Done {
                table::leave(self, &self.rules, table::direction(place, true));
                table::publish(self, line, former);
                return false;
            }
        }
        true
    }

    /// The flows, with their places.
    pub fn flows(&self) -> impl Iterator<Item = (u32, Tracked)> {
        filled(&self.tracked).map(|(place, words)| (place, Tracked::from_words(words)))
    }

    /// The buckets of the index that have something in them, with their places.
    pub fn buckets(&self) -> impl Iterator<Item = (u32, Bucket)> {
        filled(&self.index).map(|(place, entries)| (place, Bucket { entries }))
    }
}

fn filled(lines: &[[Cell<u64>; 8]]) -> impl Iterator<Item = (u32, [u64; 8])> {
    let lines = (0..).zip(lines).map(|(place, line)| (place, line.each_ref().map(Cell::get)));
    lines.filter(|(_, words)| *words != [0; 8])
}

impl Tracked {
    /// That of which these are the words, as they are in memory.
    #[expect(clippy::cast_possible_truncation, reason = "its parts are meant")]
    pub fn from_words(words: [u64; 8]) -> Self {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let address = |at: usize| core::array::from_fn(|n| bytes.get(at + n).copied().unwrap_or(0));
        let [.., ports, state] = words;
        let state = State::from_bits(state);
        let [client_port, vip_port, backend_port, nat_port] =
            [0, 16, 32, 48].map(|shift| (ports >> shift) as u16);
        Self {
            client: address(0),
            vip: address(16),
            backend: address(32),
            client_port,
            vip_port,
            backend_port,
            nat_port,
            seen: state.seen,
            protocol: state.protocol,
            phase: state.phase,
            generation: state.generation,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Endpoint, TCP,
        forward::{ACK, Built, Forwarding, SYN, Side},
    };

    const HERE: [u8; 4] = [10, 0, 0, 1];

    fn host(tracked: u32) -> Host {
        let rules = Forwarding::new(Some(HERE), None, 7);
        let mut host = Host::new(Forwarding { tracked, buckets: tracked / 2, ..rules });
        host.own(Address::v4(HERE));
        let backends = [Endpoint::v4(HERE, 1, TCP), Endpoint::v4([10, 0, 0, 2], 2, TCP)];
        host.serve(vip(), &backends);
        host
    }

    fn vip() -> Endpoint {
        Endpoint::v4([11, 0, 0, 1], 80, TCP)
    }

    /// What becomes of a client's packet.
    fn ask(host: &Host, client: u16, flags: u8) -> Vec<u8> {
        let client = Endpoint::v4([10, 0, 0, 9], client, TCP);
        let mut packet = Built::new(client, vip(), flags).frame();
        host.run(&mut packet, Side::Ingress);
        packet
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        #[cfg_attr(miri, ignore = "hundreds of packets of each case take minutes")]
        fn flows_go_on_in_a_table_of_another_size(
            count in 1u16..200, former in 8u32..11, next in 8u32..12,
        ) {
            let old = host(1 << former);
            let asked: Vec<_> = (1..=count).map(|client| ask(&old, client, SYN)).collect();
            // In the smallest table some take the places of others.
            prop_assume!(old.flows().count() == usize::from(count));
            let mut new = host(1 << next);
            // Its backends are others by now.
            new.serve(vip(), &[]);
            for (_, flow) in old.flows() {
                prop_assume!(new.carry(&flow));
            }
            prop_assert_eq!(new.flows().count(), usize::from(count));
            for (client, asked) in (1..=count).zip(asked) {
                let before = ask(&old, client, ACK);
                prop_assert_ne!(&before, &asked);
                prop_assert_eq!(ask(&new, client, ACK), before);
            }
        }
    }

    #[test]
    fn full_table_gives_up_no_flow_for_another() {
        let (old, new) = (host(256), host(16));
        for client in 1..=100 {
            ask(&old, client, SYN);
        }
        let carried = old.flows().filter(|(_, flow)| new.carry(flow)).count();
        assert!(carried > 4, "{carried}");
        assert_eq!(new.flows().filter(|(_, flow)| flow.phase != 0).count(), carried);
    }
}
