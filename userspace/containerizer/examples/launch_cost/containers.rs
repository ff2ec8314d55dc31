//! By the containerizer.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use muster_containerizer::{
    CommandSpec, Config, ContainerSpec, Containerizer, Fetching, ImageLimits, Isolation, Logger,
    Registries, Resources, Termination,
};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::memory;
use super::requests::{Request, Watch, serve as answer};

/// What launches containers, and numbers them.
struct Launcher {
    containerizer: Containerizer,
    work: PathBuf,
}

/// Launches containers of `busybox` for each request.
pub(crate) fn serve(
    images: &Path,
    work: &Path,
    helper: &Path,
    cgroups: &str,
) -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::new()?;
    let containerizer = {
        let _context = runtime.enter();
        Containerizer::new(Config {
            image_dir: images.to_owned(),
            runtime_dir: work.join("run"),
            cgroups_root: cgroups.to_owned(),
            helper: helper.to_owned(),
            registries: Registries::default(),
            image_limits: ImageLimits::default(),
            fetching: Fetching::new(work.join("fetch")),
            logger: Logger::default(),
            isolation: Isolation { cfs_quota: true, ..Isolation::default() },
        })?
    };
    let launcher = Arc::new(Launcher { containerizer, work: work.join("sandboxes") });
    let mut next = 0;
    answer(|request| {
        let (first, number) = match request {
            Request::One => (next, 1),
            Request::Many { number, .. } | Request::Hold { number } => (next, number),
        };
        next += number;
        match request {
            Request::One => one(&runtime, &launcher, first),
            Request::Many { number, width } => {
                many(&runtime, &launcher, first..first + number, width)
            }
            Request::Hold { number } => hold(&runtime, &launcher, first..first + number),
        }
    })
}

/// Wall clock and processor time of the whole, and wall clock to the command's end.
fn one(runtime: &Runtime, launcher: &Launcher, number: u64) -> Result<Vec<u128>, Box<dyn Error>> {
    let spec = launcher.spec(number, &["/bin/true"])?;
    let watch = Watch::start()?;
    let mut numbers = runtime.block_on(async {
        let id = spec.id.clone();
        launcher.containerizer.launch(spec).await?;
        let started = watch.stop()?.wall;
        let termination = launcher.containerizer.wait(&id).await?;
        let ended = watch.stop()?.wall;
        launcher.containerizer.destroy(&id).await?;
        if termination != Termination::Exited(0) {
            return Err(Box::<dyn Error>::from(format!("{termination:?}")));
        }
        Ok(vec![started.as_nanos(), ended.as_nanos()])
    })?;
    let mut answer = watch.stop()?.numbers();
    answer.append(&mut numbers);
    Ok(answer)
}

/// Wall clock and processor time of all.
fn many(
    runtime: &Runtime,
    launcher: &Arc<Launcher>,
    numbers: std::ops::Range<u64>,
    width: usize,
) -> Result<Vec<u128>, Box<dyn Error>> {
    let specs = numbers.map(|number| launcher.spec(number, &["/bin/true"]));
    let mut specs = specs.collect::<Result<Vec<_>, _>>()?;
    let watch = Watch::start()?;
    runtime.block_on(async {
        let mut running = JoinSet::new();
        while !(specs.is_empty() && running.is_empty()) {
            while running.len() < width
                && let Some(spec) = specs.pop()
            {
                let launcher = Arc::clone(launcher);
                running.spawn(async move {
                    let id = spec.id.clone();
                    launcher.containerizer.launch(spec).await?;
                    launcher.containerizer.wait(&id).await?;
                    launcher.containerizer.destroy(&id).await
                });
            }
            if let Some(done) = running.join_next().await {
                done??;
            }
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    Ok(watch.stop()?.numbers())
}

/// Bytes of this process that each running container adds; and the private and the
/// proportional bytes of its helper.
fn hold(
    runtime: &Runtime,
    launcher: &Launcher,
    numbers: std::ops::Range<u64>,
) -> Result<Vec<u128>, Box<dyn Error>> {
    let count = numbers.end - numbers.start;
    runtime.block_on(async {
        // What the first one makes, all others use.
        let ids: Vec<String> = numbers.map(|number| number.to_string()).collect();
        let before = memory::of("self")?;
        let mut helpers = Vec::new();
        for id in &ids {
            let spec = launcher.spec(id.parse()?, &["/bin/sleep", "1000"])?;
            let launched = launcher.containerizer.launch(spec).await?;
            helpers.push(memory::parent(launched.pid)?);
        }
        let after = memory::of("self")?;
        let mut sum = memory::Memory::default();
        for helper in &helpers {
            sum += memory::of(&helper.to_string())?;
        }
        for id in &ids {
            launcher.containerizer.kill(id, Duration::ZERO).await?;
            launcher.containerizer.destroy(id).await?;
        }
        let own = after.private.saturating_sub(before.private) / count;
        let numbers = [own, sum.private / count, sum.proportional / count];
        Ok(numbers.map(u128::from).to_vec())
    })
}

impl Launcher {
    /// With a sandbox, which is there before a container is launched.
    fn spec(&self, number: u64, argv: &[&str]) -> Result<ContainerSpec, Box<dyn Error>> {
        let id = number.to_string();
        let sandbox = self.work.join(&id);
        std::fs::create_dir_all(&sandbox)?;
        Ok(ContainerSpec {
            id,
            image: Some("busybox".into()),
            command: Some(CommandSpec::Argv(argv.iter().map(ToString::to_string).collect())),
            sandbox,
            resources: Resources { cpus_milli: 1_000, mem_bytes: 64 << 20, ..Resources::default() },
            ..ContainerSpec::default()
        })
    }
}
