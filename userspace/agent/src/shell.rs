//! Carries out what the agent's logic wants, and tells it what happens.

use std::convert::Infallible;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_api::muster::AgentMessage;
use muster_dataplane::{DataPlane, InterfaceEvents};
use muster_store::{Batch, Redb, Store};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tonic::transport::Endpoint;

use crate::clock::Clock;
use crate::containers::{Containers, Launched};
use crate::subscriptions::Subscriptions;
use crate::{
    Agent, ContainerEvent, Error, ImageGc, Input, Output, VipNews, Workload, link, probe, sandbox,
};

/// Events of the link, and of executors, that may wait to be handled.
pub(crate) const BACKLOG: usize = 256;

/// How often it is looked how far a pull or a fetch is.
const PROGRESS_TICK: Duration = Duration::from_secs(1);

/// The agent's logic, shared with those who only look.
pub(crate) type Shared = Arc<Mutex<Agent>>;

/// What the agent acts on.
pub(crate) struct Shell {
    pub(crate) agent: Shared,
    pub(crate) clock: Clock,
    pub(crate) store: Arc<Redb>,
    pub(crate) containers: Containers,
    pub(crate) plane: Arc<Mutex<DataPlane>>,
    pub(crate) master: Endpoint,
    pub(crate) address: IpAddr,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) inputs: mpsc::Sender<Input>,
}

/// The session with the master; ends with its last owner.
struct Session {
    say: mpsc::UnboundedSender<AgentMessage>,
    task: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What has been started; what comes of it, if anything does.
type Acts = JoinSet<Result<Option<Input>, Error>>;

impl Shell {
    /// Runs the agent, beginning with `first` and then on what comes in, for as long as it is
    /// polled.
    ///
    /// # Errors
    /// [`Error::Panicked`]: then its state cannot be trusted.
    pub(crate) async fn run(
        self,
        first: Input,
        mut inputs: mpsc::Receiver<Input>,
    ) -> Result<(), Error> {
        let mut acts = Acts::new();
        let mut session = None;
        let mut input = Some(first);
        loop {
            if let Some(input) = input.take() {
                let outputs = look(&self.agent).handle(self.clock.now(), input);
                for output in outputs {
                    self.act(output, &mut acts, &mut session);
                }
            }
            input = tokio::select! {
                input = inputs.recv() => input,
                Some(done) = acts.join_next() => done??,
            };
        }
    }

    fn act(&self, output: Output, acts: &mut Acts, session: &mut Option<Session>) {
        let containers = self.containers.clone();
        match output {
            Output::Persist(batch) => {
                let store = Arc::clone(&self.store);
                acts.spawn(async move { persist(store, batch).await.map(Some) });
            }
            Output::Reconcile { news, read } => {
                let plane = Arc::clone(&self.plane);
                let id = look(&self.agent).id().map(str::to_owned);
                acts.spawn(async move { reconcile(plane, id, news, read).await.map(Some) });
            }
            Output::Dial { session: number, after } => {
                let (say, said) = mpsc::unbounded_channel();
                let link = link::run(self.master.clone(), number, after, said, self.inputs.clone());
                *session = Some(Session { say, task: tokio::spawn(link) });
            }
            Output::Send(message) => {
                // Once the link is gone there is a new one, where it is said anew.
                if let Some(session) = session {
                    let _ = session.say.send(*message);
                }
            }
            Output::Launch(workload) => {
                let inputs = self.inputs.clone();
                acts.spawn(async move { launch(containers, *workload, inputs).await.map(Some) });
            }
            Output::Update { container, resources } => {
                acts.spawn(async move {
                    let event = match containers.update(&container, resources).await {
                        Ok(()) => ContainerEvent::Updated,
                        Err(message) => ContainerEvent::UpdateFailed { message },
                    };
                    Ok(Some(happened(container, event)))
                });
            }
            Output::Tell { subscription, event } => self.subscriptions.tell(subscription, *event),
            Output::HangUp { subscription } => self.subscriptions.close(subscription),
            Output::Watch { container } => {
                acts.spawn(async move {
                    let how = containers.wait(&container).await;
                    Ok(Some(happened(container, ContainerEvent::Ended(how))))
                });
            }
            Output::Kill { container, grace } => {
                acts.spawn(async move {
                    let killed = containers.kill(&container, grace).await;
                    let failed = killed.err().map(|message| ContainerEvent::KillFailed { message });
                    Ok(failed.map(|event| happened(container, event)))
                });
            }
            Output::Destroy { container } => {
                acts.spawn(async move {
                    let event = match containers.destroy(&container).await {
                        Ok(()) => ContainerEvent::Destroyed,
                        Err(message) => ContainerEvent::DestroyFailed { message },
                    };
                    Ok(Some(happened(container, event)))
                });
            }
            Output::Retire { sandbox } => {
                acts.spawn(async move {
                    let path = sandbox.clone();
                    // It may never have been made.
                    if let Err(error) = spawn_blocking(move || sandbox::retire(&path)).await? {
                        tracing::debug!(sandbox = %sandbox.display(), %error, "cannot date a sandbox");
                    }
                    Ok(None)
                });
            }
            Output::Probe { container, purpose, round, probe, timeout } => {
                let address = self.address;
                acts.spawn(async move {
                    let result =
                        probe::probe(&containers, &container, probe, timeout, address).await;
                    Ok(Some(Input::Probed { container, purpose, round, result }))
                });
            }
            Output::Timer { after, timer } => {
                acts.spawn(async move {
                    tokio::time::sleep(after).await;
                    Ok(Some(Input::Timer(timer)))
                });
            }
        }
    }
}

/// The agent's logic, for a look at it; never hold it across an await.
pub(crate) fn look(agent: &Shared) -> MutexGuard<'_, Agent> {
    // Who panics while looking leaves nothing half done: looking changes nothing. The
    // logic itself ends the agent when it panics.
    agent.lock().unwrap_or_else(PoisonError::into_inner)
}

