//! New connections without an end, beside those that are held.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::stream::Stream;

/// Pause between two new connections.
const PAUSE: Duration = Duration::from_millis(3);

/// Opens one connection after the other, exchanges something and closes it.
pub(crate) struct Churn {
    tally: Arc<Mutex<Tally>>,
}

#[derive(Default)]
struct Tally {
    /// By server: how many connections it had, and when the last of them began, in ms of
    /// `CLOCK_MONOTONIC`.
    servers: BTreeMap<String, (u64, i64)>,
    failed: Vec<String>,
}

impl Tally {
    fn add(&mut self, began: i64, opened: Result<String, String>) {
        match opened {
            Ok(server) => {
                let server = self.servers.entry(server).or_default();
                *server = (server.0 + 1, began);
            }
            Err(reason) => self.failed.push(reason),
        }
    }
}

impl Churn {
    pub(crate) fn start(to: SocketAddr) -> Self {
        let tally = Arc::<Mutex<Tally>>::default();
        let own = Arc::clone(&tally);
        tokio::spawn(async move {
            loop {
                let began = now_ms();
                let opened = Stream::open(to).await.map(|stream| stream.server);
                own.lock().unwrap_or_else(PoisonError::into_inner).add(began, opened);
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { tally }
    }

    /// What there was since it was last taken.
    pub(crate) fn taken(&self) -> Value {
        let tally = std::mem::take(&mut *self.tally.lock().unwrap_or_else(PoisonError::into_inner));
        let servers: BTreeMap<_, _> = tally
            .servers
            .into_iter()
            .map(|(server, (count, last))| (server, json!({ "count": count, "last_ms": last })))
            .collect();
        json!({ "servers": servers, "failed": tally.failed })
    }
}

/// Milliseconds of the clock that all processes of the machine share.
fn now_ms() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |now| now.tv_sec() * 1000 + now.tv_nsec() / 1_000_000)
}
