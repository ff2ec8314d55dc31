//! `docker/…`: what Docker's images say.

pub(super) mod runtime;