fn happened(id: String, event: ContainerEvent) -> Input {
    Input::Container { id, event }
}

async fn persist(store: Arc<Redb>, batch: Batch) -> Result<Input, Error> {
    let result = spawn_blocking(move || store.commit(batch)).await?;
    Ok(Input::Persisted(result.map_err(|error| error.to_string())))
}

async fn reconcile(
    plane: Arc<Mutex<DataPlane>>,
    id: Option<String>,
    news: VipNews,
    read: bool,
) -> Result<Input, Error> {
    let result = spawn_blocking(move || {
        let mut plane = plane.lock().unwrap_or_else(PoisonError::into_inner);
        plane.set_agent_id(id.as_deref().unwrap_or_default());
        if read {
            plane.read_again();
        }
        let changes = match news {
            VipNews::Whole(vips) => plane.reconcile(&vips),
            VipNews::Change { changed, removed } => plane.update(&changed, &removed),
        };
        changes.map(|changes| (changes, plane.skips().clone()))
    });
    let result = result.await?.map(|(changes, skips)| {
        if !changes.is_empty() {
            let (added, changed, removed) = (changes.added, changes.changed, changes.removed);
            tracing::info!(added, changed, removed, "VIPs");
        }
        skips
    });
    Ok(Input::Reconciled(result.map_err(|error| error.to_string())))
}

async fn launch(
    containers: Containers,
    workload: Workload,
    inputs: mpsc::Sender<Input>,
) -> Result<Input, Error> {
    let id = workload.name();
    let images: Vec<String> = workload.images().into_iter().map(str::to_owned).collect();
    let path = workload.sandbox().map(Path::to_owned);
    let made = spawn_blocking(move || path.map_or(Ok(()), |path| sandbox::make(&path))).await?;
    let launched = match made {
        Ok(()) => tokio::select! {
            launched = containers.launch(workload) => launched,
            never = tell_progress(&containers, &id, &images, inputs) => match never {},
        },
        Err(error) => Err(error),
    };
    let event = match launched {
        Ok(Launched { pid, addresses }) => ContainerEvent::Launched { pid, addresses },
        Err(message) => ContainerEvent::LaunchFailed { message },
    };
    Ok(happened(id, event))
}

/// Tells how far the pulls of these images and the fetching of the container's files are, for as
/// long as it is polled.
async fn tell_progress(
    containers: &Containers,
    id: &str,
    images: &[String],
    inputs: mpsc::Sender<Input>,
) -> Infallible {
    let mut told = None;
    loop {
        tokio::time::sleep(PROGRESS_TICK).await;
        let pulling = images.iter().find_map(|image| containers.pulling(image));
        let fetching = || containers.fetching(id).map(|file| file.to_string());
        let own = || pulling.map(|pulling| pulling.to_string()).or_else(fetching);
        let message = containers.engines_progress(id).or_else(own);
        if message.is_some() && message != told {
            told.clone_from(&message);
            let event = ContainerEvent::Preparing { message: message.unwrap_or_default() };
            // Without anybody to hear it the agent is ending.
            let _ = inputs.send(happened(id.to_owned(), event)).await;
        }
    }
}

/// Removes images when they take too much room, now and every so often.
pub(crate) async fn collect_images(containers: Containers, gc: ImageGc) -> Result<(), Error> {
    let mut ticks = tokio::time::interval(gc.watch_interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let ImageGc { headroom, excluded, .. } = gc.clone();
        let made = containers.of_images(move |own| own.make_room(headroom, &excluded)).await;
        match made {
            Ok(made) if made.bytes > 0 => {
                tracing::info!(images = ?made.images, bytes = made.bytes, "images removed");
            }
            Ok(_) => {}
            // Next time it may be better.
            Err(error) => tracing::error!(%error, "cannot remove images"),
        }
    }
}

/// Has the data plane look at this machine's interfaces and addresses whenever they change.
pub(crate) async fn follow_interfaces(plane: Arc<Mutex<DataPlane>>) -> Result<(), Error> {
    let events = InterfaceEvents::listen()?;
    loop {
        events.changed().await?;
        // They come in bunches.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let plane = Arc::clone(&plane);
        let refreshed =
            spawn_blocking(move || plane.lock().unwrap_or_else(PoisonError::into_inner).refresh());
        if let Err(error) = refreshed.await? {
            tracing::warn!(%error, "packets of other machines to VIPs may not be forwarded");
        }
    }
}

/// Removes old sandboxes, now and every hour.
pub(crate) async fn collect_garbage(
    agent: Shared,
    work_dir: std::path::PathBuf,
    delay: Duration,
) -> Result<(), Error> {
    let mut hourly = tokio::time::interval(Duration::from_hours(1));
    loop {
        hourly.tick().await;
        let live = look(&agent).live();
        let work_dir = work_dir.clone();
        let removed = spawn_blocking(move || sandbox::collect(&work_dir, delay, &live)).await?;
        if removed > 0 {
            tracing::info!(removed, "old sandboxes removed");
        }
    }
}
