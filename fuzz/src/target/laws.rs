//! What holds of all resources.

use muster_resources::{Quantities, Reservation, Resource, Resources, Scalar, Value};

/// Up to here, 2^42, doubles are nearer to a thousandth than to any other, also when they are
/// multiplied by 1000, as Mesos does.
const EXACT: Scalar = Scalar::from_thousandths((1 << 42) * 1000);

/// Whether an amount is exact however it is written down.
pub(crate) fn is_exact(amount: Scalar) -> bool {
    amount < EXACT && amount > Scalar::ZERO - EXACT
}

/// Whether all amounts are.
pub(crate) fn are_exact(resources: &Resources) -> bool {
    resources.iter().all(|entry| match entry.value() {
        Value::Scalar(amount) => is_exact(*amount),
        _ => true,
    })
}

/// Checks resources that have been read from somewhere.
pub(crate) fn check(resources: &Resources) {
    assert!(resources.contains(resources));
    assert!((resources.clone() - resources).is_empty());
    assert!(resources.contains_quantities(&Quantities::of(resources)));
    assert!(resources.iter().all(|entry| !entry.is_empty()));
    let all: Resources = resources.iter().rev().cloned().collect();
    assert_eq!(all, *resources, "the order in which they come does not matter");
    assert_eq!(resources.reserved() + resources.unreserved(), *resources);
    let messages = resources.to_proto();
    if are_exact(resources) {
        assert_eq!(Resources::from_proto(&messages).as_ref(), Ok(resources));
        assert_eq!(Resources::from_json(&resources.to_json().to_string()).as_ref(), Ok(resources));
    }
    // The long form is for people; it says something of everything.
    assert!(!format!("{resources:#}").is_empty());
    let deepest = resources.iter().filter_map(Resource::reservation_role).max_by_key(|r| r.len());
    let below = format!("{}/below", deepest.unwrap_or("role"));
    if let Ok(reserved) = resources.push_reservation(&Reservation::dynamic(below)) {
        assert_eq!(reserved.pop_reservation().as_ref(), Some(resources));
    }
}
