//! The thread that runs the state machine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use muster_api::mesos::scheduler::{Call, Event};
use muster_api::muster::MasterMessage;
use muster_store::{Batch, Store};
use tokio::sync::{mpsc, oneshot};

use crate::Error;
use crate::core::{
    Change, ConnectionId, Input, LinkId, Master, Options, Output, Refusal, RequestId, Step,
};
use crate::registry::Registry;

/// Inputs taken in before the step they make up is written: one commit serves them all.
const BATCH: usize = 1024;
/// Inputs that may wait. Senders wait beyond that: the master slows them down rather
/// than grow.
const QUEUE: usize = 65536;
/// Messages that may wait for one agent or framework. One that does not take them is
/// cut off: it will register or subscribe again and be told everything.
const OUTBOX: usize = 16384;
/// How finely time passes.
const TICK: Duration = Duration::from_millis(100);
/// Pause before a failed commit is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What the thread is sent.
pub(crate) enum Message {
    Input(Input),
    LinkOpened(LinkId, mpsc::Sender<MasterMessage>),
    ConnectionOpened(ConnectionId, mpsc::Sender<Event>),
    Query(Box<dyn FnOnce(&Master) + Send>),
    Change(Box<Change>, Answer),
}

/// Where the answer to a change goes.
type Answer = oneshot::Sender<Result<(), Refusal>>;

/// A handle to the running master; clones are handles to the same.
#[derive(Clone)]
pub struct Kernel {
    sender: mpsc::Sender<Message>,
    ids: Arc<AtomicU64>,
    stalled: Arc<std::sync::Mutex<Option<String>>>,
}

/// A framework's end of its subscription.
#[derive(Debug)]
pub struct Scheduler {
    /// What it says. The first call is SUBSCRIBE.
    pub calls: mpsc::Sender<Call>,
    /// What it hears. Ends when the master cuts it off.
    pub events: mpsc::Receiver<Event>,
}

impl Kernel {
    /// Starts a master on the registry in `store`.
    ///
    /// # Errors
    /// [`Error`] when the registry cannot be read or the thread not started.
    pub fn start(options: Options, store: Arc<dyn Store>) -> Result<Self, Error> {
        let registry = Registry::load(store.as_ref())?;
        let clock = Clock::start();
        let master = Master::new(options, registry, clock.now())?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let stalled = Arc::default();
        let kernel = Self { sender, ids: Arc::default(), stalled: Arc::clone(&stalled) };
        let thread = Thread {
            master,
            store,
            clock,
            stalled,
            links: BTreeMap::new(),
            connections: BTreeMap::new(),
            answers: BTreeMap::new(),
            next_request: 0,
            postponed: Vec::new(),
        };
        std::thread::Builder::new()
            .name("master".to_owned())
            .spawn(move || thread.run(receiver))
            .map_err(Error::Thread)?;
        let ticks = kernel.sender.downgrade();
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                let Some(sender) = ticks.upgrade() else { return };
                if sender.send(Message::Input(Input::Tick)).await.is_err() {
                    return;
                }
            }
        });
        Ok(kernel)
    }

    /// Asks a question of the state.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Master) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let query = Box::new(move |master: &Master| {
            // Whoever asked may have gone.
            let _ = answer.send(question(master));
        });
        self.sender.send(Message::Query(query)).await.map_err(|_| Error::Stopped)?;
        answered.await.map_err(|_| Error::Stopped)
    }

    /// Makes a change, and waits until it is written; a crash cannot undo it then.
    ///
    /// # Errors
    /// [`Error::Stopped`]; [`Error::Stalled`] while nothing can be written.
    pub async fn change(&self, change: Change) -> Result<Result<(), Refusal>, Error> {
        if let Some(reason) = self.stalled() {
            return Err(Error::Stalled(reason));
        }
        let (answer, answered) = oneshot::channel();
        self.send(Message::Change(Box::new(change), answer)).await?;
        answered.await.map_err(|_| Error::Stopped)
    }

    /// Why nothing is being written now, if the registry's disk does not take it.
    pub fn stalled(&self) -> Option<String> {
        self.stalled.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Connects a framework of this process.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn connect(&self) -> Result<Scheduler, Error> {
        let connection = self.next_id();
        let (event_sender, events) = mpsc::channel(OUTBOX);
        let (calls, mut said) = mpsc::channel::<Call>(1024);
        let opened = Message::ConnectionOpened(connection, event_sender);
        self.sender.send(opened).await.map_err(|_| Error::Stopped)?;
        let sender = self.sender.clone();
        tokio::spawn(async move {
            while let Some(call) = said.recv().await {
                let input = Input::Call { connection, call: Box::new(call) };
                if sender.send(Message::Input(input)).await.is_err() {
                    return;
                }
            }
            let closed = Message::Input(Input::ConnectionClosed { connection });
            // Nobody is left to be told when the master has stopped.
            let _ = sender.send(closed).await;
        });
        Ok(Scheduler { calls, events })
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) async fn send(&self, message: Message) -> Result<(), Error> {
        self.sender.send(message).await.map_err(|_| Error::Stopped)
    }

    /// An outbox for a new link.
    pub(crate) async fn open_link(&self) -> Result<(LinkId, mpsc::Receiver<MasterMessage>), Error> {
        let link = self.next_id();
        let (sender, receiver) = mpsc::channel(OUTBOX);
        self.send(Message::LinkOpened(link, sender)).await?;
        Ok((link, receiver))
    }
}

