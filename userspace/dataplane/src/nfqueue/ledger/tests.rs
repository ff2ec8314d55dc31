use std::collections::BTreeMap;

use muster_packet::{BREAKER_BACKOFF_NS, Pair, Policy};
use rand::SeedableRng as _;

use super::*;
use crate::{
    desired::Wanted,
    plan::{all, plan},
};

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_000 * SECOND;

fn vip() -> Endpoint {
    Endpoint::v4([11, 0, 0, 1], 80, TCP)
}

fn backend(number: u8) -> Endpoint {
    Endpoint::v4([10, 0, 0, number], 8080, TCP)
}

fn flow(port: u16) -> Flow {
    Flow {
        client: SocketAddrV4::new([10, 0, 0, 99].into(), port),
        vip: "11.0.0.1:80".parse().unwrap(),
    }
}

/// A ledger whose VIP has these backends.
fn ledger(weights: &[(u8, u32)]) -> Ledger {
    let mut ledger = Ledger::new(StdRng::seed_from_u64(1));
    change(&mut ledger, weights);
    ledger
}

fn change(ledger: &mut Ledger, weights: &[(u8, u32)]) -> Changes {
    let backends = weights.iter().map(|(number, weight)| (backend(*number), *weight)).collect();
    change_to(ledger, &Wanted { policy: None, backends })
}

fn change_to(ledger: &mut Ledger, wanted: &Wanted) -> Changes {
    let plan = plan(ledger.current(), &[(vip(), Some(wanted))], Policy::P2cEwma);
    ledger.apply(plan)
}

fn counters(ledger: &Ledger, number: u8) -> Counters {
    counted(ledger, number).0
}

fn details(ledger: &Ledger, number: u8) -> Handshakes {
    counted(ledger, number).1
}

fn counted(ledger: &Ledger, number: u8) -> Known {
    counted_in(ledger, vip(), number)
}

fn counted_in(ledger: &Ledger, vip: Endpoint, number: u8) -> Known {
    let pair = Pair { vip, backend: backend(number) };
    ledger.counted(ledger.current().places().get(&pair).unwrap().counter).unwrap()
}

/// The last byte of the address of who gets the connection.
fn decided(ledger: &mut Ledger, port: u16, now_ns: u64) -> Option<u8> {
    match ledger.decide(flow(port), now_ns) {
        Decision::Backend { backend, again: false } => Some(backend.ip().octets()[3]),
        Decision::Backend { again: true, .. } => panic!("{port} is used twice"),
        Decision::Nobody => None,
    }
}

#[test]
fn weights_share_connections_out() {
    let mut ledger = ledger(&[(1, 9), (2, 1), (3, 0)]);
    let mut shares = BTreeMap::<u8, u32>::new();
    for port in 1..=1_000 {
        let to = decided(&mut ledger, port, NOW).unwrap();
        *shares.entry(to).or_default() += 1;
        ledger.replied(flow(port), Some(NOW + 1_000));
    }
    assert_eq!(shares.keys().copied().collect::<Vec<_>>(), [1, 2]);
    assert!((850..950).contains(&shares[&1]), "{shares:?}");
    assert_eq!(details(&ledger, 1).successes + details(&ledger, 2).successes, 1_000);
}

#[test]
fn no_vip_and_no_backend_are_nobody() {
    let mut ledger = ledger(&[(1, 0)]);
    assert_eq!(decided(&mut ledger, 1, NOW), None);
    let other = Flow { vip: "11.0.0.1:81".parse().unwrap(), ..flow(1) };
    assert_eq!(ledger.decide(other, NOW), Decision::Nobody);
    assert_eq!(details(&ledger, 1).started, 0);
}

