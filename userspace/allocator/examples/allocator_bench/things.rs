//! Resources of Mesos' cases.

use muster_resources::{
    Details, Disk, Label, Labels, Range, Ranges, Reservation, Resource, Resources, Scalar, Value,
};

use crate::Failure;

/// What a text stands for.
pub(crate) fn parsed(text: &str) -> Result<Resources, Failure> {
    Ok(Resources::parse(text)?)
}

/// The ports 31000 to 32000 in so many pieces: single ones with gaps between them, and then
/// the rest.
pub(crate) fn ports_in_pieces(pieces: u64) -> Result<Resource, Failure> {
    let piece = |index: u64| {
        let begin = 31000 + index * 2;
        Range { begin, end: if index + 1 == pieces { 32000 } else { begin } }
    };
    Ok(Resource::new("ports", Value::Ranges(Ranges::new((0..pieces).map(piece))?)))
}

/// So many labels.
pub(crate) fn labels(count: usize) -> Vec<Label> {
    let label = |index| Label { key: format!("key{index}"), value: Some(format!("value{index}")) };
    (0..count).map(label).collect()
}

/// A reservation by an operation, with labels.
pub(crate) fn labelled(role: &str, labels: Vec<Label>) -> Reservation {
    Reservation {
        principal: Some("principal1".to_owned()),
        labels: Some(Labels::from_iter(labels)),
        ..Reservation::dynamic(role)
    }
}

/// The same resources, reserved.
pub(crate) fn reserved(resources: &Resources, by: &Reservation) -> Result<Resources, Failure> {
    Ok(resources.push_reservation(by)?)
}

/// A persistent volume of 1 GB in a static reservation.
pub(crate) fn volume(role: &str, id: String, shared: bool) -> Resource {
    let disk = Disk { persistence: Some(id), ..Disk::default() };
    Resource::new("disk", Value::Scalar(Scalar::whole(1024))).with_details(Details {
        reservations: vec![Reservation::fixed(role)],
        disk: Some(disk),
        shared,
        ..Details::default()
    })
}
