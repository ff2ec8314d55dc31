use muster_api::muster::Backend;

use std::net::SocketAddr;

use muster_packet::{Policy, TCP, UDP};
use proptest::prelude::*;

use super::*;

fn backend(address: &str, port: u32, weight: u32) -> Backend {
    Backend { address: address.to_owned(), port, weight, ..Backend::default() }
}

fn vip(address: &str, port: u32, protocol: i32, backends: Vec<Backend>) -> Vip {
    let key = Some(VipKey { address: address.to_owned(), port, protocol });
    Vip { key, backends, ..Vip::default() }
}

fn messages(skipped: &[Skipped]) -> Vec<String> {
    skipped.iter().map(ToString::to_string).collect()
}

/// What is to be served of these VIPs, and what cannot be.
fn desired(vips: &[Vip]) -> (BTreeMap<Endpoint, Wanted>, Vec<Skipped>) {
    let view = View::of(vips, None);
    let desired = view.vips().map(|(vip, wanted)| (vip, wanted.clone())).collect();
    (desired, view.skipped())
}

#[test]
fn good_view_is_taken_whole_and_sorted() {
    let (desired, skipped) = desired(&[vip(
        "11.0.0.1",
        80,
        6,
        vec![backend("10.0.0.2", 31000, 1), backend("10.0.0.1", 31001, 0)],
    )]);
    assert!(skipped.is_empty());
    assert_eq!(
        desired[&Endpoint::v4([11, 0, 0, 1], 80, TCP)].backends,
        [
            (Endpoint::v4([10, 0, 0, 1], 31001, TCP), 0),
            (Endpoint::v4([10, 0, 0, 2], 31000, TCP), 1),
        ]
    );
}

#[test]
fn policy_is_the_views_or_the_agents() {
    let of = |policy: &str| {
        let vip = Vip { policy: policy.to_owned(), ..vip("11.0.0.1", 80, 6, vec![]) };
        let (desired, skipped) = desired(&[vip]);
        (desired[&Endpoint::v4([11, 0, 0, 1], 80, TCP)].policy, messages(&skipped))
    };
    assert_eq!(of(""), (None, vec![]));
    for policy in Policy::ALL {
        assert_eq!(of(policy.name()), (Some(policy), vec![]));
    }
    let message = "VIP 11.0.0.1:80/tcp: policy Random: is not known: the agent's own is used";
    assert_eq!(of("Random"), (None, vec![message.to_owned()]));
}

#[test]
fn tcp_and_udp_are_two_vips() {
    let (desired, skipped) =
        desired(&[vip("11.0.0.1", 53, 6, vec![]), vip("11.0.0.1", 53, 17, vec![])]);
    assert_eq!((desired.len(), skipped.len()), (2, 0));
}

#[test]
fn ipv6_vip_has_backends_that_its_sockets_can_reach() {
    let backends = || vec![backend("fd00::1", 80, 1), backend("10.0.0.1", 80, 1)];
    let (desired, skipped) =
        desired(&[vip("fd01:c::1", 80, 6, backends()), vip("fd01:c::1", 80, 17, backends())]);
    let end = |text: &str, protocol| Endpoint::at(text.parse().unwrap(), protocol);
    let both = [(end("10.0.0.1:80", TCP), 1), (end("[fd00::1]:80", TCP), 1)];
    assert_eq!(desired[&end("[fd01:c::1]:80", TCP)].backends, both);
    assert_eq!(desired[&end("[fd01:c::1]:80", UDP)].backends, [(end("[fd00::1]:80", UDP), 1)]);
    assert_eq!(
        messages(&skipped),
        ["VIP [fd01:c::1]:80/udp: backends[1] 10.0.0.1:80: has an IPv4 address, and the VIP an \
          IPv6 address and UDP"]
    );
}

#[test]
fn address_that_maps_an_ipv4_address_is_that_one() {
    let (desired, skipped) =
        desired(&[vip("11.0.0.1", 80, 6, vec![]), vip("::ffff:11.0.0.1", 80, 6, vec![])]);
    assert_eq!(desired.len(), 1);
    assert_eq!(messages(&skipped), ["VIP [::ffff:11.0.0.1]:80/tcp: more than once in the view"]);
}

#[test]
fn every_impossible_field_is_named_and_the_rest_is_taken() {
    let (desired, skipped) = desired(&[
        Vip { name: "n".into(), ..Vip::default() },
        vip("11.0.0.1", 0, 6, vec![]),
        vip("11.0.0.1", 65536, 6, vec![]),
        vip("11.0.0.1", 80, 1, vec![]),
        vip("fe80::1", 80, 6, vec![]),
        vip("224.0.0.1", 80, 17, vec![]),
        vip("eleven", 80, 17, vec![]),
        vip(
            "11.0.0.9",
            80,
            6,
            vec![
                backend("10.0.0.1", 80, 1),
                backend("10.0.0.1", 0, 1),
                backend("::1", 80, 1),
                backend("0.0.0.0", 80, 1),
                backend("::ffff:10.0.0.1", 80, 5),
            ],
        ),
        vip("11.0.0.9", 80, 6, vec![]),
    ]);
    assert_eq!(
        messages(&skipped),
        [
            "VIP \"n\": has no key",
            "VIP 11.0.0.1:0/tcp: key.port 0: must be 1 to 65535",
            "VIP 11.0.0.1:80/1: key.protocol 1: must be 6 (TCP) or 17 (UDP)",
            "VIP 11.0.0.1:65536/tcp: key.port 65536: must be 1 to 65535",
            "VIP 224.0.0.1:80/udp: key.address \"224.0.0.1\": is no destination",
            "VIP eleven:80/udp: key.address \"eleven\": is no IP address",
            "VIP [fe80::1]:80/tcp: key.address \"fe80::1\": means another machine on each interface",
            "VIP 11.0.0.9:80/tcp: backends[1].port 0: must be 1 to 65535",
            "VIP 11.0.0.9:80/tcp: backends[2] [::1]:80: has an IPv6 address, and the VIP an IPv4 address",
            "VIP 11.0.0.9:80/tcp: backends[3].address \"0.0.0.0\": is no destination",
            "VIP 11.0.0.9:80/tcp: backends[4] 10.0.0.1:80: is there already",
            "VIP 11.0.0.9:80/tcp: more than once in the view",
        ]
    );
    let kept = Endpoint::v4([11, 0, 0, 9], 80, TCP);
    assert_eq!(desired.keys().collect::<Vec<_>>(), [&kept]);
    assert_eq!(desired[&kept].backends.len(), 1);
}

