//! Debian's kernels for machines in a cloud, through apt, without installing them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use muster_harness::command;

use crate::run;
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

/// The newest kernel of `version` that apt knows, downloaded into `cache` unless it is there.
pub(super) fn kernel(step: &Step, version: &str, cache: &Path) -> Result<Kernel> {
    let numbers = |text: &str| text.split('.').all(|part| part.parse::<u32>().is_ok());
    ensure!(numbers(version), "--kernel takes a version such as 6.1, not {version:?}");
    let mut release = newest(&releases()?, version);
    if release.is_none() {
        setup::update_packages(step)?;
        release = newest(&releases()?, version);
    }
    let known = releases()?;
    let release = release.with_context(|| {
        let versions: std::collections::BTreeSet<_> = known
            .iter()
            .map(|release| numbered(release).into_iter().take(2).collect::<Vec<_>>())
            .collect();
        let versions: Vec<String> = versions
            .iter()
            .map(|parts| parts.iter().map(u64::to_string).collect::<Vec<_>>().join("."))
            .collect();
        format!(
            "apt knows no linux-image-{version}…-cloud-amd64, only of {}; add a source of Debian \
             that has it, such as an older or newer release or its backports",
            versions.join(" and ")
        )
    })?;
    let directory = cache.join(&release);
    let root = directory.join("tree");
    let image = root.join("boot").join(format!("vmlinuz-{release}"));
    let kernel = Kernel { release, image, root, directory };
    if !kernel.root.exists() {
        kernel.download(step)?;
    }
    ensure!(kernel.image.is_file(), "{} is not in its package", kernel.image.display());
    Ok(kernel)
}

impl Kernel {
    fn download(&self, step: &Step) -> Result<()> {
        fs::create_dir_all(&self.directory)
            .with_context(|| format!("mkdir {}", self.directory.display()))?;
        let package = format!("linux-image-{}", self.release);
        // The directory is ours alone; apt's own user could not write to it.
        let apt = || {
            let mut apt = Command::new("apt-get");
            apt.args(["download", "--quiet", "-o", "APT::Sandbox::User=root", &package]);
            apt.current_dir(&self.directory);
            apt
        };
        if run::logged(step, "kernel-download", apt()).is_err() {
            // The mirror may have moved on since the lists were made.
            setup::update_packages(step)?;
            run::logged(step, "kernel-download", apt())?;
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

/// The releases of all signed kernels for clouds that apt knows.
fn releases() -> Result<Vec<String>> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("only done for x86_64 so far, not for {}", std::env::consts::ARCH);
    }
    let names = command::output(Command::new("apt-cache").args(["pkgnames", "linux-image-"]))?;
    Ok(names.lines().filter_map(release_of).map(str::to_owned).collect())
}

fn release_of(package: &str) -> Option<&str> {
    let release = package.strip_prefix("linux-image-")?;
    let begins = release.split('-').next()?;
    // Without meta packages, which name no release.
    let whole = begins.split('.').count() > 2 && release.starts_with(|c: char| c.is_ascii_digit());
    (whole && release.ends_with("-cloud-amd64")).then_some(release)
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
        let releases: Vec<String> = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-60-cloud-amd64-unsigned",
            "linux-image-6.1.0-60-amd64",
            "linux-image-6.12.107+deb12-cloud-amd64",
            "linux-image-6.12-cloud-amd64",
            "linux-image-cloud-amd64",
        ]
        .into_iter()
        .filter_map(release_of)
        .map(str::to_owned)
        .collect();
        assert_eq!(newest(&releases, "6.1").unwrap(), "6.1.0-56-cloud-amd64");
        assert_eq!(newest(&releases, "6.12").unwrap(), "6.12.107+deb12-cloud-amd64");
        assert_eq!(newest(&releases, "5.10"), None);
    }
}
