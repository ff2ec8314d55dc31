//! Labels of containers, by which an agent finds its own.

/// The agent's name on its machine.
pub const AGENT: &str = "muster.agent";
/// The id that the master gave the agent.
pub const AGENT_ID: &str = "muster.agent-id";
/// The container's id, which is also in its name: `mesos-<id>`.
pub const CONTAINER: &str = "muster.container";
/// The task's framework.
pub const FRAMEWORK: &str = "muster.framework";
/// The task.
pub const TASK: &str = "muster.task";
/// The sandbox's path on the host.
pub const SANDBOX: &str = "muster.sandbox";
/// What all of them begin with; no task may set such a label.
pub const PREFIX: &str = "muster.";
