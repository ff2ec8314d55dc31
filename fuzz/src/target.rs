//! The targets.

pub(crate) mod constraint;
pub(crate) mod constraints_message;
pub(crate) mod laws;
pub(crate) mod operation_message;
pub(crate) mod resource_json;
pub(crate) mod resource_text;
