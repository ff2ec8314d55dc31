//! Requests without a pause, in the background of what a scenario does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::client::Client;
use crate::interrupt;

/// Tries that a request has, each on a new connection, before it has failed.
pub const TRIES: u32 = 3;

/// What the requests met.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests answered with 200.
    pub answered: u64,
    /// Those of them that needed another try.
    pub retried: u64,
    /// Why the others were not, one line each.
    pub failures: Vec<String>,
}

/// A thread that requests one address, each time on a new connection, until stopped.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Starts requesting `url` from `client`.
    pub fn start(client: Client, url: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tally = Arc::new(Mutex::new(Tally::default()));
        let thread = {
            let (stop, tally) = (Arc::clone(&stop), Arc::clone(&tally));
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) && !interrupt::seen() {
                    let outcome = request(&client, &url);
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    match outcome {
                        Ok(tries) => {
                            tally.answered += 1;
                            tally.retried += u64::from(tries > 1);
                        }
                        Err(reason) => tally.failures.push(reason),
                    }
                }
            })
        };
        Self { stop, tally, thread: Some(thread) }
    }

    /// What the requests have met so far.
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops after the request under way and returns what they all met.
    pub fn stop(mut self) -> Tally {
        self.join();
        self.tally()
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // The thread does not panic; and if it did, its tally stands.
            let _ = thread.join();
        }
    }
}

/// How many tries it took, or why the last one failed.
fn request(client: &Client, url: &str) -> Result<u32, String> {
    let mut reason = String::new();
    for tries in 1..=TRIES {
        match client.get(url) {
            Ok(response) if response.status == 200 => return Ok(tries),
            Ok(response) => reason = format!("status {}", response.status),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.join();
    }
}