#[test]
fn syn_that_is_sent_again_goes_the_same_way_and_counts_once() {
    let mut ledger = ledger(&[(1, 1), (2, 1)]);
    let Decision::Backend { backend: first, .. } = ledger.decide(flow(1), NOW) else { panic!() };
    for later in 1..20 {
        let again = ledger.decide(flow(1), NOW + later * SECOND);
        assert_eq!(again, Decision::Backend { backend: first, again: true });
    }
    assert_eq!(details(&ledger, 1).started + details(&ledger, 2).started, 1);
    ledger.undo(flow(1));
    assert_eq!(counters(&ledger, 1).pending() + counters(&ledger, 2).pending(), 0);
}

#[test]
fn late_handshake_fails_once_and_its_completion_is_no_success() {
    let mut ledger = ledger(&[(1, 1)]);
    decided(&mut ledger, 1, NOW);
    assert_eq!(ledger.next_deadline(), Some(NOW + THRESHOLD_NS));
    assert_eq!(ledger.overdue(NOW + THRESHOLD_NS - 1), []);
    assert_eq!(ledger.overdue(NOW + THRESHOLD_NS), [flow(1)]);
    ledger.late(flow(1), NOW + THRESHOLD_NS);
    let (late, shown) = counted(&ledger, 1);
    assert_eq!((shown.failures, late.consecutive_failures, late.pending()), (1, 1, 0));
    ledger.replied(flow(1), Some(NOW + SECOND));
    ledger.ended(flow(1), NOW + 2 * SECOND);
    let (replied, details) = counted(&ledger, 1);
    assert_eq!((details.successes, details.failures, replied.consecutive_failures), (0, 1, 0));
    assert_eq!((details.pending(), replied.pending()), (0, 0));
    assert_eq!(ledger.next_deadline(), None);
    assert_eq!((details.timeouts, details.refused), (1, 0));
    assert_eq!(details.latency.iter().sum::<u64>(), 1);
}

#[test]
fn answer_that_was_missed_is_a_success_of_unknown_latency() {
    let mut ledger = ledger(&[(1, 1)]);
    decided(&mut ledger, 1, NOW);
    assert_eq!(ledger.overdue(NOW + SECOND), [flow(1)]);
    ledger.replied(flow(1), None);
    let (counters, details) = counted(&ledger, 1);
    assert_eq!((details.successes, details.failures, counters.pending()), (1, 0, 0));
    assert_eq!(counters.latency.at(NOW + SECOND), 0);
    assert_eq!(details.latency.iter().sum::<u64>(), 0);
}

#[test]
fn late_handshake_is_forgotten_in_the_end() {
    let mut ledger = ledger(&[(1, 1)]);
    decided(&mut ledger, 1, NOW);
    ledger.late(flow(1), NOW + SECOND);
    let end = NOW + SECOND + FORGOTTEN_NS;
    assert_eq!(ledger.overdue(end), [flow(1)]);
    ledger.late(flow(1), end);
    assert_eq!(details(&ledger, 1).failures, 1);
    assert!(ledger.handshakes.is_empty() && ledger.next_deadline().is_none());
}

#[test]
fn fifth_refusal_opens_the_breaker_and_one_connection_tests_it_after_the_backoff() {
    let mut ledger = ledger(&[(1, 1)]);
    for port in 1..=5 {
        decided(&mut ledger, port, NOW);
        ledger.ended(flow(port), NOW);
    }
    assert_eq!(details(&ledger, 1).refused, 5);
    change(&mut ledger, &[(1, 1), (2, 1)]);
    for port in 10..60 {
        assert_eq!(decided(&mut ledger, port, NOW + 1), Some(2));
        ledger.replied(flow(port), Some(NOW + 1_000));
    }
    let later = NOW + BREAKER_BACKOFF_NS + 1;
    let tests = (100..200).filter(|port| decided(&mut ledger, *port, later) == Some(1)).count();
    assert_eq!(tests, 1);
}

