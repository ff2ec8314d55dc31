//! Laws of the algebra, on random resources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use muster_resources::{
    Details, Disk, Limits, Operation, Problem, Quantities, Range, Ranges, Reservation, Resource,
    Resources, Scalar, Source, SourceKind, Value,
};
use proptest::prelude::*;

fn scalar() -> impl Strategy<Value = Value> {
    (1..20_000_i64).prop_map(|thousandths| Value::Scalar(Scalar::from_thousandths(thousandths)))
}

fn ranges() -> impl Strategy<Value = Ranges> {
    let range = (0..40_u64, 0..6_u64).prop_map(|(begin, more)| Range { begin, end: begin + more });
    prop::collection::vec(range, 1..5).prop_map(|ranges| Ranges::new(ranges).unwrap())
}

fn set() -> impl Strategy<Value = Value> {
    prop::collection::vec("[a-d]", 1..4).prop_map(|items| Value::Set(items.into_iter().collect()))
}

fn reservations() -> impl Strategy<Value = Vec<Reservation>> {
    prop_oneof![
        3 => Just(Vec::new()),
        1 => Just(vec![Reservation::fixed("a")]),
        1 => Just(vec![Reservation::dynamic("a")]),
        1 => Just(vec![Reservation::fixed("a"), Reservation::dynamic("a/b")]),
    ]
}

fn disk() -> impl Strategy<Value = Option<Disk>> {
    let source = |kind| Source {
        kind,
        root: Some(Some("mnt".to_owned())),
        id: None,
        metadata: None,
        profile: None,
        vendor: None,
    };
    let of = move |source, persistence: Option<&str>| {
        Some(Disk { source, persistence: persistence.map(str::to_owned), ..Disk::default() })
    };
    prop_oneof![
        4 => Just(None),
        1 => Just(of(Some(source(SourceKind::Path)), None)),
        1 => Just(of(Some(source(SourceKind::Mount)), None)),
        1 => Just(of(None, Some("volume"))),
    ]
}

/// What can be added up without end: nothing indivisible, nothing shared.
fn divisible() -> impl Strategy<Value = Resource> {
    let value = prop_oneof![
        4 => (prop::sample::select(vec!["cpus", "mem", "disk"]), scalar()),
        2 => (Just("ports"), ranges().prop_map(Value::Ranges)),
        1 => (Just("zones"), set()),
    ];
    let role = prop::option::of(prop::sample::select(vec!["a", "a/b"]));
    (value, reservations(), any::<bool>(), role).prop_map(
        |((name, value), reservations, revocable, role)| {
            Resource::new(name, value)
                .with_details(Details { reservations, revocable, ..Details::default() })
                .with_allocation(role.map(Into::into))
        },
    )
}

/// Anything.
fn any_resource() -> impl Strategy<Value = Resource> {
    let special = (1..5_i64, reservations(), disk(), any::<bool>()).prop_map(
        |(amount, reservations, disk, shared)| {
            let shared = shared && disk.as_ref().is_some_and(|disk| disk.persistence.is_some());
            let details = Details { reservations, disk, shared, ..Details::default() };
            let amount = Scalar::from_thousandths(amount * 1000);
            Resource::new("disk", Value::Scalar(amount)).with_details(details)
        },
    );
    prop_oneof![2 => divisible(), 1 => special]
}

fn several(one: impl Strategy<Value = Resource>) -> impl Strategy<Value = Resources> {
    prop::collection::vec(one, 0..8).prop_map(|all| all.into_iter().collect())
}

/// Amounts whose sum loses nothing: a number that both have is there but once.
fn disjoint(a: &Resources, b: &Resources) -> bool {
    a.iter().all(|entry| entry.is_scalar() || (b.clone() - Resources::from(entry.clone())) == *b)
}

