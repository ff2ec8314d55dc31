//! The way from NFQUEUE to eBPF without losing connections.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use tracing::{error, info};

use super::{Nfqueue, conntrack::Conntrack, rules, set::Sets};
use crate::{Error, view::News};

/// How long SYNs are answered that were sent before eBPF took over: they are sent again after
/// 1, 3 and 7 s.
const LINGER: Duration = Duration::from_secs(10);

/// How often it is looked whether the last translated connection is over.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

type Shared = Arc<Mutex<Option<Nfqueue>>>;

/// The data plane by NFQUEUE while it is being given up: it answers what still comes in for a
/// while, then its rules go, and when no translated connection is left, all that they need.
///
/// Dropping it stops this where it is; it is begun again when the agent starts again.
pub(crate) struct Retiring {
    plane: Shared,
    /// Its end stops the thread.
    thread: Option<Sender<()>>,
}

// === impl Retiring ===

impl Retiring {
    pub(crate) fn new(plane: Nfqueue) -> Self {
        Self { plane: Arc::new(Mutex::new(Some(plane))), thread: None }
    }

    /// Follows the view while it lasts; begins to end with the first, which whoever takes over
    /// has applied.
    pub(crate) fn follow(&mut self, news: News<'_>) -> Result<(), Error> {
        let mut plane = self.plane.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plane) = plane.as_mut() {
            plane.follow(news)?;
        }
        drop(plane);
        if self.thread.is_none() {
            let (stop, stopped) = channel();
            let plane = Arc::clone(&self.plane);
            let thread = thread::Builder::new().name("vip-retiring".to_owned());
            thread
                .spawn(move || {
                    if let Err(error) = end(&plane, &stopped) {
                        error!(%error, "what is left of NFQUEUE stays until the agent starts again");
                    }
                })
                .map_err(|source| Error::Call { call: "clone", source })?;
            self.thread = Some(stop);
        }
        Ok(())
    }
}

fn end(plane: &Shared, stopped: &Receiver<()>) -> Result<(), Error> {
    if is_stopped(stopped, LINGER) {
        return Ok(());
    }
    rules::remove()?;
    info!("VIPs are no longer served by NFQUEUE; connections that it led go on");
    // Its readers answer what was queued before.
    drop(plane.lock().unwrap_or_else(PoisonError::into_inner).take());
    let failed = |source| Error::Netlink { step: "reading the connection table", source };
    let conntrack = Conntrack::open().map_err(failed)?;
    while conntrack.has_translated().map_err(failed)? {
        if is_stopped(stopped, LOOK_AGAIN) {
            return Ok(());
        }
    }
    rules::stop_translating()?;
    Sets::new()?.destroy()?;
    info!("nothing is left of NFQUEUE");
    Ok(())
}

/// Waits for a time. True if it is to stop.
fn is_stopped(stopped: &Receiver<()>, after: Duration) -> bool {
    stopped.recv_timeout(after) != Err(RecvTimeoutError::Timeout)
}
