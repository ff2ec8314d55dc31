//! Old and new forms of reservations.
#![allow(deprecated, reason = "the old form is what is tested")]

use muster_api::mesos;
use muster_api::mesos::resource::{ReservationInfo, reservation_info};
use muster_resources::{Format, Resource, Resources, convert};

use crate::{dynamic, resource};

fn message() -> mesos::Resource {
    resource("cpus:555.5").to_proto()
}

fn info(kind: reservation_info::Type, role: &str, principal: &str) -> ReservationInfo {
    ReservationInfo {
        r#type: Some(kind.into()),
        role: Some(role.to_owned()),
        principal: Some(principal.to_owned()),
        labels: None,
    }
}

fn is_valid(message: &mesos::Resource) -> bool {
    Resource::from_proto(message).is_ok()
}

const STATIC: reservation_info::Type = reservation_info::Type::Static;
const DYNAMIC: reservation_info::Type = reservation_info::Type::Dynamic;

#[test]
fn pre_reservation_refinement() {
    let mut message = message();
    assert!(is_valid(&message));
    message.role = Some("*".to_owned());
    assert!(is_valid(&message));
    message.role = Some("foo".to_owned());
    assert!(is_valid(&message));
    let principal = Some("principal1".to_owned());
    message.reservation = Some(ReservationInfo { principal, ..ReservationInfo::default() });
    let read = Resource::from_proto(&message).unwrap();
    assert_eq!(
        read,
        resource("cpus:555.5").with_reservation(dynamic("foo", "principal1")).unwrap()
    );
    message.role = Some("*".to_owned());
    assert!(!is_valid(&message));
}

#[test]
fn post_reservation_refinement() {
    let mut message = message();
    for kind in [STATIC, DYNAMIC] {
        message.reservations = vec![info(kind, "foo", "principal1")];
        assert!(is_valid(&message));
        message.reservations.push(info(STATIC, "foo/bar", "principal2"));
        assert!(!is_valid(&message));
        message.reservations[1].set_type(DYNAMIC);
        assert!(is_valid(&message));
        message.reservations[1].role = Some("bar".to_owned());
        let error = Resources::from_proto(&[message.clone()]).unwrap_err();
        assert_eq!(error.place, "resources[0].reservations[1].role");
    }
    message.reservations = vec![info(STATIC, "*", "principal1")];
    assert!(!is_valid(&message));
}

#[test]
fn endpoint() {
    let mut message = message();
    message.role = Some("r1".to_owned());
    let principal = Some("principal1".to_owned());
    message.reservation = Some(ReservationInfo { principal, ..ReservationInfo::default() });
    message.reservations = vec![info(DYNAMIC, "r1", "principal1")];
    assert!(is_valid(&message));
    let changed = |change: fn(&mut mesos::Resource)| {
        let mut changed = message.clone();
        change(&mut changed);
        changed
    };
    for wrong in [
        changed(|m| m.reservations[0].role = Some("r2".to_owned())),
        changed(|m| m.reservations[0].set_type(STATIC)),
        changed(|m| m.reservation.as_mut().unwrap().principal = Some("principal2".to_owned())),
        changed(|m| m.role = None),
        changed(|m| m.reservation = None),
        changed(|m| m.reservations.push(info(DYNAMIC, "r1/r2", "principal1"))),
    ] {
        assert!(!is_valid(&wrong), "{wrong:?}");
    }
    let mut both = Resource::from_proto(&message).unwrap().to_proto();
    convert(&mut both, Format::Endpoint).unwrap();
    assert_eq!(both, message);
    convert(&mut both, Format::PostRefinement).unwrap();
    assert_eq!(both, Resource::from_proto(&message).unwrap().to_proto());
}

#[test]
fn downgrade_without_resources() {
    // Nothing to say about reservations: only the role of everybody.
    let mut message = message();
    convert(&mut message, Format::PreRefinement).unwrap();
    assert_eq!(message.role.as_deref(), Some("*"));
    assert_eq!((message.reservation, message.reservations), (None, Vec::new()));
}

#[test]
fn downgrade_with_resources_without_refined_reservations() {
    let mut fixed = message();
    fixed.reservations = vec![ReservationInfo { principal: None, ..info(STATIC, "foo", "") }];
    convert(&mut fixed, Format::PreRefinement).unwrap();
    assert_eq!(fixed.role.as_deref(), Some("foo"));
    assert_eq!((&fixed.reservation, &fixed.reservations), (&None, &Vec::new()));
    let mut moving = message();
    moving.reservations = vec![info(DYNAMIC, "bar", "principal1")];
    convert(&mut moving, Format::PreRefinement).unwrap();
    assert_eq!(moving.role.as_deref(), Some("bar"));
    assert_eq!(moving.reservation.unwrap().principal.as_deref(), Some("principal1"));
    assert!(moving.reservations.is_empty());
}

#[test]
fn downgrade_with_resources_with_refined_reservations() {
    let mut refined = message();
    refined.reservations =
        vec![info(DYNAMIC, "bar", "principal1"), info(DYNAMIC, "bar/baz", "principal2")];
    let before = refined.clone();
    assert!(convert(&mut refined, Format::PreRefinement).is_err());
    assert_eq!(refined, before);
    convert(&mut refined, Format::Endpoint).unwrap();
    assert_eq!(refined, before);
}
