//! Laws for resources with everything that may be special about them: stacks of reservations
//! with principals and labels, all kinds of disks and volumes, resource providers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use muster_resources::{
    Details, Disk, Format, Label, Labels, Limits, Operation, Quantities, Range, Ranges,
    Reservation, ReservationKind, Resource, Resources, Scalar, Source, SourceKind, Value, convert,
};
use proptest::prelude::*;

fn labels() -> impl Strategy<Value = Labels> {
    let label = ("[ab]", prop::option::of("[xy]")).prop_map(|(key, value)| Label { key, value });
    prop::collection::vec(label, 0..3).prop_map(|labels| labels.into_iter().collect())
}

/// Up to three reservations, each to a role below the one before.
fn reservations() -> impl Strategy<Value = Vec<Reservation>> {
    let one = (any::<bool>(), prop::option::of("[pq]"), prop::option::weighted(0.3, labels()));
    prop::collection::vec(one, 0..4).prop_map(|stack| {
        let reservation = |(depth, (fixed, principal, labels)): (usize, (bool, _, _))| {
            let role = ["a", "a/b", "a/b/c"][depth];
            let bare = match depth {
                0 if fixed => Reservation::fixed(role),
                _ => Reservation::dynamic(role),
            };
            Reservation { principal, labels, ..bare }
        };
        stack.into_iter().enumerate().take(3).map(reservation).collect()
    })
}

fn source() -> impl Strategy<Value = Source> {
    use SourceKind::{Block, Mount, Path, Raw};
    let text = || prop::option::weighted(0.3, "[mn]");
    let root = prop::option::of(prop::option::of("/mnt[12]"));
    let kind = prop::sample::select(vec![Path, Mount, Block, Raw]);
    (kind, root, text(), text(), text(), prop::option::weighted(0.3, labels())).prop_map(
        |(kind, root, id, profile, vendor, metadata)| Source {
            kind,
            // Only these have a place.
            root: root.filter(|_| [Path, Mount].contains(&kind)),
            id,
            metadata,
            profile,
            vendor,
        },
    )
}

fn disk() -> impl Strategy<Value = Option<Disk>> {
    let persistence = prop::option::of("v[12]");
    (prop::option::of(source()), persistence).prop_map(|(source, persistence)| {
        let disk = Disk { source, persistence, ..Disk::default() };
        (disk != Disk::default()).then_some(disk)
    })
}

fn amount() -> impl Strategy<Value = Scalar> {
    (1..20_000_i64).prop_map(Scalar::from_thousandths)
}

fn value() -> impl Strategy<Value = (&'static str, Value)> {
    let range = (0..40_u64, 0..6_u64).prop_map(|(begin, more)| Range { begin, end: begin + more });
    let ranges = prop::collection::vec(range, 1..5)
        .prop_map(|ranges| Value::Ranges(Ranges::new(ranges).unwrap()));
    let items = prop::collection::vec("[a-d]", 1..4)
        .prop_map(|items| Value::Set(items.into_iter().collect()));
    let name = prop::sample::select(vec!["cpus", "gpus", "mem"]);
    prop_oneof![
        4 => (name, amount().prop_map(Value::Scalar)),
        1 => (Just("ports"), ranges),
        1 => (Just("zones"), items),
    ]
}

fn resource() -> impl Strategy<Value = Resource> {
    let what = prop_oneof![
        1 => value().prop_map(|(name, value)| (name, value, None)),
        1 => (amount(), disk()).prop_map(|(amount, disk)| ("disk", Value::Scalar(amount), disk)),
    ];
    let provider = prop::option::weighted(0.2, prop::sample::select(vec!["p1", "p2"]));
    let flags = (prop::bool::weighted(0.2), any::<bool>());
    (what, reservations(), provider, flags).prop_map(
        |((name, value, disk), reservations, provider, (revocable, shared))| {
            let shared = shared && disk.as_ref().is_some_and(|disk| disk.persistence.is_some());
            let provider = provider.map(Into::into);
            Resource::new(name, value).with_details(Details {
                reservations,
                disk,
                revocable,
                shared,
                provider,
            })
        },
    )
}

fn resources() -> impl Strategy<Value = Resources> {
    prop::collection::vec(resource(), 0..8).prop_map(|all| all.into_iter().collect())
}

/// A part of each of some: half of what can be cut.
fn part(all: &Resources, which: u8) -> Resources {
    let some = all.iter().enumerate().filter(|(index, _)| which >> (index % 8) & 1 == 1);
    some.map(|(_, entry)| half(entry)).collect()
}

