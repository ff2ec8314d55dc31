//! Exchanges without an end on connections that are held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::stream::Stream;

/// Pause between two exchanges of one connection.
const PAUSE: Duration = Duration::from_millis(10);

/// Exchanges something on every connection, one exchange after the other on each.
pub(crate) struct Pump {
    tally: Arc<Mutex<Tally>>,
}

#[derive(Default)]
struct Tally {
    connections: Vec<Connection>,
    /// Servers whose connections are to be closed.
    left: BTreeSet<String>,
    /// By server: why connections were lost, and how many.
    lost: BTreeMap<String, BTreeMap<String, u64>>,
}

struct Connection {
    server: String,
    is_alive: bool,
    /// Since it was last taken.
    exchanges: u64,
}

impl Pump {
    pub(crate) fn start(streams: Vec<Stream>) -> Self {
        let tally = Arc::<Mutex<Tally>>::default();
        for (number, stream) in streams.into_iter().enumerate() {
            let server = stream.server.clone();
            let connection = Connection { server, is_alive: true, exchanges: 0 };
            look(&tally).connections.push(connection);
            tokio::spawn(exchange(stream, number, Arc::clone(&tally)));
        }
        Self { tally }
    }

    /// Closes the connections to a server, each after the exchange that is under way.
    pub(crate) fn leave(&self, server: &str) -> Value {
        let mut tally = look(&self.tally);
        tally.left.insert(server.to_owned());
        for connection in tally.connections.iter_mut().filter(|of| of.server == server) {
            connection.is_alive = false;
        }
        json!({})
    }

    /// What there was since it was last taken.
    pub(crate) fn taken(&self) -> Value {
        let mut tally = look(&self.tally);
        let mut servers = BTreeMap::<String, (u64, u64)>::new();
        for connection in tally.connections.iter_mut().filter(|of| of.is_alive) {
            let exchanges = std::mem::take(&mut connection.exchanges);
            let (alive, least) = servers.entry(connection.server.clone()).or_insert((0, u64::MAX));
            (*alive, *least) = (*alive + 1, exchanges.min(*least));
        }
        let servers: BTreeMap<_, _> = servers
            .into_iter()
            .map(|(server, (alive, least))| (server, json!({ "alive": alive, "least": least })))
            .collect();
        json!({ "servers": servers, "lost": std::mem::take(&mut tally.lost) })
    }
}

async fn exchange(mut stream: Stream, number: usize, tally: Arc<Mutex<Tally>>) {
    loop {
        let result = stream.exchange().await;
        {
            let mut tally = look(&tally);
            if tally.left.contains(&stream.server) {
                return;
            }
            let Some(connection) = tally.connections.get_mut(number) else { return };
            match result {
                Ok(()) => connection.exchanges += 1,
                Err(reason) => {
                    connection.is_alive = false;
                    *tally.lost.entry(stream.server).or_default().entry(reason).or_default() += 1;
                    return;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn look(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
