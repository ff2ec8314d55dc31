//! What Mesos' code does and its tests leave out.

mod bursting;
mod capabilities;
mod inverse_offers;
mod pseudoattributes;
mod recovery;
mod refusals;
mod suppression;
mod triggers;
