//! What machines have and tasks use: Mesos' resource algebra.
//!
//! A [`Resource`] is an amount of something with a name: a [`Scalar`] (`cpus:4`), a
//! set of numbers ([`Ranges`], `ports:[31000-32000]`) or of words ([`Items`],
//! `disks:{sda1,sdb1}`). It may be reserved to a role, be a disk or a persistent volume,
//! be shared, revocable or of a resource provider, and be allocated to a role; all of
//! that together is its identity, and only amounts of one identity are added up.
//! [`Resources`] is a collection of them, always in the same order and always added up:
//! equal collections are equal entry by entry.
//!
//! Scalars are exact to three decimals, as in Mesos: sums of fractions do not drift.
//!
//! Everything here is pure: no clock, no I/O, no randomness of its own.
//!
//! Which of Mesos' tests is which of ours: [`conformance`].
#![forbid(unsafe_code)]

mod arithmetic;
pub mod attributes;
#[cfg(doc)]
#[doc = include_str!("../CONFORMANCE.md")]
pub mod conformance {}
mod disk;
mod display;
mod error;
mod find;
mod format;
mod items;
mod json;
mod labels;
mod limits;
mod name;
mod operation;
mod parse;
mod proto;
mod quantities;
mod ranges;
mod reservation;
mod reserve;
mod resource;
mod resources;
pub mod role;
mod scalar;
mod shrink;
mod value;

pub use disk::{Disk, Source, SourceKind};
pub use error::{Error, Problem};
pub use format::{Format, convert};
pub use items::Items;
pub use labels::{Label, Labels};
pub use limits::Limits;
pub use name::Name;
pub use operation::{Conversion, Operation};
pub use quantities::Quantities;
pub use ranges::{Range, Ranges};
pub use reservation::{Reservation, ReservationKind};
pub use resource::{Details, Resource};
pub use resources::Resources;
pub use scalar::Scalar;
pub use value::Value;
