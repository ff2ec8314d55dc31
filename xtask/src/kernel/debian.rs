//! Debian's kernels for machines in a cloud, through apt, without installing them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, iter};

use anyhow::{Context, Result, bail, ensure};
use muster_harness::command;

use super::apt::Apt;
use crate::setup;
use crate::ui::Step;

/// A kernel, unpacked.
#[derive(Debug)]
pub(super) struct Kernel {
    /// As `uname -r` gives it.
    pub(super) release: String,
    pub(super) image: PathBuf,
    /// Its tree, with `lib/modules/<release>`, where depmod(8) has been.
    pub(super) root: PathBuf,
    /// Where what belongs to it is kept.
    pub(super) directory: PathBuf,
}

/// The newest kernel of `version` that this machine's apt or another release of Debian has, downloaded into
/// `cache` unless it is there.
pub(super) fn kernel(step: &Step, version: &str, cache: &Path) -> Result<Kernel> {
    let numbers = |text: &str| text.split('.').all(|part| part.parse::<u32>().is_ok());
    ensure!(numbers(version), "--kernel takes a version such as 6.1, not {version:?}");
    let (apt, release) = find(step, version, cache)?;
    let directory = cache.join(&release);
    let root = directory.join("tree");
    let image = root.join("boot").join(format!("vmlinuz-{release}"));
    let kernel = Kernel { release, image, root, directory };
    if !kernel.root.exists() {
        kernel.download(step, &apt)?;
    }
    ensure!(kernel.image.is_file(), "{} is not in its package", kernel.image.display());
    Ok(kernel)
}

/// Who has a kernel of `version`, and which is the newest.
fn find(step: &Step, version: &str, cache: &Path) -> Result<(Apt, String)> {
    let mut known = BTreeSet::new();
    let mut silent = Vec::new();
    for apt in iter::once(Apt::own()).chain(Apt::others(cache)?) {
        let mut kernels = apt.kernels()?;
        if newest(&kernels, version).is_none() {
            if let Err(error) = apt.update(step) {
                silent.push(format!("\n{error:#}"));
                continue;
            }
            kernels = apt.kernels()?;
        }
        if let Some(release) = newest(&kernels, version) {
            return Ok((apt, release));
        }
        known.extend(kernels.iter().map(|kernel| {
            let numbers = numbered(kernel).into_iter().take(2).map(|number| number.to_string());
            numbers.collect::<Vec<_>>().join(".")
        }));
    }
    bail!(
        "no release of Debian that apt reaches has a linux-image-{version}…-cloud-amd64, only of {}{}",
        known.into_iter().collect::<Vec<_>>().join(", "),
        silent.concat()
    )
}

impl Kernel {
    fn download(&self, step: &Step, apt: &Apt) -> Result<()> {
        fs::create_dir_all(&self.directory)
            .with_context(|| format!("mkdir {}", self.directory.display()))?;
        let package = format!("linux-image-{}", self.release);
        if apt.download(step, &package, &self.directory).is_err() {
            // The mirror may have moved on since the lists were made.
            apt.update(step)?;
            apt.download(step, &package, &self.directory)?;
        }
        let entries = fs::read_dir(&self.directory).context("read the download")?;
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let archive =
            paths.find(|path| path.extension().is_some_and(|extension| extension == "deb"));
        let archive =
            archive.with_context(|| format!("apt-get download {package} left no file"))?;
        let fresh = self.directory.join("tree.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).with_context(|| format!("rm {}", fresh.display()))?;
        }
        command::output(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&fresh))?;
        let depmod = setup::find("depmod").context("depmod is missing")?;
        command::output(Command::new(depmod).arg("-b").arg(&fresh).arg(&self.release))?;
        fs::remove_file(&archive).with_context(|| format!("rm {}", archive.display()))?;
        // Whole from the moment it has its name.
        fs::rename(&fresh, &self.root).with_context(|| format!("mv {}", fresh.display()))
    }
}

fn newest(releases: &[String], version: &str) -> Option<String> {
    let prefix = format!("{version}.");
    let of_version = releases.iter().filter(|release| release.starts_with(&prefix));
    of_version.max_by_key(|release| numbered(release)).cloned()
}

/// Its numbers, in their order.
fn numbered(release: &str) -> Vec<u64> {
    let parts = release.split(|c: char| !c.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_so_by_number() {
        let releases =
            ["6.1.0-9-cloud-amd64", "6.1.0-56-cloud-amd64", "6.12.107+deb12-cloud-amd64"]
                .map(str::to_owned);
        assert_eq!(newest(&releases, "6.1").unwrap(), "6.1.0-56-cloud-amd64");
        assert_eq!(newest(&releases, "6.12").unwrap(), "6.12.107+deb12-cloud-amd64");
        assert_eq!(newest(&releases, "5.10"), None);
    }
}