fn half(resource: &Resource) -> Resource {
    match resource.value() {
        Value::Scalar(amount) if resource.is_divisible() && amount.thousandths() > 1 => {
            let half = Scalar::from_thousandths(amount.thousandths() / 2);
            resource.clone().with_value(Value::Scalar(half))
        }
        _ => resource.clone(),
    }
}

/// Whether no number and no word is in both, so that their sum loses nothing.
fn disjoint(a: &Resources, b: &Resources) -> bool {
    a.iter().all(|entry| entry.is_scalar() || (b.clone() - Resources::from(entry.clone())) == *b)
}

proptest! {
    #[test]
    fn containing_is_a_partial_order(
        a in resources(), b in resources(), which in any::<u8>(), then in any::<u8>()
    ) {
        let some = part(&a, which);
        let less = part(&some, then);
        prop_assert!(a.contains(&a) && a.contains(&some) && some.contains(&less));
        prop_assert!(a.contains(&less));
        prop_assert_eq!(some.contains(&a), some == a);
        prop_assert!(!(b.contains(&a) && some.contains(&b)) || (a == some && a == b));
        // It does not matter what else there is.
        prop_assert!((a + &b).contains(&(some + b)));
    }

    #[test]
    fn taking_away_twice_is_taking_away_the_sum(
        a in resources(), b in resources(), which in any::<u8>()
    ) {
        let some = part(&a, which);
        if disjoint(&some, &b) {
            prop_assert_eq!(a.clone() - &some - &b, a.clone() - (some.clone() + &b));
        }
        if a.contains(&(some.clone() + &b)) && disjoint(&some, &b) {
            prop_assert!((a - some).contains(&b));
        }
    }

    #[test]
    fn messages_and_json_say_everything(a in resources()) {
        let a = a.allocated_to("role");
        prop_assert_eq!(Resources::from_proto(&a.to_proto()).unwrap(), a.clone());
        prop_assert_eq!(Resources::from_json(&a.to_json().to_string()).unwrap(), a.clone());
        prop_assert_eq!(Resources::from_json_value(&a.to_json()).unwrap(), a);
    }

    #[test]
    fn older_forms_say_the_same(a in resource()) {
        let refined = a.has_refined_reservations();
        // Who made a static reservation cannot be said in the oldest form.
        let a = a.map_details(|details| {
            if let [Reservation { kind: ReservationKind::Static, principal, labels, .. }] =
                &mut details.reservations[..]
            {
                (*principal, *labels) = (None, None);
            }
        });
        for format in [Format::PreRefinement, Format::Endpoint, Format::PostRefinement] {
            let mut message = a.to_proto();
            let told = convert(&mut message, format);
            prop_assert_eq!(told.is_err(), refined && format == Format::PreRefinement);
            prop_assert_eq!(Resource::from_proto(&message).unwrap(), a.clone());
            // And back.
            convert(&mut message, Format::PostRefinement).unwrap();
            prop_assert_eq!(&message, &a.to_proto());
        }
    }

    #[test]
    fn all_parts_are_the_whole(a in resources(), b in resources()) {
        prop_assert_eq!(a.reserved() + a.unreserved(), a.clone());
        prop_assert_eq!(a.revocable() + a.non_revocable(), a.clone());
        prop_assert_eq!(a.shared() + a.non_shared(), a.clone());
        let sum = |parts: Vec<Resources>| parts.into_iter().fold(Resources::default(), |a, b| a + b);
        prop_assert_eq!(sum(a.reservations().into_values().collect()), a.reserved());
        let both = a.clone().allocated_to("a") + &b;
        prop_assert_eq!(sum(both.allocations().into_values().collect()), both);
        prop_assert_eq!(a.clone().allocated_to("a").unallocated(), a);
    }

    #[test]
    fn reservations_are_put_on_and_taken_off(a in resources(), labels in labels()) {
        let labels = Some(labels);
        let reservation = Reservation { labels, ..Reservation::dynamic("a/b/c/d") };
        let reserved = a.push_reservation(&reservation).unwrap();
        prop_assert!(reserved.iter().all(|entry| entry.reservation_role() == Some("a/b/c/d")));
        prop_assert_eq!(Quantities::of(&reserved), Quantities::of(&a));
        prop_assert_eq!(reserved.pop_reservation().unwrap(), a.clone());
        prop_assert_eq!(reserved.to_unreserved(), a.to_unreserved());
        prop_assert!(a.push_reservation(&Reservation::fixed("*")).is_err() || a.is_empty());
    }

    #[test]
    fn operations_can_be_undone_and_keep_amounts(
        a in resources(), which in any::<u8>(), shared in any::<bool>(), by in 1..20_000_i64
    ) {
        let keeps = |after: &Resources| Quantities::of(after) == Quantities::of(&a);
        let reserved =
            part(&a, which).push_reservation(&Reservation::dynamic("a/b/c/d")).unwrap();
        let reserve = Operation::Reserve { resources: reserved.clone(), source: None };
        let after = a.apply(&reserve).unwrap();
        prop_assert!(keeps(&after) && after.contains(&reserved));
        prop_assert_eq!(after.apply(&Operation::Unreserve(reserved)).unwrap(), a.clone());

        let is_space = |entry: &&Resource| *entry.name() == *"disk" && !entry.is_persistent_volume();
        let Some(space) = a.iter().find(is_space) else { return Ok(()) };
        let volume = half(space).map_details(|details| {
            let disk = details.disk.get_or_insert_default();
            disk.persistence = Some("new".to_owned());
            details.shared = shared;
        });
        let after = a.apply(&Operation::Create(volume.clone().into())).unwrap();
        prop_assert!(keeps(&after) && after.contains(&volume.clone().into()));
        prop_assert!(after.apply(&Operation::Create(volume.clone().into())).is_err());
        prop_assert_eq!(after.apply(&Operation::Destroy(volume.clone().into())).unwrap(), a.clone());

        let addition = space.clone().with_value(Value::Scalar(Scalar::from_thousandths(by)));
        let grow = Operation::GrowVolume { volume: volume.clone(), addition: addition.clone() };
        let is_fixed = shared || space.details().provider.is_some();
        let Ok(grown) = after.apply(&grow) else {
            prop_assert!(is_fixed || !after.contains(&addition.into()));
            return Ok(());
        };
        prop_assert!(!is_fixed && keeps(&grown));
        let (volumes, subtract) = (grown.persistent_volumes(), Scalar::from_thousandths(by));
        let new = |entry: &&Resource| entry.details().disk.as_ref().unwrap().persistence.as_deref() == Some("new");
        let volume = volumes.iter().find(new).unwrap().clone();
        let shrunk = grown.apply(&Operation::ShrinkVolume { volume, subtract }).unwrap();
        prop_assert_eq!(shrunk, after);
    }

    #[test]
    fn operations_do_not_make_one_thing_of_another(
        a in resource(), b in resource(), alike in any::<bool>()
    ) {
        // The same volume, or one thing with two stacks of reservations.
        let b = if alike { a.map_details(|details| details.reservations.truncate(1)) } else { b };
        // No number and no word is there twice.
        let (a, b) = (Resources::from(a), Resources::from(b));
        prop_assume!(disjoint(&a.to_unreserved(), &b.to_unreserved()));
        let (volume, addition) = (a.iter().next().unwrap().clone(), b.iter().next().unwrap().clone());
        let operations = [
            Operation::GrowVolume { volume, addition },
            Operation::Reserve { resources: a.clone(), source: Some(b.clone()) },
        ];
        let all = a + b;
        for operation in operations {
            if let Ok(after) = all.apply(&operation) {
                prop_assert_eq!(Quantities::of(&after), Quantities::of(&all), "{:?}", operation);
            }
        }
    }

    #[test]
    fn what_is_found_is_there_and_is_what_was_looked_for(a in resources(), which in any::<u8>()) {
        for entry in &part(&a, which) {
            let target = Resources::from(entry.map_details(|details| details.reservations.clear()));
            let found = a.find(&target).unwrap();
            prop_assert!(a.contains(&found));
            prop_assert_eq!(found.to_unreserved(), target);
        }
    }

    #[test]
    fn amounts_are_what_their_text_says(
        amounts in prop::collection::vec(("[a-c]", 0..1_000_000_000_000_000_i64), 0..5),
        (_, value) in value()
    ) {
        let amounts = amounts
            .into_iter()
            .map(|(name, amount)| (name.as_str().into(), Scalar::from_thousandths(amount)));
        let quantities: Quantities = amounts.clone().collect();
        prop_assert_eq!(Quantities::parse(&quantities.to_string()).unwrap(), quantities.clone());
        let mut limits = Limits::default();
        for (name, amount) in amounts {
            prop_assert_eq!(Scalar::from_f64(amount.as_f64()).unwrap(), amount);
            limits.set(name, amount);
        }
        prop_assert_eq!(Limits::parse(&limits.to_string()).unwrap(), limits.clone());
        // What is left below the limits is what is missing to them.
        for (name, limit) in limits.iter() {
            let left = limits.minus(&quantities).get(name).unwrap();
            prop_assert_eq!(left, limit.minus_floored(quantities.get(name)));
        }
        prop_assert_eq!(Value::parse(&value.to_string()).unwrap(), Some(value));
    }
}
