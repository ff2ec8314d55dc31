//! The loop: inputs, one commit, then everything else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use muster_api::mesos::scheduler::{Call, Event, call, event};
use muster_store::{Batch, Store};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};

use super::{Connect, Connection, load, now, readiness};
use crate::config::Config;
use crate::error::Error;
use crate::http::Asked;
use crate::reply::Reply;
use crate::scheduler::{Input, Output, RequestId, Scheduler};

/// Inputs taken in before a commit: they share its price, an fsync.
const GROUP: usize = 256;
/// From a failed commit, or the end of a connection, to the next attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// Carries inputs and outputs.
pub(super) struct Runner {
    config: Config,
    scheduler: Scheduler,
    store: Arc<dyn Store>,
    /// What is said to the master.
    outbox: Option<mpsc::UnboundedSender<Call>>,
    /// What the master said to the subscription of this connection.
    subscribed: Option<Box<Event>>,
    waiting: HashMap<RequestId, oneshot::Sender<Reply>>,
    next_id: RequestId,
    /// Readiness checks that are being made.
    checks: JoinSet<Input>,
}

impl Runner {
    pub(super) fn new(config: Config, scheduler: Scheduler, store: Arc<dyn Store>) -> Self {
        Self {
            config,
            scheduler,
            store,
            outbox: None,
            subscribed: None,
            waiting: HashMap::new(),
            next_id: 0,
            checks: JoinSet::new(),
        }
    }

    /// Runs until there is no more master, or nobody who could ask for anything.
    pub(super) async fn run(mut self, mut connect: Connect, mut asked: mpsc::Receiver<Asked>) {
        let mut connecting = connect();
        let mut events: Option<mpsc::Receiver<Event>> = None;
        let mut inputs = vec![Input::Tick];
        loop {
            if let Err(error) = self.handle(std::mem::take(&mut inputs)).await {
                tracing::error!(%error, "changes could not be stored and were not made");
                if !self.recover(&error).await {
                    return;
                }
                // As after a crash, but on the same connection: its subscription stands.
                inputs.extend(self.subscribed.clone().map(Input::Event));
                while let Ok(request) = asked.try_recv() {
                    inputs.push(self.input(request));
                }
                if !inputs.is_empty() {
                    continue;
                }
            }
            let deadline = self.scheduler.next_deadline().map(|at| at.since(now()));
            tokio::select! {
                event = next(&mut events), if events.is_some() => if let Some(event) = event {
                    inputs.push(self.heard(event));
                } else {
                    tracing::warn!("the connection to the master has ended");
                    (events, self.outbox, self.subscribed) = (None, None, None);
                    inputs.push(Input::Disconnected);
                    let next = connect();
                    connecting = Box::pin(async {
                        let connection = next.await?;
                        tokio::time::sleep(PAUSE).await;
                        Some(connection)
                    });
                },
                connection = &mut connecting, if events.is_none() => {
                    let Some(connection) = connection else { return };
                    events = Some(self.connected(connection));
                    inputs.push(Input::Connected);
                }
                request = asked.recv() => match request {
                    Some(request) => inputs.push(self.input(request)),
                    None => return,
                },
                Some(made) = self.checks.join_next() => match made {
                    Ok(input) => inputs.push(input),
                    // The runtime is going down, and this with it.
                    Err(error) => tracing::warn!(%error, "a readiness check was not made"),
                },
                () = sleep(deadline) => inputs.push(Input::Tick),
            }
            while inputs.len() < GROUP {
                if let Some(Ok(event)) = events.as_mut().map(mpsc::Receiver::try_recv) {
                    inputs.push(self.heard(event));
                } else if let Ok(request) = asked.try_recv() {
                    inputs.push(self.input(request));
                } else {
                    break;
                }
            }
        }
    }

    fn connected(&mut self, connection: Connection) -> mpsc::Receiver<Event> {
        // The core must never wait for the master, which may be waiting for the core.
        let (outbox, sending) = mpsc::unbounded_channel();
        tokio::spawn(forward(sending, connection.calls));
        self.outbox = Some(outbox);
        connection.events
    }

    fn heard(&mut self, event: Event) -> Input {
        let event = Box::new(event);
        if event.r#type() == event::Type::Subscribed {
            self.subscribed = Some(event.clone());
        }
        Input::Event(event)
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
        if let Err(error) = self.commit(changes).await {
            self.give_back(rest);
            return Err(error);
        }
        for output in rest {
            match output {
                Output::Call(call) => self.say(*call),
                Output::Reply(id, reply) => {
                    if let Some(answer) = self.waiting.remove(&id) {
                        // Whoever asked may have left.
                        let _ = answer.send(reply);
                    }
                }
                Output::Check(check) => {
                    self.checks.spawn_blocking(move || {
                        let result = readiness::make(&check);
                        Input::Checked { instance: check.instance, result }
                    });
                }
                Output::Store(_) => {}
            }
        }
        Ok(())
    }

    async fn commit(&self, changes: Batch) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let store = Arc::clone(&self.store);
        let commit = tokio::task::spawn_blocking(move || store.commit(changes));
        match commit.await.map_err(JoinError::try_into_panic) {
            Ok(result) => Ok(result?),
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime is going down, and this with it: nothing may go out now.
            Err(Err(_)) => std::future::pending().await,
        }
    }

    fn say(&self, call: Call) {
        if let Some(outbox) = &self.outbox {
            // When the master is gone, its events end too, and that is where it is noticed.
            let _ = outbox.send(call);
        }
    }

    /// Of what was to be done and will not be, the master must know one thing: the offers
    /// are its own again.
    fn give_back(&self, outputs: Vec<Output>) {
        for output in outputs {
            let Output::Call(call) = output else { continue };
            let Call { framework_id, accept, decline, .. } = *call;
            let accepted = accept.map(|accept| accept.offer_ids);
            let declined = decline.map(|decline| decline.offer_ids);
            if let Some(offer_ids) = accepted.or(declined) {
                self.say(Call {
                    framework_id,
                    r#type: Some(call::Type::Decline.into()),
                    decline: Some(call::Decline { offer_ids, filters: None }),
                    ..Default::default()
                });
            }
        }
    }

    /// After a failed commit the core knows of things that are not on record. It goes the
    /// way a crash would go: what is on record is loaded again. Those who wait for an
    /// answer are told. Whether the store could be read at least.
    async fn recover(&mut self, error: &Error) -> bool {
        for (_, answer) in self.waiting.drain() {
            let _ = answer.send(Reply::error(503, format!("Nothing was changed: {error}")));
        }
        tokio::time::sleep(PAUSE).await;
        match load(self.config.clone(), &*self.store) {
            Ok(scheduler) => {
                self.scheduler = scheduler;
                true
            }
            Err(error) => {
                tracing::error!(%error, "the services stop: the store cannot be read");
                false
            }
        }
    }
}

async fn forward(mut sending: mpsc::UnboundedReceiver<Call>, calls: mpsc::Sender<Call>) {
    while let Some(call) = sending.recv().await {
        if calls.send(call).await.is_err() {
            return;
        }
    }
}

async fn next(events: &mut Option<mpsc::Receiver<Event>>) -> Option<Event> {
    match events {
        Some(events) => events.recv().await,
        None => None,
    }
}

async fn sleep(deadline: Option<Duration>) {
    match deadline {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
