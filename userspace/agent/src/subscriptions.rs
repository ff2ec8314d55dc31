//! Who hears events: the streams of executors.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muster_api::mesos::executor::Event;
use tokio::sync::mpsc;

/// Events that may wait for one executor. One that does not take them is cut off: it will
/// subscribe again.
const BACKLOG: usize = 1024;

/// The open streams, shared by those who serve them and who says things on them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscriptions {
    streams: Arc<Mutex<BTreeMap<u64, mpsc::Sender<Event>>>>,
    next: Arc<AtomicU64>,
}

impl Subscriptions {
    /// Opens a stream: its number, and where its events come out.
    pub(crate) fn open(&self) -> (u64, mpsc::Receiver<Event>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = mpsc::channel(BACKLOG);
        self.lock().insert(number, sender);
        (number, receiver)
    }

    /// Says something. A stream that is gone needs none.
    pub(crate) fn tell(&self, number: u64, event: Event) {
        let mut streams = self.lock();
        if streams.get(&number).is_some_and(|stream| stream.try_send(event).is_err()) {
            streams.remove(&number);
        }
    }

    /// Ends a stream, after what was said on it.
    pub(crate) fn close(&self, number: u64) {
        self.lock().remove(&number);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, mpsc::Sender<Event>>> {
        // Nothing is ever half done under it.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