/// Time since 1970 that never goes back: the wall clock is read once.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
    offset: Duration,
}

impl Clock {
    fn start() -> Self {
        let offset = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), offset }
    }

    fn now(self) -> Duration {
        self.offset + self.start.elapsed()
    }
}

struct Thread {
    master: Master,
    store: Arc<dyn Store>,
    clock: Clock,
    stalled: Arc<std::sync::Mutex<Option<String>>>,
    links: BTreeMap<LinkId, mpsc::Sender<MasterMessage>>,
    connections: BTreeMap<ConnectionId, mpsc::Sender<Event>>,
    /// Who waits for which change.
    answers: BTreeMap<RequestId, Answer>,
    next_request: RequestId,
    /// Inputs that came while a commit was being retried.
    postponed: Vec<Message>,
}

impl Thread {
    fn run(mut self, mut receiver: mpsc::Receiver<Message>) {
        let mut messages = Vec::new();
        loop {
            messages.append(&mut self.postponed);
            if messages.is_empty() && receiver.blocking_recv_many(&mut messages, BATCH) == 0 {
                return;
            }
            let mut queries = Vec::new();
            // Since when an allocation is waited for.
            let mut wanted = None;
            for message in messages.drain(..) {
                match message {
                    Message::Input(input) => self.master.handle(self.clock.now(), input),
                    Message::Change(change, answer) => {
                        let request = self.next_request;
                        self.next_request += 1;
                        self.answers.insert(request, answer);
                        let input = Input::Change { request, change };
                        self.master.handle(self.clock.now(), input);
                    }
                    Message::LinkOpened(link, sender) => {
                        self.links.insert(link, sender);
                    }
                    Message::ConnectionOpened(connection, sender) => {
                        self.connections.insert(connection, sender);
                    }
                    Message::Query(query) => queries.push(query),
                }
                if wanted.is_none() && self.master.wants_allocation() {
                    wanted = Some(Instant::now());
                }
            }
            if let Some(wanted) = wanted {
                self.allocate(wanted);
            }
            let Step { batch, outputs } = self.master.settle(self.clock.now());
            if !self.write(&batch, &mut receiver) {
                return;
            }
            for output in outputs {
                self.carry_out(output);
            }
            // Only now: an answer must not show what a crash could still undo.
            for query in queries {
                query(&self.master);
            }
        }
    }

    /// Allocates, with the time it takes.
    fn allocate(&mut self, wanted: Instant) {
        let start = Instant::now();
        self.master.allocate(self.clock.now());
        self.master.note_allocation(self.clock.now(), start - wanted, start.elapsed());
    }

    /// Writes, and keeps trying: what has not been written is not said, and while the
    /// disk refuses nothing new is taken in but questions. False: the master is to stop.
    fn write(&mut self, batch: &Batch, receiver: &mut mpsc::Receiver<Message>) -> bool {
        while let Err(error) = self.store.commit(batch.clone()) {
            tracing::error!(%error, "nothing is written, so nothing new is done; trying again");
            self.set_stalled(Some(error.to_string()));
            let deadline = Instant::now() + RETRY;
            loop {
                match receiver.try_recv() {
                    Ok(Message::Query(query)) => query(&self.master),
                    Ok(message) => self.postponed.push(message),
                    Err(mpsc::error::TryRecvError::Disconnected) => return false,
                    Err(mpsc::error::TryRecvError::Empty) if Instant::now() < deadline => {
                        std::thread::park_timeout(TICK);
                    }
                    Err(mpsc::error::TryRecvError::Empty) => break,
                }
            }
        }
        self.set_stalled(None);
        true
    }

    fn set_stalled(&self, reason: Option<String>) {
        *self.stalled.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = reason;
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::ToAgent(link, message) => {
                let message = MasterMessage { message: Some(*message) };
                if self.links.get(&link).is_some_and(|sender| sender.try_send(message).is_err()) {
                    // Gone, or too slow: its stream ends with the sender.
                    self.links.remove(&link);
                }
            }
            Output::CloseLink(link) => {
                self.links.remove(&link);
            }
            Output::ToScheduler(connection, event) => {
                if self.connections.get(&connection).is_some_and(|s| s.try_send(*event).is_err()) {
                    self.connections.remove(&connection);
                    self.postponed.push(Message::Input(Input::ConnectionClosed { connection }));
                }
            }
            Output::CloseConnection(connection) => {
                self.connections.remove(&connection);
            }
            Output::Answer(request, result) => {
                if let Some(answer) = self.answers.remove(&request) {
                    // Whoever asked may have gone.
                    let _ = answer.send(result);
                }
            }
        }
    }
}
