//! A containerizer of a test's own, of which nothing is left when the test ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use muster_containerizer::{
    CommandSpec, Config, ContainerSpec, Containerizer, Error, Fetching, ImageLimits, Isolation,
    Launched, Logger, Registries, Resources, Termination,
};
use tokio::runtime::Runtime;

use super::image::{Image, busybox};
use super::patience;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Longer than a test's patience, for what asks how long something may take.
pub(crate) const PATIENCE: Duration = Duration::from_hours(1);

pub(crate) struct World {
    // Unmounted before the directory in which it is goes.
    disk: Option<Disk>,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) config: Config,
    pub(crate) runtime: Runtime,
    containerizer: Option<Containerizer>,
}

/// A mounted filesystem.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
}

impl World {
    /// An image store with `busybox:latest` and a containerizer upon it. `None` without root,
    /// except in CI, where no test may be left out.
    pub(crate) fn new() -> Option<Self> {
        is_root().then(|| Self::with_store(None))
    }

    /// Another agent upon the image store of one.
    pub(crate) fn sharing(image_dir: &Path) -> Self {
        Self::with_store(Some(image_dir))
    }

    fn with_store(image_dir: Option<&Path>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let config = Config {
            image_dir: image_dir.map_or_else(|| path.join("images"), Path::to_owned),
            runtime_dir: path.join("run"),
            cgroups_root: format!("muster-containerizer-test/{}-{number}", std::process::id()),
            helper: helper(),
            registries: Registries::default(),
            image_limits: ImageLimits::default(),
            fetching: Fetching::new(path.join("fetch")),
            logger: Logger::default(),
            isolation: Isolation { cfs_quota: true, ..Isolation::default() },
        };
        if image_dir.is_none() {
            Image::new(&config.image_dir, "busybox").layer(busybox()).tag("latest");
        }
        let runtime = Runtime::new().unwrap();
        let containerizer = {
            let _context = runtime.enter();
            Containerizer::new(config.clone()).unwrap()
        };
        Self { disk: None, directory, config, runtime, containerizer: Some(containerizer) }
    }

    pub(crate) fn containerizer(&self) -> &Containerizer {
        self.containerizer.as_ref().unwrap()
    }

