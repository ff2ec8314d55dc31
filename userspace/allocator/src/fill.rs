//! What progressive filling leads to.

use std::collections::BTreeMap;

use crate::Grant;

/// What [`Allocator::fill`](crate::Allocator::fill) has done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filling {
    /// How many tasks were launched, for each framework that had a demand.
    pub tasks: BTreeMap<String, u64>,
    /// Dominant share of each of them, from 0 to 1: the largest part of any one resource that
    /// it has then, in all of its roles together and whether by filling or from before. Weights
    /// do not matter.
    pub shares: BTreeMap<String, f64>,
    /// The tasks, in the order in which they were launched.
    pub launches: Vec<Grant>,
}
