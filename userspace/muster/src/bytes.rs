//! Sizes as Mesos writes them: `64MB`.

pub(crate) use muster_containerizer::parse_bytes as parse;