    /// Ends the containerizer as if its process had ended, and starts another.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let _context = self.runtime.enter();
        self.containerizer = Some(Containerizer::new(self.config.clone()).unwrap());
    }

    /// Ends the containerizer as if its process had ended, and starts another with other flags.
    pub(crate) fn restart_with(&mut self, change: impl FnOnce(&mut Isolation)) {
        self.stop();
        change(&mut self.config.isolation);
        self.restart();
    }

    /// Ends the containerizer as if its process had ended, and starts another that pulls from
    /// `registries`.
    pub(crate) fn pull_from(&mut self, registries: Registries) {
        self.stop();
        self.config.registries = registries;
        self.restart();
    }

    /// Ends the containerizer as if its process had ended, and starts another that lets images
    /// be so large.
    pub(crate) fn limit_images(&mut self, limits: ImageLimits) {
        self.stop();
        self.config.image_limits = limits;
        self.restart();
    }

    /// Ends the containerizer as if its process had ended, and starts another with a logger.
    pub(crate) fn log_with(&mut self, logger: Logger) {
        self.stop();
        self.config.logger = logger;
        self.restart();
    }

    /// Gives the containerizer a runtime directory on a filesystem of 1 MB.
    pub(crate) fn use_small_disk(&mut self) {
        self.stop();
        let at = self.config.runtime_dir.clone();
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", &at, "tmpfs", flags, c"size=1m").unwrap();
        self.disk = Some(Disk(at));
        self.restart();
    }

    /// Gives the containerizer an empty image store on a filesystem of so many bytes.
    pub(crate) fn use_small_store(&mut self, bytes: usize) {
        self.stop();
        let at = self.config.image_dir.clone();
        let flags = rustix::mount::MountFlags::empty();
        let size = std::ffi::CString::new(format!("size={bytes}")).unwrap();
        rustix::mount::mount("tmpfs", &at, "tmpfs", flags, &*size).unwrap();
        self.disk = Some(Disk(at));
        self.restart();
    }

    /// Ends the containerizer as if its process had ended.
    pub(crate) fn stop(&mut self) {
        if self.containerizer.take().is_none() {
            return;
        }
        // Its tasks end soon after.
        let lock = fs::File::open(self.config.runtime_dir.join("lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    }

    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async {
            tokio::select! {
                done = work => done,
                () = patience::over() => panic!("too slow"),
            }
        })
    }

    /// Where the sandbox of container `id` is.
    pub(crate) fn sandbox(&self, id: &str) -> PathBuf {
        self.work().join(id)
    }

    /// Where all sandboxes are.
    pub(crate) fn work(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("work")
    }

    /// Everything of any container that is left, but sandboxes.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let mut directories = vec![self.config.runtime_dir.join("containers"), self.work()];
        directories.extend(self.cgroups(""));
        let entries = directories.iter().flat_map(|directory| fs::read_dir(directory).unwrap());
        let entries = entries.map(|entry| entry.unwrap());
        let left = entries.filter(|entry| {
            entry.file_type().unwrap().is_dir()
                && (!entry.path().starts_with(self.work())
                    || entry.file_name().to_str().unwrap().starts_with('.'))
        });
        left.map(|entry| entry.path()).collect()
    }

    /// A busybox container that runs `line` in a shell.
    pub(crate) fn shell(&self, id: &str, line: &str) -> ContainerSpec {
        let sandbox = self.sandbox(id);
        fs::create_dir_all(&sandbox).unwrap();
        ContainerSpec {
            id: id.into(),
            image: Some("busybox".into()),
            command: Some(CommandSpec::Shell(line.into())),
            sandbox,
            resources: resources(100, 64 << 20),
            ..ContainerSpec::default()
        }
    }

    pub(crate) fn launch(&self, spec: ContainerSpec) -> Result<Launched, Error> {
        self.run(self.containerizer().launch(spec))
    }

    /// Launches them side by side.
    pub(crate) fn launch_all(&self, specs: Vec<ContainerSpec>) {
        self.run(async {
            let mut launches = tokio::task::JoinSet::new();
            for spec in specs {
                let containerizer = self.containerizer().clone();
                launches.spawn(async move { containerizer.launch(spec).await.unwrap() });
            }
            launches.join_all().await;
        });
    }

    /// How the container ends.
    pub(crate) fn wait(&self, id: &str) -> Termination {
        self.run(self.containerizer().wait(id)).unwrap()
    }

    /// Runs a container to its end and returns that with what it printed.
    pub(crate) fn finish(&self, spec: ContainerSpec) -> (Termination, String) {
        let id = spec.id.clone();
        self.launch(spec).unwrap();
        let termination = self.wait(&id);
        (termination, self.stdout(&id))
    }

    /// What the shell line prints in a container of its own.
    pub(crate) fn output(&self, id: &str, line: &str) -> String {
        let (termination, output) = self.finish(self.shell(id, line));
        let errors = fs::read_to_string(self.sandbox(id).join("stderr")).unwrap();
        assert_eq!(termination, Termination::Exited(0), "{output}\n{errors}");
        output
    }

    pub(crate) fn stdout(&self, id: &str) -> String {
        fs::read_to_string(self.sandbox(id).join("stdout")).unwrap()
    }

    /// Waits until the container has printed `text`.
    pub(crate) fn await_output(&self, id: &str, text: &str) {
        let path = self.sandbox(id).join("stdout");
        let seen = || fs::read_to_string(&path).is_ok_and(|output| output.contains(text));
        self.await_that(&format!("{text} in {}", path.display()), seen);
    }

    pub(crate) fn await_that(&self, what: &str, holds: impl FnMut() -> bool) {
        self.runtime.block_on(patience::until(what, holds));
    }

    /// Everything of `id` that could be left: cgroups, scratch, checkpoint.
    pub(crate) fn remains(&self, id: &str) -> Vec<PathBuf> {
        let mut remains = vec![
            self.config.runtime_dir.join("containers").join(id),
            self.sandbox(id).parent().unwrap().join(format!(".{id}.rootfs")),
        ];
        remains.extend(self.cgroups(id));
        remains.retain(|path| path.exists());
        remains
    }

    /// Checks a `/proc/<pid>/cgroup` of a process in `id`.
    pub(crate) fn assert_in_cgroups(&self, id: &str, text: &str) {
        let group = format!("/{}/{id}", self.config.cgroups_root);
        let mut unified = false;
        for line in text.lines() {
            let [tree, names, path] = line.splitn(3, ':').collect::<Vec<_>>().try_into().unwrap();
            unified |= tree == "0";
            let ours =
                tree == "0" || names.split(',').any(|n| ["cpu", "memory", "pids"].contains(&n));
            assert_eq!(path == group, ours, "{line}");
        }
        assert!(unified, "{text}");
    }

    /// The cgroups of `id` in all trees.
    pub(crate) fn cgroups(&self, id: &str) -> Vec<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let trees = mounts.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            fields[2].starts_with("cgroup").then(|| PathBuf::from(fields[1]))
        });
        trees
            .map(|tree| tree.join(&self.config.cgroups_root).join(id))
            .filter(|p| p.exists())
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let containerizer = self.containerizer.take().or_else(|| {
            let _context = self.runtime.enter();
            Containerizer::new(self.config.clone()).ok()
        });
        let destroyed = containerizer
            .ok_or_else(|| "no containerizer".to_owned())
            .and_then(|c| self.runtime.block_on(c.destroy_all()).map_err(|e| e.to_string()));
        if !std::thread::panicking() {
            destroyed.unwrap();
        } else if let Err(error) = destroyed {
            eprintln!("cannot clean up: {error}");
        }
    }
}

/// Whether tests can do what they need root for; those in CI have to.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::getuid().is_root();
    if !root {
        assert!(std::env::var_os("CI").is_none(), "in CI this test must run, as root");
        eprintln!("skipped: needs root");
    }
    root
}

/// Resources without limits of their own.
pub(crate) fn resources(cpus_milli: u64, mem_bytes: u64) -> Resources {
    Resources { cpus_milli, mem_bytes, ..Resources::default() }
}

/// The helper: this package's example, which cargo builds with the tests.
pub(crate) fn helper() -> PathBuf {
    example("launch")
}

/// An example of this package.
pub(crate) fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    assert!(path.is_file(), "run: cargo build -p muster-containerizer --example {name}");
    path
}
