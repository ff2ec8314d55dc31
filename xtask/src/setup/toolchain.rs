//! The compiler of the eBPF object: one with its library's source, both of one version.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use muster_harness::command;

/// Debian's compiler, with cargo and the library's source.
pub(super) const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust";

/// A compiler that can build `core` for the BPF target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Toolchain {
    /// The compiler.
    pub(super) rustc: PathBuf,
    /// Major version of the LLVM whose bitcode it writes.
    pub(super) llvm: u32,
}

impl Toolchain {
    /// The complete ones: the user's own nightlies with rust-src, then Debian's. The build tries
    /// them in this order.
    pub(super) fn all() -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for rustc in nightlies() {
            found.push(Self { llvm: version(&rustc)?.llvm, rustc });
        }
        let rustc = PathBuf::from(DEBIAN_RUSTC);
        if rustc.exists() && Path::new(DEBIAN_CARGO).exists() {
            let Version { release, llvm } = version(&rustc)?;
            if source_matches(Path::new(DEBIAN_SOURCE), &release) {
                found.push(Self { rustc, llvm });
            }
        }
        Ok(found)
    }

    /// Whether it came with Debian's packages.
    pub(super) fn is_debian(&self) -> bool {
        self.rustc == Path::new(DEBIAN_RUSTC)
    }

    /// The package of its clippy, if that is Debian's to give and is not there. A nightly of
    /// rustup's has its own.
    pub(super) fn missing_clippy(&self) -> Option<&'static str> {
        let missing = self.is_debian() && !Path::new(DEBIAN_CLIPPY).exists();
        missing.then_some("rust-web-clippy")
    }

    /// Its cargo, with the nightly flags allowed that building `core` takes, past whatever
    /// toolchain rustup would choose.
    pub(super) fn cargo(&self) -> Command {
        let mut cargo = Command::new(self.rustc.with_file_name("cargo"));
        // Cargo looks for its subcommands in PATH, and would find those of another toolchain.
        let mut path = OsString::from(self.rustc.parent().unwrap_or(Path::new("/usr/bin")));
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        cargo.env("PATH", path);
        cargo.env("RUSTC", &self.rustc).env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTUP_TOOLCHAIN");
        cargo
    }
}

/// The compilers of rustup's nightlies that have the library's source, the newest name first.
fn nightlies() -> Vec<PathBuf> {
    let home = env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".rustup")));
    let entries = home.and_then(|home| fs::read_dir(home.join("toolchains")).ok());
    let mut found: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("nightly"))
        })
        .filter(|path| path.join("lib/rustlib/src/rust/library/core/Cargo.toml").exists())
        .map(|path| path.join("bin/rustc"))
        .filter(|rustc| rustc.exists())
        .collect();
    found.sort();
    found.reverse();
    found
}

/// Debian keeps the source in a directory named after its version.
fn source_matches(link: &Path, release: &str) -> bool {
    let target = fs::canonicalize(link).unwrap_or_default();
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name == format!("rustc-{release}") && target.join("library/core/src/lib.rs").exists()
}

#[derive(Debug, PartialEq, Eq)]
struct Version {
    release: String,
    llvm: u32,
}

fn version(rustc: &Path) -> Result<Version> {
    let text = command::output(Command::new(rustc).arg("-vV"))?;
    parse(&text).with_context(|| format!("`{} -vV` says no versions:\n{text}", rustc.display()))
}

fn parse(text: &str) -> Option<Version> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let llvm = field("LLVM version: ")?.split('.').next()?.parse().ok()?;
    Some(Version { release: field("release: ")?.to_owned(), llvm })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_the_compiler_and_its_llvm() {
        let text = "rustc 1.96.0 (built from a source tarball)\nbinary: rustc\n\
                    host: x86_64-unknown-linux-gnu\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(parse(text), Some(Version { release: "1.96.0".into(), llvm: 22 }));
        assert_eq!(parse("cargo 1.96.0"), None);
    }

    #[test]
    fn source_of_another_version_does_not_count() {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("rustc-1.96.0");
        fs::create_dir_all(source.join("library/core/src")).unwrap();
        fs::write(source.join("library/core/src/lib.rs"), "").unwrap();
        let link = root.path().join("rust");
        std::os::unix::fs::symlink(&source, &link).unwrap();
        assert!(source_matches(&link, "1.96.0"));
        assert!(!source_matches(&link, "1.95.0"));
        assert!(!source_matches(&root.path().join("none"), "1.96.0"));
    }
}
