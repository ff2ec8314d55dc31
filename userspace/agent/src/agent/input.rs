//! What can happen to an agent.

use std::collections::BTreeSet;
use std::net::IpAddr;

use muster_api::mesos::TaskStatus;
use muster_api::muster::MasterMessage;
use muster_containerizer::Termination;
use muster_dataplane::Skips;

use super::{ExecutorKey, Finding, Purpose};
use crate::checkpoint::Checkpoint;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The agent has started. Comes first, and once.
    Recovered {
        /// What the store holds.
        checkpoint: Checkpoint,
        /// Every container found on the machine.
        containers: Vec<Found>,
    },
    /// Something happened on the link that was dialled as `session`.
    Link {
        /// The number that [`Output::Dial`](super::Output::Dial) gave it.
        session: u64,
        /// What happened.
        event: LinkEvent,
    },
    /// An executor says something, or has stopped listening.
    Executor {
        /// The executor.
        key: ExecutorKey,
        /// What.
        event: ExecutorEvent,
    },
    /// Something happened to a container.
    Container {
        /// The container's id.
        id: String,
        /// What happened.
        event: ContainerEvent,
    },
    /// A check has been carried out.
    Probed {
        /// The container that was checked.
        container: String,
        /// Which of its checks.
        purpose: Purpose,
        /// The number that [`Output::Probe`](super::Output::Probe) gave it.
        round: u64,
        /// What it found, or why it could not be carried out in time.
        result: Result<Finding, String>,
    },
    /// The batch of the last [`Output::Persist`](super::Output::Persist) is on disk, or why not.
    Persisted(Result<(), String>),
    /// The data plane now does what the last [`Output::Reconcile`](super::Output::Reconcile)
    /// asked, but for this; or why not.
    Reconciled(Result<Skips, String>),
    /// A timer is over.
    Timer(Timer),
}

/// What can happen on the link to the master.
#[derive(Clone, Debug)]
pub enum LinkEvent {
    /// The stream is open; nothing has been said yet.
    Connected,
    /// The master said something.
    Message(Box<MasterMessage>),
    /// The stream could not be opened, or is closed. Nothing more comes of this session.
    Disconnected {
        /// What went wrong.
        error: String,
    },
}

/// What can happen to a container.
#[derive(Clone, Debug)]
pub enum ContainerEvent {
    /// Its command has been executed.
    Launched {
        /// Process id of its first process; 0 if that has ended already.
        pid: u32,
        /// Its own addresses; `None` if it shares the machine's network.
        addresses: Option<Vec<IpAddr>>,
    },
    /// It could not be launched.
    LaunchFailed {
        /// The step and the system's answer.
        message: String,
    },
    /// An image that it needs is being pulled, or a file fetched.
    Preparing {
        /// How far that is, in words.
        message: String,
    },
    /// It has ended.
    Ended(Termination),
    /// It could not be told to end.
    KillFailed {
        /// What went wrong.
        message: String,
    },
    /// It has the resources it was to be given.
    Updated,
    /// It could not be given them.
    UpdateFailed {
        /// What went wrong.
        message: String,
    },
    /// Nothing is left of it but its sandbox.
    Destroyed,
    /// Something is left of it.
    DestroyFailed {
        /// What went wrong.
        message: String,
    },
}

/// What an executor can do.
#[derive(Clone, Debug)]
pub enum ExecutorEvent {
    /// It wants to hear events, from now on on this subscription alone.
    Subscribe {
        /// A number that is never used again.
        subscription: u64,
        /// Ids of the tasks it knows of and has no acknowledged update of.
        tasks: BTreeSet<String>,
        /// Its updates without acknowledgement, oldest first.
        updates: Vec<TaskStatus>,
    },
    /// A task of it has changed.
    Update(Box<TaskStatus>),
    /// It says something to its framework.
    Message(Vec<u8>),
    /// A subscription of it has ended.
    Gone {
        /// Its number.
        subscription: u64,
    },
}

/// A container that was there when the agent started.
#[derive(Clone, Debug)]
pub struct Found {
    /// The container's id.
    pub id: String,
    /// Its first process, if that is known.
    pub pid: Option<u32>,
    /// Its own addresses; `None` if it shares the machine's network, or if they are not known.
    pub addresses: Option<Vec<IpAddr>>,
    /// How it ended; `None` while it runs.
    pub ended: Option<Termination>,
}

/// What a timer was set for. A timer that has been overtaken by events is ignored when
/// it ends, so none is ever cancelled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Try the failed commit again.
    Persist,
    /// Send the head of a task's update stream again.
    Resend {
        /// The task's container.
        container: String,
        /// How many times updates of this task had been sent when the timer was set.
        sent: u64,
    },
    /// See whether the master has been silent for too long.
    Silence {
        /// The session in which the timer was set.
        session: u64,
    },
    /// The next check is due.
    Probe {
        /// The container to check.
        container: String,
        /// Which of its checks.
        purpose: Purpose,
        /// Number of the check.
        round: u64,
    },
    /// A task's time to complete is over.
    Completion {
        /// Its container.
        container: String,
    },
    /// Try to kill a container again.
    Kill {
        /// The container.
        container: String,
    },
    /// Try to destroy a container again.
    Destroy {
        /// The container.
        container: String,
    },
    /// See whether an executor has subscribed.
    Subscription {
        /// Its container.
        container: String,
    },
    /// See whether an executor that was told to end has done so.
    Shutdown {
        /// Its container.
        container: String,
    },
    /// Try to reconcile the data plane again.
    Reconcile,
    /// See whether the kernel still has what the data plane wrote.
    Read,
}