#[test]
fn names_belong_to_an_address_and_a_protocol() {
    let named = |vip: Vip, name: &str| Vip { name: name.into(), ..vip };
    let view = View::of(
        &[
            named(vip("11.0.0.1", 80, 6, vec![]), "web"),
            vip("11.0.0.2", 80, 6, vec![]),
            named(vip("eleven", 80, 6, vec![]), "bad"),
            named(vip("fd01:c::1", 80, 6, vec![]), "six"),
            named(vip("::ffff:11.0.0.3", 80, 6, vec![]), "mapped"),
        ],
        None,
    );
    let name = |text: &str, protocol| {
        view.name(&Endpoint::at(text.parse::<SocketAddr>().unwrap(), protocol))
    };
    assert_eq!(name("11.0.0.1:80", TCP).as_deref(), Some("web"));
    assert_eq!(name("[fd01:c::1]:80", TCP).as_deref(), Some("six"));
    assert_eq!(name("11.0.0.3:80", TCP).as_deref(), Some("mapped"));
    assert_eq!(name("11.0.0.1:80", UDP), None);
    assert_eq!(name("11.0.0.1:81", TCP), None);
    assert_eq!(name("11.0.0.2:80", TCP), None);
}

/// VIPs of few addresses, written in several ways, some of which are impossible.
fn some_vip() -> impl Strategy<Value = Vip> {
    let address = prop_oneof![
        Just("11.0.0.1"),
        Just("::ffff:11.0.0.1"),
        Just("11.0.0.2"),
        Just("fd01:c::1"),
        Just("FD01:c::1"),
        Just("eleven"),
    ];
    let to = prop_oneof![Just("10.0.0.1"), Just("10.0.0.2"), Just("fd00::1"), Just("ten")];
    let backend =
        (to, 0u32..3, 0u32..3, any::<bool>()).prop_map(|(address, port, weight, ours)| Backend {
            agent_id: if ours { "S1" } else { "S2" }.into(),
            ..backend(address, port, weight)
        });
    let backends = proptest::collection::vec(backend, 0..4);
    let policy = prop_oneof![Just(""), Just("maglev"), Just("unheard")];
    let protocol = prop_oneof![Just(6), Just(17), Just(1)];
    (address, 0u32..3, protocol, backends, policy, "[a-c]?").prop_map(
        |(address, port, protocol, backends, policy, name)| Vip {
            policy: policy.into(),
            name,
            ..vip(address, port, protocol, backends)
        },
    )
}

fn key(vip: &Vip) -> Key {
    let VipKey { address, port, protocol } = vip.key.clone().unwrap();
    (address, port, protocol)
}

proptest! {
    #[test]
    fn view_that_was_changed_is_the_view_anew(
        first in proptest::collection::vec(some_vip(), 0..8),
        steps in proptest::collection::vec(
            (proptest::collection::vec(some_vip(), 0..4), proptest::collection::vec(some_vip(), 0..4)),
            0..6,
        ),
    ) {
        let mut held: BTreeMap<Key, Vip> = first.into_iter().map(|vip| (key(&vip), vip)).collect();
        let whole = |held: &BTreeMap<Key, Vip>| {
            View::of(&held.values().cloned().collect::<Vec<_>>(), Some("S1"))
        };
        let mut view = whole(&held);
        for (changed, removed) in steps {
            let before = view.clone();
            let removed: Vec<VipKey> = removed.into_iter().filter_map(|vip| vip.key).collect();
            for gone in &removed {
                held.remove(&(gone.address.clone(), gone.port, gone.protocol));
            }
            held.extend(changed.iter().map(|vip| (key(vip), vip.clone())));
            let touched = view.take(News::Change { changed: &changed, removed: &removed }, None).unwrap();
            let anew = whole(&held);
            prop_assert_eq!(&view, &anew);
            prop_assert_eq!(messages(&view.skipped()), messages(&anew.skipped()));
            // What may be different is said.
            for (vip, wanted) in before.vips() {
                prop_assert!(touched.contains(&vip) || view.wanted(&vip) == Some(wanted));
            }
            for (vip, wanted) in view.vips() {
                prop_assert!(touched.contains(&vip) || before.wanted(&vip) == Some(wanted));
            }
        }
    }
}
