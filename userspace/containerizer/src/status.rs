//! Where a container is.

/// What is known of a running container beside what it uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The CPUs that it is pinned to, as the kernel writes them: `0-3,7`. `None` if to none.
    pub cpus: Option<String>,
}
