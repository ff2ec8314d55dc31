//! What is known of one container.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muster_containerizer::{FetchProgress, Termination};
use tokio::sync::watch;

use crate::Error;
use crate::pull::Pull;

/// How far a container has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is being made.
    Launching,
    /// Its command was executed, and it is being watched.
    Running,
    /// It has ended.
    Ended(Termination),
    /// It could not be launched, or has been destroyed.
    Gone,
}

pub(super) struct Entry {
    id: String,
    state: watch::Sender<State>,
    cancelled: watch::Sender<bool>,
    /// How far the fetching of its files is.
    pub(super) fetching: FetchProgress,
    /// How far the pull of its image is.
    pulling: Mutex<Option<Pull>>,
    /// Held while it is destroyed.
    pub(super) change: tokio::sync::Mutex<()>,
}

impl Entry {
    pub(super) fn new(id: &str, state: State) -> Arc<Self> {
        Arc::new(Self {
            id: id.to_owned(),
            state: watch::Sender::new(state),
            cancelled: watch::Sender::new(false),
            fetching: FetchProgress::default(),
            pulling: Mutex::default(),
            change: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// How far the pull of its image is; `None` when it is not being pulled.
    pub(super) fn pulling(&self) -> MutexGuard<'_, Option<Pull>> {
        // Nothing is ever half done under this lock.
        self.pulling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its launch is waiting for, in words.
    pub(super) fn progress(&self) -> Option<String> {
        let pulling = self.pulling().as_ref().map(|pull| pull.now().to_string());
        pulling.or_else(|| self.fetching.now().map(|file| file.to_string()))
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(super) fn set(&self, state: State) {
        self.state.send_replace(state);
    }

    /// Has its launch given up.
    pub(super) fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    /// Returns when its launch has been given up.
    pub(super) async fn cancelled(&self) {
        // The sender is in `self`.
        let _ = self.cancelled.subscribe().wait_for(|cancelled| *cancelled).await;
    }

    pub(super) fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }

    /// Its state once it is not launching.
    pub(super) async fn settled(&self) -> State {
        let mut states = self.state.subscribe();
        let settled = states.wait_for(|state| *state != State::Launching).await;
        settled.map_or(State::Gone, |state| state.clone())
    }

    /// How it ended, once it has.
    pub(super) async fn ended(&self) -> Result<Termination, Error> {
        let mut states = self.state.subscribe();
        let over = |state: &State| matches!(state, State::Ended(_) | State::Gone);
        match states.wait_for(over).await.as_deref() {
            Ok(State::Ended(how)) => Ok(how.clone()),
            _ => Err(Error::NotFound { id: self.id.clone() }),
        }
    }
}