proptest! {
    #[test]
    fn sums_do_not_depend_on_order(
        a in several(any_resource()), b in several(any_resource()), c in several(any_resource())
    ) {
        prop_assert_eq!(a.clone() + &b, b.clone() + &a);
        prop_assert_eq!((a.clone() + &b) + &c, a + (b + c));
    }

    #[test]
    fn nothing_is_neutral(a in several(any_resource())) {
        let nothing = Resources::default();
        prop_assert_eq!(a.clone() + &nothing, a.clone());
        prop_assert_eq!(a.clone() - &nothing, a.clone());
        prop_assert!((a.clone() - &a).is_empty());
        prop_assert!((nothing.clone() - &a).is_empty());
        prop_assert!(a.contains(&nothing));
        prop_assert!(a.contains(&a));
    }

    #[test]
    fn what_was_added_can_be_taken_away(a in several(any_resource()), b in several(any_resource())) {
        let sum = a.clone() + &b;
        prop_assert!(sum.contains(&a) && sum.contains(&b));
        prop_assume!(disjoint(&a, &b));
        prop_assert_eq!(sum - &b, a);
    }

    #[test]
    fn what_is_contained_can_be_put_back(a in several(any_resource()), b in several(any_resource())) {
        if a.contains(&b) {
            prop_assert_eq!((a.clone() - &b) + &b, a);
        }
    }

    #[test]
    fn equal_is_contained_both_ways(a in several(any_resource()), b in several(any_resource())) {
        prop_assert_eq!(a == b, a.contains(&b) && b.contains(&a));
    }

    #[test]
    fn messages_and_json_say_everything(a in several(any_resource())) {
        prop_assert_eq!(Resources::from_proto(&a.to_proto()).unwrap(), a.clone());
        prop_assert_eq!(Resources::from_json(&a.to_json().to_string()).unwrap(), a);
    }

    #[test]
    fn text_says_what_it_can(a in several(divisible())) {
        let plain = a.unallocated().filter(|resource| resource.is_text());
        prop_assert_eq!(Resources::parse(&plain.to_string()).unwrap(), plain);
    }

    #[test]
    fn quantities_are_sums(a in several(divisible()), b in several(divisible())) {
        prop_assume!(disjoint(&a, &b));
        let mut sum = Quantities::of(&a);
        sum.add_all(&Quantities::of(&b));
        let both = a + b;
        prop_assert!(both.contains_quantities(&sum));
        prop_assert_eq!(Quantities::of(&both), sum);
    }

    #[test]
    fn shrinking_keeps_to_the_target(
        a in several(any_resource()), target in 1..6000_i64, limit in 0..6000_i64, salt in any::<u64>()
    ) {
        let scalars = a.unallocated().scalars();
        let order = |position: usize| salt.rotate_left(u32::try_from(position).unwrap());
        let target = Quantities::from_iter([
            ("cpus".into(), Scalar::from_thousandths(target)),
            ("disk".into(), Scalar::from_thousandths(limit)),
        ]);
        let shrunk = scalars.shrunk_to(&target, order);
        prop_assert!(scalars.contains(&shrunk));
        prop_assert!(target.contains(&Quantities::of_scalars(&shrunk)));
        let limits = Limits::from(&target);
        let limited = scalars.shrunk_to_limits(&limits, order);
        prop_assert!(scalars.contains(&limited));
        prop_assert!(limits.contains(&Quantities::of_scalars(&limited)));
        // What can be cut is cut no further than it must. (Of nothing, there would be no limit.)
        let cpus = scalars.scalar("cpus").min(target.get(&"cpus".into()));
        prop_assert_eq!(limited.scalar("cpus"), cpus);
    }

    #[test]
    fn steps_together_are_steps_one_by_one(
        a in several(any_resource()), b in several(any_resource()), kind in 0..4_u8
    ) {
        // Some of what is there, and some that may not be.
        let about: Resources = a.iter().step_by(2).chain(&b).cloned().collect();
        let operation = match kind {
            0 => Operation::Unreserve(about.reserved()),
            1 => Operation::Destroy(about.persistent_volumes()),
            2 => Operation::Create(about.persistent_volumes()),
            _ => Operation::Unreserve(a.reserved()),
        };
        let conversions = operation.conversions().unwrap();
        let one_by_one =
            conversions.iter().try_fold(a.clone(), |resources, step| resources.convert(step));
        let mut together = a.clone();
        let result = together.convert_all(&conversions).map(|()| together.clone());
        prop_assert_eq!(a.check_all(&conversions).is_ok(), one_by_one.is_ok());
        if one_by_one.is_err() {
            prop_assert_eq!(together, a, "nothing is done by halves");
        }
        let kind = |result: Result<Resources, Problem>| {
            result.map_err(|problem| std::mem::discriminant(&problem))
        };
        prop_assert_eq!(kind(result), kind(one_by_one));
    }

    #[test]
    fn ranges_are_sets_of_numbers(a in ranges(), b in ranges()) {
        let numbers = |ranges: &Ranges| ranges.numbers().collect::<std::collections::BTreeSet<u64>>();
        let (mut sum, mut difference) = (a.clone(), a.clone());
        sum.add(&b);
        difference.subtract(&b);
        prop_assert_eq!(numbers(&sum), &numbers(&a) | &numbers(&b));
        prop_assert_eq!(numbers(&difference), &numbers(&a) - &numbers(&b));
        prop_assert_eq!(a.contains(&b), numbers(&b).is_subset(&numbers(&a)));
        prop_assert_eq!(sum.count(), numbers(&sum).len() as u64);
        // As few ranges as there can be.
        prop_assert!(sum.as_slice().windows(2).all(|pair| pair[0].end + 1 < pair[1].begin));
    }

    #[test]
    fn no_text_breaks_the_parser(text in "[a-z*:;()\\[\\]{}0-9., /-]{0,24}") {
        if let Ok(resources) = Resources::parse(&text) {
            prop_assert_eq!(Resources::parse(&resources.to_string()).unwrap(), resources);
        }
    }

    #[test]
    fn no_json_breaks_the_parser(text in "\\PC{0,40}") {
        let _ = Resources::from_json(&text);
        let _ = Resources::from_json(&format!("[{{\"name\": \"cpus\", {text}}}]"));
    }
}
