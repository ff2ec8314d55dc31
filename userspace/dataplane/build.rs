//! Builds the eBPF object (`ebpf/programs`), which the crate embeds, and another that only its bench
//! has.
//!
//! The object needs a compiler that can build `core` for the BPF target: one whose library
//! source is installed. That is either a nightly of rustup's with `rust-src`, or Debian's
//! `rustc-web`, `cargo-web` and `rust-web-src`. Whichever it is, it runs as a cargo of its
//! own, with nothing inherited from the build around it.

use std::{
    env,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// The files that the programs' package compiles to: the object, and what it is measured against.
const OBJECTS: [&str; 2] = ["muster-programs", "muster-references"];

const TARGET: &str = "bpfel-unknown-none";

/// Variables of the outer build that an inner cargo must still see: where its home is and
/// how it reaches the registry.
const KEPT: [&str; 6] = [
    "CARGO_HOME",
    "CARGO_NET_OFFLINE",
    "CARGO_NET_GIT_FETCH_WITH_CLI",
    "CARGO_HTTP_PROXY",
    "CARGO_HTTP_CAINFO",
    "CARGO_TERM_COLOR",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // cargo shows what a failed build script wrote to standard error.
            eprintln!("error: the eBPF object cannot be built: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What keeps the object from being built, and what helps.
enum Error {
    NoToolchain { looked_at: Vec<String> },
    NoLinker { looked_in: Vec<PathBuf> },
    Variable { name: &'static str },
    Run { command: String, source: io::Error },
    Failed { command: String },
    Copy { path: PathBuf, source: io::Error },
}

/// A cargo and a rustc of one version, with the library's source.
struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    sysroot: PathBuf,
}

// === impl Toolchain ===

impl Toolchain {
    /// The usable ones: nightlies of the user's, then the system's.
    fn find() -> Result<Vec<Self>, Error> {
        let mut candidates = rustup_nightlies();
        candidates.push((PathBuf::from("/usr/bin/cargo"), PathBuf::from("/usr/bin/rustc")));
        let (mut found, mut looked_at) = (Vec::new(), Vec::new());
        for (cargo, rustc) in candidates {
            match Self::check(&cargo, &rustc) {
                Ok(toolchain) => found.push(toolchain),
                Err(reason) => looked_at.push(format!("{}: {reason}", rustc.display())),
            }
        }
        if found.is_empty() { Err(Error::NoToolchain { looked_at }) } else { Ok(found) }
    }

    fn check(cargo: &Path, rustc: &Path) -> Result<Self, String> {
        if !cargo.exists() || !rustc.exists() {
            return Err("not installed".to_owned());
        }
        let mut command = Command::new(rustc);
        scrub(&mut command);
        let output = command.args(["--print", "sysroot"]).output().map_err(|e| e.to_string())?;
        let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        if !sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml").exists() {
            return Err("has no library source (component rust-src)".to_owned());
        }
        Ok(Self { cargo: cargo.to_owned(), rustc: rustc.to_owned(), sysroot })
    }
}

/// Cargo and rustc of every nightly that rustup has, without going through rustup (which
/// might install something).
fn rustup_nightlies() -> Vec<(PathBuf, PathBuf)> {
    let home = env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".rustup")));
    let Some(entries) = home.and_then(|home| fs::read_dir(home.join("toolchains")).ok()) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("nightly"))
        })
        .collect();
    // `nightly-<host>` before dated ones, then by name: always the same one.
    found.sort();
    found.iter().rev().map(|root| (root.join("bin/cargo"), root.join("bin/rustc"))).collect()
}

/// Where bpf-linker is.
fn find_linker() -> Result<PathBuf, Error> {
    let mut looked_in: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    if let Some(home) = cargo_home() {
        looked_in.push(home.join("bin"));
    }
    let found = looked_in.iter().map(|dir| dir.join("bpf-linker")).find(|path| path.is_file());
    found.ok_or(Error::NoLinker { looked_in })
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))
}

/// Takes away what cargo, rustup and this build script's environment would change in an
/// inner cargo.
fn scrub(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let ours = text.starts_with("CARGO")
            || text.starts_with("RUST")
            || text.starts_with("DEP_")
            || ["TARGET", "HOST", "PROFILE", "OPT_LEVEL", "DEBUG", "NUM_JOBS", "LD_LIBRARY_PATH"]
                .contains(&&*text);
        if ours && !KEPT.contains(&&*text) && text != "RUST_BACKTRACE" {
            command.env_remove(&name);
        }
    }
}

