//! Threads that read the queues, and one that sees what becomes of connections.

use std::{
    io::{self, PipeReader, PipeWriter, pipe},
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use tracing::{error, warn};

use super::{
    conntrack::{Conntrack, Event, Events, Pinned},
    ledger::{Decision, Ledger},
    queue::{Packet, Queue},
    source::Sources,
    syn,
};
use crate::{Error, plane::now_ns};

/// More than a message has.
const BUFFER: usize = 64 << 10;

/// The ledger, as the threads share it.
pub(super) type Shared = Arc<Mutex<Ledger>>;

/// The threads; dropping it ends them.
pub(super) struct Workers {
    /// Its end is what they see.
    stop: Option<PipeWriter>,
    threads: Vec<JoinHandle<()>>,
}

/// A queue's reader.
struct Reader {
    queue: Queue,
    conntrack: Conntrack,
    sources: Sources,
    ledger: Shared,
}

/// Who sees what becomes of connections.
struct Observer {
    events: Events,
    conntrack: Conntrack,
    ledger: Shared,
}

/// The ledger, for a moment.
pub(super) fn look(ledger: &Shared) -> MutexGuard<'_, Ledger> {
    // Who panics leaves at worst a handshake that is never decided.
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Workers ===

impl Workers {
    /// Starts a thread for each queue, in the caller's network.
    pub(super) fn start(
        queues: Vec<Queue>,
        events: Events,
        ledger: &Shared,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Netlink { step: "opening the connection table", source };
        let started = |source| Error::Call { call: "clone", source };
        let (stopped, stop) = pipe().map_err(|source| Error::Call { call: "pipe", source })?;
        let mut workers = Self { stop: Some(stop), threads: Vec::new() };
        let observer = Observer {
            events,
            conntrack: Conntrack::open().map_err(failed)?,
            ledger: Arc::clone(ledger),
        };
        let own = stopped.try_clone().map_err(|source| Error::Call { call: "dup", source })?;
        let thread = thread::Builder::new().name("vip-observer".to_owned());
        workers.threads.push(thread.spawn(move || observer.run(&own)).map_err(started)?);
        for queue in queues {
            let own = stopped.try_clone().map_err(|source| Error::Call { call: "dup", source })?;
            let thread = thread::Builder::new().name(format!("vip-queue-{}", queue.number()));
            let conntrack = Conntrack::open().map_err(failed)?;
            let ledger = Arc::clone(ledger);
            let reader = move || {
                let sources = Sources::default();
                Reader { queue, conntrack, sources, ledger }.run(&own);
            };
            workers.threads.push(thread.spawn(reader).map_err(started)?);
        }
        Ok(workers)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("a thread of the NFQUEUE data plane has panicked");
            }
        }
    }
}

// === impl Reader ===

impl Reader {
    fn run(&self, stopped: &PipeReader) {
        let mut buffer = vec![0; BUFFER];
        loop {
            match self.queue.drain(&mut buffer, |packet| self.handle(packet)) {
                Ok(true) => {}
                Ok(false) if wait(&self.queue, stopped, PollTimeout::NONE) => {}
                Ok(false) => return,
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    error!(queue = self.queue.number(), %error, "a queue can be read no more");
                    return;
                }
            }
        }
    }

    /// Leads the connection that a packet begins to a backend. If there is none, there will be
    /// no entry either, and the rules refuse the packet.
    fn handle(&self, packet: &Packet<'_>) {
        let Some(flow) = syn::parse(packet.bytes) else { return };
        let Some(now_ns) = now() else { return };
        let decision = look(&self.ledger).decide(flow, now_ns);
        let Decision::Backend { backend, again } = decision else { return };
        let source = self.sources.of(*flow.client.ip(), packet.is_local, *backend.ip());
        let pinned = source.and_then(|source| self.conntrack.pin(flow, backend, source));
        match pinned {
            Ok(Pinned::Already) if !again => look(&self.ledger).undo(flow),
            Ok(_) => {}
            Err(error) => {
                look(&self.ledger).undo(flow);
                warn!(client = %flow.client, vip = %flow.vip, %backend, %error,
                    "a connection to a VIP is refused: it cannot be translated");
            }
        }
    }
}

// === impl Observer ===

impl Observer {
    fn run(&self, stopped: &PipeReader) {
        let mut buffer = vec![0; BUFFER];
        loop {
            match self.events.drain(&mut buffer, |event| self.note(event)) {
                Ok(true) => {}
                Ok(false) => {
                    if !wait(&self.events, stopped, self.until_next()) {
                        return;
                    }
                }
                // What was missed is asked for when its time is over.
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    error!(%error, "events of the connection table can be read no more");
                    return;
                }
            }
            self.expire();
        }
    }

    fn note(&self, event: Event) {
        let Some(now_ns) = now() else { return };
        match event {
            Event::Replied(flow) => look(&self.ledger).replied(flow, Some(now_ns)),
            Event::Ended(flow) => look(&self.ledger).ended(flow, now_ns),
        }
    }

    /// How long nothing needs to be looked at. A handshake that begins meanwhile is an event.
    fn until_next(&self) -> PollTimeout {
        let (Some(deadline), Some(now)) = (look(&self.ledger).next_deadline(), now()) else {
            return PollTimeout::NONE;
        };
        let ms = deadline.saturating_sub(now).div_ceil(1_000_000);
        PollTimeout::try_from(u32::try_from(ms).unwrap_or(u32::MAX)).unwrap_or(PollTimeout::MAX)
    }

    fn expire(&self) {
        let Some(now_ns) = now() else { return };
        let overdue = look(&self.ledger).overdue(now_ns);
        for flow in overdue {
            let replied = self.conntrack.has_replied(flow).unwrap_or(false);
            let mut ledger = look(&self.ledger);
            if replied { ledger.replied(flow, None) } else { ledger.late(flow, now_ns) }
        }
    }
}

/// Waits until there is something to read or the time is over. False if it is to end.
fn wait(source: &impl AsFd, stopped: &PipeReader, timeout: PollTimeout) -> bool {
    let mut both = [
        PollFd::new(source.as_fd(), PollFlags::POLLIN),
        PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
    ];
    match poll(&mut both, timeout) {
        Ok(_) => both[1].revents().is_none_or(|events| events.is_empty()),
        Err(Errno::EINTR) => true,
        Err(error) => {
            error!(%error, "poll");
            false
        }
    }
}

/// The buffer was full, so something was missed; or a signal came.
fn is_passing(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ENOBUFS | Errno::EINTR))
}

fn now() -> Option<u64> {
    // It does not fail on any Linux.
    now_ns().inspect_err(|error| error!(%error, "the clock")).ok()
}
