//! What an agent counts.

use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{TaskState, TaskStatus};

/// Counts since the agent started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Tasks that ended as `TASK_FINISHED`.
    pub finished: u64,
    /// Tasks that ended as `TASK_FAILED`.
    pub failed: u64,
    /// Tasks that ended as `TASK_KILLED`.
    pub killed: u64,
    /// Tasks that ended as `TASK_LOST`.
    pub lost: u64,
    /// Tasks that were refused as `TASK_ERROR`.
    pub error: u64,
    /// Tasks that were refused as `TASK_DROPPED`.
    pub dropped: u64,
    /// Containers that could not be launched.
    pub launch_errors: u64,
    /// Times a container could not be destroyed.
    pub destroy_errors: u64,
    /// Tasks killed for exceeding their memory.
    pub memory_limits: u64,
    /// Status updates sent, again or for the first time.
    pub updates_sent: u64,
    /// Acknowledgements that belonged to an update.
    pub updates_acknowledged: u64,
    /// Times the store could not be written.
    pub store_errors: u64,
    /// Times the data plane could not be reconciled.
    pub reconcile_errors: u64,
    /// Times the master has registered this agent.
    pub registrations: u64,
}

impl Counters {
    /// Counts a status, if it is the end of a task.
    pub(crate) fn count(&mut self, status: &TaskStatus) {
        match status.state() {
            TaskState::TaskFinished => self.finished += 1,
            TaskState::TaskFailed => self.failed += 1,
            TaskState::TaskKilled => self.killed += 1,
            TaskState::TaskLost => self.lost += 1,
            TaskState::TaskError => self.error += 1,
            TaskState::TaskDropped => self.dropped += 1,
            _ => return,
        }
        match status.reason.map(Reason::try_from) {
            Some(Ok(Reason::ContainerLaunchFailed)) => self.launch_errors += 1,
            Some(Ok(Reason::ContainerLimitationMemory)) => self.memory_limits += 1,
            _ => {}
        }
    }
}
