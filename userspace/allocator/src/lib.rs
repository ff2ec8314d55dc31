//! Who is offered what: Mesos' hierarchical allocator with dominant resource fairness.
//!
//! The allocator knows agents, frameworks and roles, and hands out what agents have free in
//! cycles: [`Allocator::allocate`]. A cycle goes over the agents in random order, first for
//! the roles that are short of what quota guarantees them, then for all; each time the role
//! with the smallest dominant share is served first, and within it the framework with the
//! smallest share of the role. Whatever is free of an agent goes to one framework, except
//! where quota cuts it.
//!
//! It is pure: time is what the caller says it is, chance comes from a seed, and equal
//! calls in equal order have equal results.
//!
//! Which of Mesos' tests is which of ours: [`conformance`].
#![forbid(unsafe_code)]

mod agent;
mod allocator;
mod amounts;
mod capabilities;
mod class;
#[cfg(doc)]
#[doc = include_str!("../CONFORMANCE.md")]
pub mod conformance {}
mod constraints;
pub mod draw;
mod error;
mod fill;
mod filter;
mod framework;
mod grant;
mod ids;
mod maintenance;
mod map;
mod metrics;
mod names;
mod options;
mod parts;
mod pool;
mod refusals;
mod role;
mod roles;
mod roster;
mod shares;
mod shelf;
mod sorter;
mod tally;
mod timer;
mod tree;
mod wake;

pub use allocator::Allocator;
pub use capabilities::{AgentCapabilities, FrameworkCapabilities};
pub use constraints::{ConstraintLimits, OfferConstraints};
pub use draw::Draw;
pub use error::Error;
pub use fill::Filling;
pub use grant::Grant;
pub use maintenance::{InverseOffer, Unavailability};
pub use options::{AgentOptions, Domain, FrameworkOptions, Options, Quota, SorterKind};
pub use shares::{FrameworkShare, RoleShare, RoleView, Shares};
pub use sorter::Sorter;
