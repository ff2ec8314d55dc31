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
    /// Disk space that it is promised for its sandbox and its changes of the image, in bytes:
    /// its limit where that is enforced. `None` is no limit.
    #[serde(default)]
    pub disk_bytes: Option<u64>,
    /// GPUs that it has for itself.
    #[serde(default)]
    pub gpus: u32,
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
        let limit = match self.mem_limit {
            Some(Limit::At(bytes)) => bytes,
            _ => self.mem_bytes,
        };
        for (field, bytes) in
            [("resources.mem_bytes", self.mem_bytes), ("resources.mem_limit", limit)]
        {
            if i64::try_from(bytes).is_err() {
                let reason = format!("{bytes} is more than any machine has");
                return Err(Error::Spec { field, reason });
            }
        }
        if limit < self.mem_bytes {
            let reason = format!("{limit} is less than the {} that are promised", self.mem_bytes);
            return Err(Error::Spec { field: "resources.mem_limit", reason });
        }
        if self.pids_limit == Some(Limit::At(0)) {
            let reason = "0 leaves no room for the command itself".into();
            return Err(Error::Spec { field: "resources.pids_limit", reason });
        }
        if let Some(Limit::At(limit)) = self.cpus_limit
            && limit < self.cpus_milli
        {
            let reason = format!("{limit} is less than the {} that are promised", self.cpus_milli);
            return Err(Error::Spec { field: "resources.cpus_limit", reason });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_not_below_what_is_promised() {
        let resources = Resources { cpus_milli: 100, mem_bytes: 64, ..Resources::default() };
        let refused = |resources: Resources| match resources.validate() {
            Err(Error::Spec { field, .. }) => Some(field),
            _ => None,
        };
        assert_eq!(refused(resources), None);
        for (limit, wrong) in [(Limit::At(99), true), (Limit::At(100), false)] {
            let field = refused(Resources { cpus_limit: Some(limit), ..resources });
            assert_eq!(field, wrong.then_some("resources.cpus_limit"));
        }
        for (limit, wrong) in [(Limit::At(63), true), (Limit::Infinite, false)] {
            let field = refused(Resources { mem_limit: Some(limit), ..resources });
            assert_eq!(field, wrong.then_some("resources.mem_limit"));
        }
        let field = refused(Resources { mem_limit: Some(Limit::At(u64::MAX)), ..resources });
        assert_eq!(field, Some("resources.mem_limit"));
        let field = refused(Resources { pids_limit: Some(Limit::At(0)), ..resources });
        assert_eq!(field, Some("resources.pids_limit"));
    }
}
