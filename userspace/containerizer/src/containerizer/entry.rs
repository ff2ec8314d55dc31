//! One container, as the containerizer knows it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::task::{AbortHandle, JoinHandle};

use crate::fetcher::Progress;
use crate::isolator::Subject;
use crate::{Error, Termination};

/// Where a container is in its life.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// On its way to its command.
    Launching,
    /// Its helper lives.
    Running(Arc<Subject>),
    /// It has ended and waits to be destroyed. `None` for one without a readable checkpoint.
    Ended(Option<Arc<Subject>>, Termination),
    /// Nothing is left of it. `None` for one that was never launched.
    Gone(Option<Termination>),
}

/// A container of the table.
pub(super) struct Entry {
    id: String,
    state: watch::Sender<State>,
    cancelled: watch::Sender<bool>,
    closed: AtomicBool,
    /// How far the fetching of its files is.
    pub(super) fetching: Progress,
    /// Held while the container is given other resources, or removed.
    pub(super) change: AsyncMutex<()>,
    supervisor: Mutex<Option<AbortHandle>>,
    /// Comes to its end with the helper, which has told already how the container ended.
    helper: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

impl Entry {
    /// A container that is being launched.
    pub(super) fn launching(id: &str) -> Arc<Self> {
        Self::new(id, State::Launching)
    }

    /// A container in `state`.
    pub(super) fn new(id: &str, state: State) -> Arc<Self> {
        Arc::new(Self {
            id: id.to_owned(),
            state: watch::Sender::new(state),
            cancelled: watch::Sender::new(false),
            closed: AtomicBool::new(false),
            fetching: Progress::default(),
            change: AsyncMutex::new(()),
            supervisor: Mutex::new(None),
            helper: Mutex::new(None),
        })
    }

    /// Its name.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Where it is now.
    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// It is there now.
    pub(super) fn set(&self, state: State) {
        self.state.send_replace(state);
    }

    /// Nothing more is to be launched in it.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether that is so. Both are asked and told under the lock of the table.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Asks that the launch be given up.
    pub(super) fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    /// Fails if the launch is to be given up.
    pub(super) fn check(&self) -> Result<(), Error> {
        if *self.cancelled.borrow() {
            return Err(Error::Cancelled { id: self.id.clone() });
        }
        Ok(())
    }

    /// Waits until the launch is to be given up.
    pub(super) async fn cancelled(&self) {
        // The sender lives in `self`.
        let _ = self.cancelled.subscribe().wait_for(|cancelled| *cancelled).await;
    }

    /// Waits until it is launched, or is not going to be.
    pub(super) async fn settled(&self) -> State {
        let mut states = self.state.subscribe();
        match states.wait_for(|state| !matches!(state, State::Launching)).await {
            Ok(state) => state.clone(),
            Err(_) => State::Gone(None),
        }
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&self) -> Result<Termination, Error> {
        let mut states = self.state.subscribe();
        let over = |state: &State| matches!(state, State::Ended(..) | State::Gone(_));
        match states.wait_for(over).await.as_deref() {
            Ok(State::Ended(_, termination) | State::Gone(Some(termination))) => {
                Ok(termination.clone())
            }
            _ => Err(Error::NotFound { id: self.id.clone() }),
        }
    }

    /// Remembers the task that watches it.
    pub(super) fn supervised_by(&self, task: AbortHandle) {
        *self.supervisor.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Remembers what comes to its end with the helper.
    pub(super) fn left_by_helper(&self, end: JoinHandle<io::Result<()>>) {
        *self.helper.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// What comes to its end with the helper, and with it the container's mounts; `None` if
    /// it has ended.
    pub(super) fn helper(&self) -> Option<JoinHandle<io::Result<()>>> {
        self.helper.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Stops watching it.
    pub(super) fn forget(&self) {
        if let Some(task) = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}
