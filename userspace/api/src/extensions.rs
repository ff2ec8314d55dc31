//! What the wire format leaves out.

use std::fmt;

use crate::mesos::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId, TaskState};

/// Questions about a [`TaskState`].
pub trait TaskStateExt {
    /// Whether a task in this state will never run again, as the master counts it.
    fn is_terminal(&self) -> bool;
}

impl TaskStateExt for TaskState {
    fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::TaskFinished
                | Self::TaskFailed
                | Self::TaskKilled
                | Self::TaskError
                | Self::TaskLost
                | Self::TaskDropped
                | Self::TaskGone
                | Self::TaskGoneByOperator
        )
    }
}

/// Ids are strings in a message of their own; this makes them read like strings.
macro_rules! ids {
    ($($id:ident),*) => {$(
        impl From<String> for $id {
            fn from(value: String) -> Self {
                Self { value }
            }
        }

        impl From<&str> for $id {
            fn from(value: &str) -> Self {
                Self { value: value.to_owned() }
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.value)
            }
        }
    )*};
}

ids!(AgentId, ExecutorId, FrameworkId, OfferId, TaskId);
