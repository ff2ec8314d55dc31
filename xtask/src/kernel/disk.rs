//! The machine's disk: the tests, and of this system what they start, with its libraries.

mod initrd;
mod tree;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use muster_harness::{command, paths};

use super::debian::Kernel;
use super::modules::Modules;
use super::suites::{Suites, Test};
use crate::setup;
use tree::Tree;

/// What tests start, and what the machine needs itself. busybox is all the rest.
const PROGRAMS: &[&str] = &[
    "bpftool",
    "btrfs",
    "buildah",
    "containerd",
    "curl",
    "docker",
    "docker-registry",
    "dockerd",
    "ethtool",
    "flock",
    "ip",
    "ipset",
    "iptables",
    "losetup",
    "mkfs.btrfs",
    "mkfs.ext4",
    "mkfs.xfs",
    "modprobe",
    "nginx",
    "nsenter",
    "openssl",
    "runc",
    "skopeo",
    "tc",
    "umoci",
];

/// What those look up.
const CONFIGURATION: &[&str] = &[
    "/etc/containers/policy.json",
    "/etc/containers/registries.conf",
    "/etc/group",
    "/etc/mke2fs.conf",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/openssl.cnf",
];

/// What tests read of the repository.
const READ: &[&str] = &["docs/examples/scratch.py", "ebpf/BUDGET.md"];

/// What runs the first of these.
const PYTHON: &str = "/usr/bin/python3";

/// Room for what tests write, in bytes; holes until then.
const ROOM: u64 = 2 << 30;

/// Where the disk of `disk::make` and its machine's words are.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) image: PathBuf,
    pub(super) initrd: PathBuf,
    pub(super) console: PathBuf,
    /// Held for as long as a machine may run from it.
    _lock: File,
}

/// Makes the disk of a machine that runs `tests`.
pub(super) fn make(kernel: &Kernel, suites: &Suites, tests: &[Test<'_>]) -> Result<Disk> {
    let path = kernel.directory.join("lock");
    let lock = File::create(&path).with_context(|| format!("open {}", path.display()))?;
    lock.try_lock().with_context(|| {
        format!("another run under {} is under way; wait for its end", kernel.release)
    })?;
    let staging = tempfile::tempdir_in(&kernel.directory).context("mkdir in target")?;
    let tree = Tree::new(staging.path())?;
    let busybox = setup::find("busybox").context("busybox is missing")?;
    tree.place(&busybox, Path::new("/bin/busybox"))?;
    for program in PROGRAMS {
        let path = setup::find(program).with_context(|| format!("{program} is missing"))?;
        tree.program(&path)?;
    }
    for path in extensions()? {
        tree.program(&path)?;
    }
    for path in CONFIGURATION {
        tree.place(Path::new(path), Path::new(path))?;
    }
    tree.link("/usr/lib/ssl/openssl.cnf", "/etc/ssl/openssl.cnf")?;
    python(&tree)?;
    for path in READ {
        let path = paths::repository().join(path);
        tree.place(&path, &path)?;
        // The tests have the way there from their package's directory.
        for suite in ["userspace/dataplane", "userspace/containerizer"] {
            tree.directory(&paths::repository().join(suite))?;
        }
    }
    programs(&tree, suites)?;
    let names = command::output(Command::new(&busybox).arg("--list"))?;
    for name in names.lines() {
        tree.applet(name)?;
    }
    modules(&tree, kernel)?;
    list(&tree, suites, tests)?;

    let disk = Disk {
        image: kernel.directory.join("disk"),
        initrd: kernel.directory.join("initrd"),
        console: kernel.directory.join("console.log"),
        _lock: lock,
    };
    let file =
        File::create(&disk.image).with_context(|| format!("open {}", disk.image.display()))?;
    file.set_len(tree.size()? + ROOM).context("ftruncate the disk")?;
    let mkfs = setup::find("mkfs.ext4").context("mkfs.ext4 is missing")?;
    let mut mkfs = Command::new(mkfs);
    // No journal: nobody reads this disk after the machine.
    mkfs.args(["-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=1,root_owner=0:0", "-d"]);
    command::output(mkfs.arg(staging.path()).arg(&disk.image))?;
    initrd::write(&disk.initrd, &busybox, &Modules::of(kernel)?)?;
    Ok(disk)
}

/// What iptables loads by name.
fn extensions() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for library in fs::read_dir("/usr/lib").context("read /usr/lib")?.flatten() {
        let Ok(entries) = fs::read_dir(library.path().join("xtables")) else { continue };
        found.extend(entries.flatten().map(|entry| entry.path()));
    }
    anyhow::ensure!(!found.is_empty(), "no extensions of iptables in /usr/lib/*/xtables");
    Ok(found)
}

fn python(tree: &Tree) -> Result<()> {
    tree.program(Path::new(PYTHON))?;
    let where_from = "import sysconfig; print(sysconfig.get_path('stdlib'))";
    let library = command::output(Command::new(PYTHON).args(["-c", where_from]))?;
    let library = Path::new(library.trim());
    tree.copy_all(library, library)
}

/// The tests' programs, as cargo has them: a test looks for an example beside itself.
fn programs(tree: &Tree, suites: &Suites) -> Result<()> {
    for suite in &suites.suites {
        tree.program_at(&suite.program, &inside("deps", &suite.program))?;
    }
    for example in &suites.examples {
        tree.program_at(example, &inside("examples", example))?;
    }
    Ok(())
}

fn inside(directory: &str, program: &Path) -> PathBuf {
    Path::new("/muster/build").join(directory).join(program.file_name().unwrap_or_default())
}

fn modules(tree: &Tree, kernel: &Kernel) -> Result<()> {
    tree.copy_all(&kernel.root.join("lib/modules"), Path::new("/usr/lib/modules"))
}

fn list(tree: &Tree, suites: &Suites, tests: &[Test<'_>]) -> Result<()> {
    let mut lines = String::new();
    for test in tests {
        let program = inside("deps", &test.suite.program);
        let _ = writeln!(lines, "{} {} {}", test.suite.name, program.display(), test.name);
    }
    let suites: BTreeSet<&str> = suites.suites.iter().map(|suite| suite.name.as_str()).collect();
    anyhow::ensure!(suites.iter().all(|name| !name.contains(' ')), "a suite's name has a space");
    tree.file("/muster/tests", &lines, 0o644)?;
    tree.file("/muster/init", include_str!("guest.sh"), 0o755)?;
    tree.file("/etc/hosts", "127.0.0.1 localhost guest\n", 0o644)?;
    tree.file("/etc/resolv.conf", "", 0o644)?;
    tree.file("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n", 0o644)
}

impl Disk {
    /// The last that the kernel and the machine's process 1 said.
    pub(super) fn console_tail(&self) -> String {
        let text = fs::read(&self.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).replace('\r', "");
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default();
        format!("\n{}\n(all of it: {})", tail.join("\n"), self.console.display())
    }
}