#[test]
fn backend_of_two_vips_is_counted_in_each_and_known_in_both() {
    let other = Endpoint::v4([11, 0, 0, 1], 81, TCP);
    let to_other = |port| Flow { vip: "11.0.0.1:81".parse().unwrap(), ..flow(port) };
    let mut ledger = ledger(&[(1, 1)]);
    let wanted = Wanted { policy: None, backends: vec![(backend(1), 1), (backend(2), 1)] };
    let plan = plan(ledger.current(), &[(other, Some(&wanted))], Policy::P2cEwma);
    ledger.apply(plan);
    for port in 0..5 {
        assert_eq!(decided(&mut ledger, port, NOW), Some(1));
        ledger.ended(flow(port), NOW);
    }
    for port in 10..30 {
        let Decision::Backend { backend, .. } = ledger.decide(to_other(port), NOW) else {
            panic!()
        };
        assert_eq!(backend.ip().octets()[3], 2);
        ledger.replied(to_other(port), Some(NOW + 1));
    }
    let shown = |vip, number| {
        let of = counted_in(&ledger, vip, number).1;
        (of.started, of.successes, of.failures)
    };
    assert_eq!(
        (shown(vip(), 1), shown(other, 1), shown(other, 2)),
        ((5, 0, 5), (0, 0, 0), (20, 20, 0))
    );
    assert_eq!(counted_in(&ledger, other, 1).0.consecutive_failures, 5);
}

#[test]
fn what_is_under_way_survives_changes_and_leaves_nothing() {
    let mut ledger = ledger(&[(1, 1)]);
    decided(&mut ledger, 1, NOW);
    assert_eq!(change(&mut ledger, &[(2, 1)]).changed, 1);
    assert_eq!(counters(&ledger, 1).pending(), 1);
    ledger.replied(flow(1), Some(NOW + 1));
    change(&mut ledger, &[(3, 1)]);
    assert_eq!(ledger.current().places().home(&backend(1)), None);
    let nothing = all(ledger.current(), std::iter::empty());
    let empty = plan(ledger.current(), &nothing, Policy::P2cEwma);
    assert_eq!(ledger.apply(empty).removed, 1);
    assert_eq!((ledger.current().backends(), ledger.current().places().len()), (0, 0));
}

#[test]
fn client_keeps_its_backend_by_maglev() {
    let hashed = |numbers: &[u8]| Wanted {
        policy: Some(Policy::Maglev),
        backends: numbers.iter().map(|number| (backend(*number), 1)).collect(),
    };
    let mut ledger = Ledger::new(StdRng::seed_from_u64(1));
    change_to(&mut ledger, &hashed(&[1, 2, 3, 4]));
    let ask = |ledger: &mut Ledger, client: u8, port: u16| {
        let client = SocketAddrV4::new([10, 0, 1, client].into(), port);
        match ledger.decide(Flow { client, ..flow(1) }, NOW) {
            Decision::Backend { backend, .. } => backend.ip().octets()[3],
            Decision::Nobody => panic!("{client} has no backend"),
        }
    };
    let first: Vec<u8> = (0..200).map(|client| ask(&mut ledger, client, 1)).collect();
    let second: Vec<u8> = (0..200).map(|client| ask(&mut ledger, client, 2)).collect();
    assert_eq!(first, second);
    change_to(&mut ledger, &hashed(&[1, 2, 4]));
    let third: Vec<u8> = (0..200).map(|client| ask(&mut ledger, client, 3)).collect();
    let kept = first.iter().zip(&third).filter(|(was, is)| was == is).count();
    let gone = (0..first.len()).filter(|client| first[*client] == 3).count();
    assert!((30..70).contains(&gone), "{gone}");
    assert!(!third.contains(&3) && kept + gone >= 195, "{kept} kept, {gone} gone");
    // One backend is everybody's, and needs no table.
    change_to(&mut ledger, &hashed(&[2]));
    assert!(ledger.maglev.is_empty());
    assert_eq!(ask(&mut ledger, 7, 4), 2);
}
