//! `gpu/…`: devices that compute.

pub(super) mod nvidia;
