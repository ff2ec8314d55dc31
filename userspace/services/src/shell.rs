//! The shell around the core: carries inputs in and outputs out.

mod readiness;
mod run;

use std::pin::Pin;
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

/// A connection to the master.
#[derive(Debug)]
pub struct Connection {
    /// What is said to it.
    pub calls: mpsc::Sender<Call>,
    /// What it says; the end of it is the end of the connection.
    pub events: mpsc::Receiver<Event>,
}

/// A connection on its way; `None` when there will be none any more.
type Connecting = Pin<Box<dyn Future<Output = Option<Connection>> + Send>>;
type Connect = Box<dyn FnMut() -> Connecting + Send>;

/// The running services framework. It ends when there is no more connection to be had, or
/// when this and every router made from it are gone.
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

/// Starts the services framework on what `store` holds, on one connection to the master:
/// it subscribes with a call on `calls` and goes on from there with what comes on
/// `events`. When that ends, so does the framework. Only one may run on a store.
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
    let mut only = Some(Connection { calls, events });
    start_reconnecting(config, store, move || std::future::ready(only.take()))
}

/// As [`start`], on one connection after the other: when one ends, `connect` is asked for
/// the next. It may take its time, and answers `None` when there will be none any more.
/// The master ends a connection when it is told to tear the framework down, or when it
/// refuses the id that the framework had before; the next one is another framework then.
///
/// # Errors
/// As [`start`].
pub fn start_reconnecting<F, C>(
    config: Config,
    store: Arc<dyn Store>,
    mut connect: F,
) -> Result<Services, Error>
where
    F: FnMut() -> C + Send + 'static,
    C: Future<Output = Option<Connection>> + Send + 'static,
{
    let runtime = Handle::try_current()?;
    let scheduler = load(config.clone(), &*store)?;
    let (requests, asked) = mpsc::channel(REQUESTS);
    let leader = format!("http://{}", config.leader());
    let connect: Connect = Box::new(move || Box::pin(connect()));
    runtime.spawn(Runner::new(config, scheduler, store).run(connect, asked));
    Ok(Services { requests, leader })
}

/// A core on what is on record.
fn load(config: Config, store: &dyn Store) -> Result<Scheduler, Error> {
    let records = Records::load(store)?;
    let mut seed = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut seed)?;
    Ok(Scheduler::new(config, records, seed, now()))
}

/// The system's clock.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(since.as_millis().try_into().unwrap_or(i64::MAX))
}
