//! Files that an application's tasks find in their sandbox.

use serde::{Deserialize, Serialize};

/// One file, fetched before the task starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fetch {
    /// Where it is.
    pub uri: String,
    /// Whether it is unpacked if it is an archive.
    pub extract: bool,
    /// Whether it is made executable; then it is not unpacked.
    pub executable: bool,
    /// Whether the agent keeps it for other tasks.
    pub cache: bool,
    /// Where in the sandbox it is put; `None` is its own name.
    pub dest_path: Option<String>,
}