/// Compiler flags: what a BPF program needs, and path prefixes cut off, so that the object
/// does not depend on where it is built.
fn flags(root: &Path, toolchain: &Toolchain, linker: &Path, arch: &str) -> OsString {
    let mut flags = vec![
        format!("--cfg=bpf_target_arch=\"{arch}\""),
        // As a flag rather than in the profile, so that core gets it too: without it the
        // kernel misses information on core's functions and refuses the object.
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("-Clinker={}", linker.display()),
    ];
    let mut cut = |from: &Path, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    cut(root, "/muster");
    let library = toolchain.sysroot.join("lib/rustlib/src/rust");
    // Debian's is a link; the compiler knows it by both names.
    if let Ok(target) = library.canonicalize() {
        cut(&target, "/rust");
    }
    cut(&library, "/rust");
    // The registry's folder name depends on where the registry is.
    let sources = cargo_home().map(|home| home.join("registry/src"));
    for source in sources.into_iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten() {
        cut(&source.path(), "/registry");
    }
    OsString::from(flags.join("\u{1f}"))
}

fn variable(name: &'static str) -> Result<PathBuf, Error> {
    env::var_os(name).map(PathBuf::from).ok_or(Error::Variable { name })
}

fn build() -> Result<(), Error> {
    let crate_dir = variable("CARGO_MANIFEST_DIR")?;
    let out = variable("OUT_DIR")?;
    let root = crate_dir.ancestors().nth(2).unwrap_or(&crate_dir).to_owned();
    for path in [
        "ebpf/Cargo.toml",
        "ebpf/Cargo.lock",
        "ebpf/programs",
        "ebpf/packet/src",
        "ebpf/packet/Cargo.toml",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    let linker = find_linker()?;
    let arch = env::var("CARGO_CFG_TARGET_ARCH")
        .map_err(|_| Error::Variable { name: "CARGO_CFG_TARGET_ARCH" })?;
    let toolchains = Toolchain::find()?;
    let mut last = None;
    for toolchain in &toolchains {
        match compile(&root, toolchain, &linker, &arch, &out) {
            Ok(directory) => {
                for name in OBJECTS {
                    let path = directory.join(name);
                    fs::copy(&path, out.join(name))
                        .map_err(|source| Error::Copy { path, source })?;
                }
                return Ok(());
            }
            // A nightly may be too new for bpf-linker's LLVM; the system's compiler is not.
            Err(error) => {
                eprintln!("{error}");
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or(Error::NoToolchain { looked_at: Vec::new() }))
}

/// Runs the inner cargo; where the objects are.
fn compile(
    root: &Path,
    toolchain: &Toolchain,
    linker: &Path,
    arch: &str,
    out: &Path,
) -> Result<PathBuf, Error> {
    let target_dir = out.join("ebpf");
    // First of all the sources: their folders' names go into the flags.
    cargo(root, toolchain, |command| command.args(["fetch", "--locked", "--quiet"]))?;
    cargo(root, toolchain, |command| {
        command
            .args(["build", "--release", "--locked", "-Zbuild-std=core", "--target", TARGET])
            .arg("--target-dir")
            .arg(&target_dir)
            .env("CARGO_ENCODED_RUSTFLAGS", flags(root, toolchain, linker, arch))
    })?;
    Ok(target_dir.join(TARGET).join("release"))
}

/// Runs cargo in the object's workspace.
fn cargo(
    root: &Path,
    toolchain: &Toolchain,
    arguments: impl FnOnce(&mut Command) -> &mut Command,
) -> Result<(), Error> {
    let mut command = Command::new(&toolchain.cargo);
    scrub(&mut command);
    command
        .current_dir(root.join("ebpf"))
        .env("RUSTC", &toolchain.rustc)
        // Debian's compiler is a stable one; a nightly does not mind.
        .env("RUSTC_BOOTSTRAP", "1");
    arguments(&mut command);
    let name = toolchain.cargo.display().to_string();
    let status = command.status().map_err(|source| Error::Run { command: name.clone(), source })?;
    if status.success() { Ok(()) } else { Err(Error::Failed { command: name }) }
}

// === impl Error ===

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SETUP: &str = "`cargo xtask setup` installs it";
        match self {
            Self::NoToolchain { looked_at } => {
                writeln!(f, "no Rust compiler with its library's source.")?;
                for line in looked_at {
                    writeln!(f, "  {line}")?;
                }
                write!(f, "{SETUP} (Debian's rustc-web, cargo-web and rust-web-src); or run ")?;
                write!(f, "`rustup toolchain install nightly --component rust-src`")
            }
            Self::NoLinker { looked_in } => {
                let dirs: Vec<_> = looked_in.iter().map(|d| d.display().to_string()).collect();
                write!(f, "bpf-linker is in none of {}. {SETUP}", dirs.join(":"))
            }
            Self::Variable { name } => write!(f, "cargo did not set {name}"),
            Self::Run { command, source } => write!(f, "{command}: {source}"),
            Self::Failed { command } => write!(f, "{command} failed, as shown above"),
            Self::Copy { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}
