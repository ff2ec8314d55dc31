//! What an agent wants done.

use std::path::PathBuf;
use std::time::Duration;

use muster_api::mesos::executor::Event;
use muster_api::muster::{AgentMessage, Vip, VipKey};
use muster_containerizer::Resources;
use muster_store::Batch;

use super::{Probe, Purpose, Timer, Workload};

/// One thing to do. Outputs are carried out in order; what takes time is started, and
/// its end comes back as an [`Input`](super::Input).
#[derive(Clone, Debug)]
pub enum Output {
    /// Commit a batch and answer with [`Input::Persisted`](super::Input::Persisted). There
    /// is never more than one without an answer; whatever depends on it is held back until
    /// then.
    Persist(Batch),
    /// Dial the master, as `session`. Ends the session before.
    Dial {
        /// Number of the session, to be given with its events.
        session: u64,
        /// How long to wait first.
        after: Duration,
    },
    /// Say something to the master, on the current session.
    Send(Box<AgentMessage>),
    /// Launch a container.
    Launch(Box<Workload>),
    /// Give a running container these resources, and answer with
    /// [`ContainerEvent::Updated`](super::ContainerEvent::Updated) or what went wrong.
    Update {
        /// The container's id.
        container: String,
        /// What it may use from now on.
        resources: Resources,
    },
    /// Say something to the executor that holds this subscription.
    Tell {
        /// Number of the subscription.
        subscription: u64,
        /// What to say.
        event: Box<Event>,
    },
    /// End a subscription, after what was said before.
    HangUp {
        /// Its number.
        subscription: u64,
    },
    /// Wait for the end of a running container.
    Watch {
        /// The container's id.
        container: String,
    },
    /// Ask a container to end, and make it when `grace` is over.
    Kill {
        /// The container's id.
        container: String,
        /// How long after SIGTERM comes SIGKILL.
        grace: Duration,
    },
    /// Leave nothing of a container but its sandbox.
    Destroy {
        /// The container's id.
        container: String,
    },
    /// A sandbox has gone out of use: its age counts from now.
    Retire {
        /// Its path.
        sandbox: PathBuf,
    },
    /// Check a container.
    Probe {
        /// The container's id.
        container: String,
        /// Which of its checks, to be given with its result.
        purpose: Purpose,
        /// Number of the check, to be given with its result.
        round: u64,
        /// What to do.
        probe: Probe,
        /// When to give up; a check without an answer by then has failed.
        timeout: Duration,
    },
    /// Make the data plane follow the cluster's VIPs, and answer with
    /// [`Input::Reconciled`](super::Input::Reconciled). There is never more than one
    /// without an answer.
    Reconcile {
        /// What is new of the cluster's VIPs.
        news: VipNews,
        /// True if what others changed in the kernel is to be found and undone, too.
        read: bool,
    },
    /// Give `timer` back after `after`.
    Timer {
        /// How long to wait.
        after: Duration,
        /// What to give back.
        timer: Timer,
    },
}

/// What is new of the cluster's VIPs since the last [`Output::Reconcile`].
#[derive(Clone, Debug, PartialEq)]
pub enum VipNews {
    /// These are all there are.
    Whole(Vec<Vip>),
    /// Some are others.
    Change {
        /// Changed or added.
        changed: Vec<Vip>,
        /// Removed.
        removed: Vec<VipKey>,
    },
}
