//! Mesos' own tests of resources, one for each of its tests, under the same names and with
//! the same numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod allocated;
mod disks;
mod formats;
mod limits;
mod operations;
mod parsing;
mod precision;
mod printing;
mod providers;
mod quantities;
mod ranges;
mod reservations;
mod revocable;
mod scalars;
mod sets;
mod shared;
mod shrinking;
mod table;
mod values;

use muster_api::mesos;
use muster_resources::{
    Details, Disk, Label, Labels, Reservation, Resource, Resources, Source, SourceKind, Value,
};

/// Resources from text.
fn resources(text: &str) -> Resources {
    Resources::parse(text).unwrap()
}

/// One resource from text.
fn resource(text: &str) -> Resource {
    resources(text).into_iter().next().unwrap()
}

fn of(resource: Resource) -> Resources {
    Resources::from(resource)
}

fn reserved(text: &str, reservation: &Reservation) -> Resources {
    resources(text).push_reservation(reservation).unwrap()
}

fn dynamic(role: &str, principal: &str) -> Reservation {
    Reservation { principal: Some(principal.to_owned()), ..Reservation::dynamic(role) }
}

fn labels(labels: &[(&str, Option<&str>)]) -> Labels {
    let label = |(key, value): &(&str, Option<&str>)| Label {
        key: (*key).to_owned(),
        value: value.map(str::to_owned),
    };
    labels.iter().map(label).collect()
}

fn labelled(role: &str, principal: &str, key: &str, value: &str) -> Reservation {
    Reservation { labels: Some(labels(&[(key, Some(value))])), ..dynamic(role, principal) }
}

fn source(kind: SourceKind, root: &str) -> Source {
    let root = Some(Some(root.to_owned()));
    Source { kind, root, id: None, metadata: None, profile: None, vendor: None }
}

/// A disk as the original tests make them: with a `DiskInfo` if there is anything to say.
fn disk(
    amount: &str,
    role: &str,
    persistence: Option<&str>,
    path: Option<&str>,
    source: Option<Source>,
) -> Resource {
    let volume = path.map(|path| mesos::Volume {
        container_path: path.to_owned(),
        mode: mesos::volume::Mode::Rw.into(),
        ..mesos::Volume::default()
    });
    let disk =
        Disk { source, persistence: persistence.map(str::to_owned), principal: None, volume };
    let special = disk.source.is_some() || disk.persistence.is_some() || disk.volume.is_some();
    let reservations = if role == "*" { Vec::new() } else { vec![Reservation::fixed(role)] };
    let details = Details { reservations, disk: special.then_some(disk), ..Details::default() };
    Resource::new("disk", Value::parse(amount).unwrap().unwrap()).with_details(details)
}

fn shared_disk(amount: &str, role: &str, id: &str, path: &str) -> Resource {
    disk(amount, role, Some(id), Some(path), None).map_details(|details| details.shared = true)
}

fn revocable(text: &str) -> Resources {
    of(resource(text).map_details(|details| details.revocable = true))
}

fn cpus(resources: &Resources) -> f64 {
    resources.scalar("cpus").as_f64()
}
