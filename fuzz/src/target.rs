//! The targets.

pub(crate) mod constraint;
pub(crate) mod constraints_message;
pub(crate) mod docker_config;
mod documents;
pub(crate) mod fetched_archive;
pub(crate) mod forwarded_packet;
mod ground;
pub(crate) mod image_archive;
pub(crate) mod image_layout;
pub(crate) mod image_registry;
pub(crate) mod laws;
pub(crate) mod layer;
pub(crate) mod operation_message;
pub(crate) mod resource_json;
pub(crate) mod resource_text;
pub(crate) mod seccomp_profile;
