//! What the API shows: Marathon's JSON.

pub(crate) mod app;
mod container;
pub(crate) mod deployment;
pub(crate) mod info;
pub(crate) mod queue;
pub(crate) mod statistics;
pub(crate) mod task;
