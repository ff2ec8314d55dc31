//! Requests without a pause, in the background of what a scenario does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::client::Client;

/// What the requests met.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests answered with 200.
    pub answered: u64,
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
                while !stop.load(Ordering::SeqCst) && !crate::interrupt::seen() {
                    let outcome = client.get(&url);
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    match outcome {
                        Ok(response) if response.status == 200 => tally.answered += 1,
                        Ok(response) => tally.failures.push(format!("status {}", response.status)),
                        Err(error) => tally.failures.push(error.to_string()),
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

impl Drop for Traffic {
    fn drop(&mut self) {
        self.join();
    }
}
