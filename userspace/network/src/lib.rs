//! The address plan: which addresses the cluster gives out, and the names they go by.
#![forbid(unsafe_code)]

pub mod vip;
