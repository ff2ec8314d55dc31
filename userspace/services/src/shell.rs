//! The shell around the core: carries inputs in and outputs out.

mod run;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use muster_api::mesos::scheduler::{Call, Event};
use muster_store::Store;
use rand::TryRng as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use self::run::Runner;
use crate::config::Config;
use crate::error::Error;
use crate::http::{self, Asked};
use crate::records::Records;
use crate::scheduler::Scheduler;
use crate::timestamp::Timestamp;

/// Requests that wait for the core; further ones wait for their turn.
const REQUESTS: usize = 1024;

/// The running services framework. Its tasks end when `events` ends, or when this and
/// every router made from it are gone.
#[derive(Clone, Debug)]
pub struct Services {
    requests: mpsc::Sender<Asked>,
    leader: String,
}

impl Services {
    /// Marathon's HTTP API: `/v2/…` and `/ping`.
    pub fn router(&self) -> Router {
        http::router(self.requests.clone(), &self.leader)
    }
}

/// Starts the services framework on what `store` holds: it subscribes with a call on
/// `calls` and goes on from there with what comes on `events`, the master's side of one
/// connection. Only one may run on a store.
///
/// # Errors
/// When the store cannot be read, when there is no tokio runtime around the caller, and
/// when the system has no random numbers.
pub fn start(
    config: Config,
    store: Arc<dyn Store>,
    calls: mpsc::Sender<Call>,
    events: mpsc::Receiver<Event>,
) -> Result<Services, Error> {
    let runtime = Handle::try_current()?;
    let scheduler = load(config.clone(), &*store)?;
    let (requests, asked) = mpsc::channel(REQUESTS);
    let leader = format!("http://{}", config.leader());
    // The core must never wait for the master, which may be waiting for the core.
    let (outbox, sending) = mpsc::unbounded_channel();
    runtime.spawn(forward(sending, calls));
    runtime.spawn(Runner::new(config, scheduler, store, outbox).run(events, asked));
    Ok(Services { requests, leader })
}

/// A core on what is on record.
fn load(config: Config, store: &dyn Store) -> Result<Scheduler, Error> {
    let records = Records::load(store)?;
    let mut seed = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut seed)?;
    Ok(Scheduler::new(config, records, seed, now()))
}

async fn forward(mut sending: mpsc::UnboundedReceiver<Call>, calls: mpsc::Sender<Call>) {
    while let Some(call) = sending.recv().await {
        if calls.send(call).await.is_err() {
            return;
        }
    }
}

/// The system's clock.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(since.as_millis().try_into().unwrap_or(i64::MAX))
}
