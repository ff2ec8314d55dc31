//! The loop: inputs, one commit, then everything else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use muster_api::mesos::scheduler::{Call, Event};
use muster_store::{Batch, Store};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;

use super::{load, now};
use crate::config::Config;
use crate::error::Error;
use crate::http::Asked;
use crate::reply::Reply;
use crate::scheduler::{Input, Output, RequestId, Scheduler};

/// Inputs taken in before a commit: they share its price, an fsync.
const GROUP: usize = 256;
/// From a failed commit to the next attempt.
const RECOVERY: Duration = Duration::from_secs(1);

/// Carries inputs and outputs.
pub(super) struct Runner {
    config: Config,
    scheduler: Scheduler,
    store: Arc<dyn Store>,
    outbox: mpsc::UnboundedSender<Call>,
    waiting: HashMap<RequestId, oneshot::Sender<Reply>>,
    next_id: RequestId,
}

impl Runner {
    pub(super) fn new(
        config: Config,
        scheduler: Scheduler,
        store: Arc<dyn Store>,
        outbox: mpsc::UnboundedSender<Call>,
    ) -> Self {
        Self { config, scheduler, store, outbox, waiting: HashMap::new(), next_id: 0 }
    }

    /// Runs until there is no more master, or nobody who could ask for anything.
    pub(super) async fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        mut asked: mpsc::Receiver<Asked>,
    ) {
        let mut inputs = vec![Input::Connected];
        loop {
            if let Err(error) = self.handle(inputs).await {
                tracing::error!(%error, "changes could not be stored and were not made");
                if self.recover(&error).await.is_none() {
                    return;
                }
                inputs = vec![Input::Connected];
                continue;
            }
            inputs = Vec::new();
            let deadline = self.scheduler.next_deadline().map(|at| at.since(now()));
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => inputs.push(Input::Event(Box::new(event))),
                    None => return,
                },
                request = asked.recv() => match request {
                    Some(request) => inputs.push(self.input(request)),
                    None => return,
                },
                () = sleep(deadline) => inputs.push(Input::Tick),
            }
            while inputs.len() < GROUP {
                if let Ok(event) = events.try_recv() {
                    inputs.push(Input::Event(Box::new(event)));
                } else if let Ok(request) = asked.try_recv() {
                    inputs.push(self.input(request));
                } else {
                    break;
                }
            }
        }
    }

    fn input(&mut self, (request, answer): Asked) -> Input {
        self.next_id += 1;
        self.waiting.insert(self.next_id, answer);
        Input::Request(self.next_id, Box::new(request))
    }

    /// Takes in `inputs`. All changes are durable, in one commit, before anything that
    /// follows from them is said to anyone.
    async fn handle(&mut self, inputs: Vec<Input>) -> Result<(), Error> {
        let (mut changes, mut rest) = (Batch::default(), Vec::new());
        for input in inputs {
            for output in self.scheduler.handle(now(), input) {
                match output {
                    Output::Store(batch) => changes.append(batch),
                    other => rest.push(other),
                }
            }
        }
        if !changes.is_empty() {
            let store = Arc::clone(&self.store);
            let commit = tokio::task::spawn_blocking(move || store.commit(changes));
            match commit.await.map_err(JoinError::try_into_panic) {
                Ok(result) => result?,
                Err(Ok(panic)) => std::panic::resume_unwind(panic),
                // The runtime is going down, and this with it: nothing may go out now.
                Err(Err(_)) => std::future::pending().await,
            }
        }
        for output in rest {
            match output {
                Output::Call(call) => {
                    // When the master is gone, so will be its events, and the loop ends.
                    let _ = self.outbox.send(*call);
                }
                Output::Reply(id, reply) => {
                    if let Some(answer) = self.waiting.remove(&id) {
                        // Whoever asked may have left.
                        let _ = answer.send(reply);
                    }
                }
                Output::Store(_) => {}
            }
        }
        Ok(())
    }

    /// After a failed commit the core knows of things that are not on record. It goes the
    /// way a crash would go: what is on record is loaded again, and the master asked. Those
    /// who wait for an answer are told. `None` when the store cannot be read either.
    async fn recover(&mut self, error: &Error) -> Option<()> {
        for (_, answer) in self.waiting.drain() {
            let _ = answer.send(Reply::error(503, format!("Nothing was changed: {error}")));
        }
        tokio::time::sleep(RECOVERY).await;
        match load(self.config.clone(), &*self.store) {
            Ok(scheduler) => {
                self.scheduler = scheduler;
                Some(())
            }
            Err(error) => {
                tracing::error!(%error, "the services stop: the store cannot be read");
                None
            }
        }
    }
}

async fn sleep(deadline: Option<Duration>) {
    match deadline {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
