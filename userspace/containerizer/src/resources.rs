//! What a container may use.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Shares and limits of a container. What is promised is a request; a limit is what it can
/// not go over, which is the request where no limit is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// CPUs that it is promised, in thousandths; 0 is the least share that there is.
    pub cpus_milli: u64,
    /// Memory that it is promised, in bytes; less than 32 MB counts as 32 MB.
    pub mem_bytes: u64,
    /// The most CPUs, in thousandths.
    pub cpus_limit: Option<Limit>,
    /// The most memory, in bytes.
    pub mem_limit: Option<Limit>,
    /// The most tasks (threads of all its processes). `None` is the agent's limit.
    pub pids_limit: Option<Limit>,
}

/// A limit, or that there is to be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// As much as there is.
    Infinite,
    /// So much.
    At(u64),
}

impl Resources {
    /// Checks every field.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let memory = self.mem_bytes;
        if i64::try_from(memory).is_err() {
            let reason = format!("{memory} is more than any machine has");
            return Err(Error::Spec { field: "resources.mem_bytes", reason });
        }
        Ok(())
    }
}
