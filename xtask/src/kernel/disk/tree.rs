//! A root file system in the making.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use muster_harness::command;

/// Directories that a system has.
const DIRECTORIES: &[&str] = &[
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "usr/lib64",
    "usr/local/bin",
    "usr/local/sbin",
    "etc",
    "dev",
    "proc",
    "sys",
    "run",
    "mnt",
    "srv",
    "root",
    "tmp",
    "var/tmp",
    "var/lib",
    "muster",
];

/// As in Debian since 12: `/bin` is `/usr/bin`, …
const MERGED: &[&str] = &["bin", "sbin", "lib", "lib64"];

pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    pub(super) fn new(root: &Path) -> Result<Self> {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(root, mode).context("chmod the tree")?;
        let tree = Self { root: root.to_owned() };
        for path in DIRECTORIES {
            tree.directory(&Path::new("/").join(path))?;
        }
        for name in MERGED {
            let target = format!("usr/{name}");
            symlink(&target, root.join(name)).with_context(|| format!("link {name}"))?;
        }
        for path in ["tmp", "var/tmp"] {
            let mode = fs::Permissions::from_mode(0o1777);
            fs::set_permissions(root.join(path), mode).with_context(|| format!("chmod {path}"))?;
        }
        Ok(tree)
    }

    /// Where `path` of the tree is here.
    fn here(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(super) fn directory(&self, path: &Path) -> Result<()> {
        fs::create_dir_all(self.here(path)).with_context(|| format!("mkdir {}", path.display()))
    }

    pub(super) fn file(&self, path: &str, text: &str, mode: u32) -> Result<()> {
        let here = self.here(Path::new(path));
        fs::write(&here, text).with_context(|| format!("write {path}"))?;
        fs::set_permissions(&here, fs::Permissions::from_mode(mode))
            .with_context(|| format!("chmod {path}"))
    }

    pub(super) fn link(&self, path: &str, target: &str) -> Result<()> {
        let here = self.here(Path::new(path));
        if let Some(parent) = here.parent() {
            fs::create_dir_all(parent).with_context(|| format!("mkdir for {path}"))?;
        }
        symlink(target, &here).with_context(|| format!("link {path}"))
    }

    /// Copies the file `from` of this system to `to`.
    pub(super) fn place(&self, from: &Path, to: &Path) -> Result<()> {
        let here = self.here(to);
        if here.exists() {
            return Ok(());
        }
        if let Some(parent) = to.parent() {
            self.directory(parent)?;
        }
        fs::copy(from, &here).with_context(|| format!("copy {}", from.display())).map(drop)
    }

    /// Copies a program of this system, at its place, with its libraries.
    pub(super) fn program(&self, path: &Path) -> Result<()> {
        self.program_at(path, path)
    }

    /// Copies a program with its libraries.
    pub(super) fn program_at(&self, from: &Path, to: &Path) -> Result<()> {
        self.place(from, to)?;
        for library in libraries(from)? {
            self.place(&library, &library)?;
        }
        Ok(())
    }

    /// Makes `name` run busybox's, unless there is a better one.
    pub(super) fn applet(&self, name: &str) -> Result<()> {
        let there = ["bin", "sbin"].iter().any(|d| self.root.join(d).join(name).exists());
        if there { Ok(()) } else { self.link(&format!("/usr/bin/{name}"), "busybox") }
    }

    /// Copies a whole directory.
    pub(super) fn copy_all(&self, from: &Path, to: &Path) -> Result<()> {
        command::output(Command::new("cp").arg("-a").arg(from).arg(self.here(to)))?;
        Ok(())
    }

    /// How many bytes it takes.
    pub(super) fn size(&self) -> Result<u64> {
        let text = command::output(Command::new("du").arg("-sk").arg(&self.root))?;
        let kilobytes = text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        Ok(kilobytes.context("du says no number")? * 1024)
    }
}

/// What the dynamic linker loads for `program`, the linker too; nothing for a static one.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("run ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let missing = text.lines().find(|line| line.contains("not found"));
    ensure!(missing.is_none(), "{}: {}", program.display(), missing.unwrap_or_default().trim());
    // `libc.so.6 => /lib/…/libc.so.6 (0x…)`, and the linker by its path alone.
    let paths = text.lines().filter_map(|line| {
        line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from)
    });
    Ok(paths.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_comes_with_its_linker_and_once() {
        let root = tempfile::tempdir().unwrap();
        let tree = Tree::new(root.path()).unwrap();
        let own = std::env::current_exe().unwrap();
        tree.program_at(&own, Path::new("/bin/own")).unwrap();
        tree.program_at(&own, Path::new("/bin/own")).unwrap();
        assert!(root.path().join("usr/bin/own").is_file());
        let libraries = libraries(&own).unwrap();
        assert!(libraries.iter().any(|path| path.to_string_lossy().contains("libc.so")));
        for library in libraries {
            assert!(tree.here(&library).is_file(), "{}", library.display());
        }
    }
}
