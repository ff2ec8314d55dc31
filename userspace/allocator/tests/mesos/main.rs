//! Mesos' own tests of its allocator and sorters, one for each of its tests, under the same
//! names and with the same numbers: `CONFORMANCE.md` says which is which.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod agents;
mod cluster;
mod constraints;
mod filters;
mod maintenance;
mod metrics;
mod minima;
mod operations;
mod quota;
mod reservations;
mod roles;
mod rules;
mod sharing;
mod sorters;
#[path = "../../../resources/tests/mesos/table.rs"]
mod table;

use muster_allocator::{FrameworkCapabilities, FrameworkOptions, Quota};
use muster_resources::{
    Details, Disk, Limits, Quantities, Reservation, Resource, Resources, Source, SourceKind, Value,
};

/// Resources from text.
fn resources(text: &str) -> Resources {
    Resources::parse(text).unwrap()
}

/// The same, reserved.
fn reserved(text: &str, reservation: &Reservation) -> Resources {
    resources(text).push_reservation(reservation).unwrap()
}

/// A reservation by the agent's configuration and one by an operation: Mesos runs its tests
/// of reservations with both.
fn both_reservations(role: &str) -> [Reservation; 2] {
    [Reservation::dynamic(role), Reservation::fixed(role)]
}

fn revocable(text: &str) -> Resources {
    resources(text).iter().map(|r| r.map_details(|details| details.revocable = true)).collect()
}

/// Disk space of an amount.
fn disk(amount: u32, details: Details) -> Resource {
    Resource::new("disk", Value::parse(&amount.to_string()).unwrap().unwrap()).with_details(details)
}

/// A disk that is given away whole.
fn mount(amount: u32) -> Resource {
    let source = Source {
        kind: SourceKind::Mount,
        root: None,
        id: None,
        metadata: None,
        profile: None,
        vendor: None,
    };
    disk(
        amount,
        Details {
            disk: Some(Disk { source: Some(source), ..Disk::default() }),
            ..Details::default()
        },
    )
}

/// A persistent volume.
fn volume(amount: u32, id: &str, reservations: Vec<Reservation>) -> Resource {
    let persistent = Disk { persistence: Some(id.to_owned()), ..Disk::default() };
    disk(amount, Details { disk: Some(persistent), reservations, ..Details::default() })
}

/// A persistent volume that several tasks may use at once.
fn shared_volume(amount: u32, id: &str, reservation: &Reservation) -> Resource {
    volume(amount, id, vec![reservation.clone()]).map_details(|details| details.shared = true)
}

/// What roles are promised, and no more than that.
fn quota(amounts: &str) -> Quota {
    quota_and_limits(amounts, amounts)
}

fn quota_and_limits(guarantees: &str, limits: &str) -> Quota {
    Quota {
        guarantees: Quantities::parse(guarantees).unwrap(),
        limits: Limits::parse(limits).unwrap(),
    }
}

/// What frameworks of the original tests know unless it is said.
fn multi_role() -> FrameworkCapabilities {
    FrameworkCapabilities { multi_role: true, ..FrameworkCapabilities::default() }
}

/// An active framework of one role.
fn in_role(role: &str) -> FrameworkOptions {
    FrameworkOptions {
        roles: vec![role.to_owned()],
        active: true,
        capabilities: multi_role(),
        ..FrameworkOptions::default()
    }
}
