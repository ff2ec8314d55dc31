//! apt with the lists of one release of Debian: this machine's own, or another's that are kept beside
//! them. Where packages come from is taken from this machine's own sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use muster_harness::command;

use crate::run;
use crate::setup;
use crate::ui::Step;

/// Releases that have kernels for clouds, from 5.10 on.
const RELEASES: &[&str] = &["bullseye", "bookworm", "trixie"];

/// A release's suites as apt is told of them.
#[derive(Debug)]
pub(super) struct Apt {
    /// Of apt-get and apt-cache; none for this machine's own.
    options: Vec<String>,
}

// === impl Apt ===

impl Apt {
    /// What this machine is installed from.
    pub(super) fn own() -> Self {
        Self { options: Vec::new() }
    }

    /// The other releases, in a directory of their own below `cache`.
    pub(super) fn others(cache: &Path) -> Result<Vec<Self>> {
        let format = "$(SITE) $(RELEASE) $(CODENAME)";
        let mut apt = Command::new("apt-get");
        let sources = command::output(apt.args([
            "indextargets",
            "--format",
            format,
            "Created-By: Packages",
            "Component: main",
        ]))?;
        let mine: BTreeSet<&str> = sources
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1))
            .filter(|suite| !suite.contains('-'))
            .collect();
        let others = RELEASES.iter().filter(|release| !mine.contains(**release));
        others.map(|release| Self::other(release, &sources, cache)).collect()
    }

    fn other(release: &str, sources: &str, cache: &Path) -> Result<Self> {
        let directory = cache.join("apt").join(release);
        let sources = list(release, sources);
        ensure!(!sources.is_empty(), "apt has no sources of a release of Debian");
        for below in ["lists/partial", "cache/archives/partial"] {
            let path = directory.join(below);
            fs::create_dir_all(&path).with_context(|| format!("mkdir {}", path.display()))?;
        }
        let path = directory.join("sources.list");
        fs::write(&path, sources).with_context(|| format!("write {}", path.display()))?;
        let place = |option: &str, below: &str| {
            ["-o".to_owned(), format!("{option}={}", directory.join(below).display())]
        };
        let options = [
            place("Dir::Etc::sourcelist", "sources.list"),
            place("Dir::Etc::sourceparts", "no-others"),
            place("Dir::State::lists", "lists"),
            place("Dir::Cache", "cache"),
        ];
        Ok(Self { options: options.concat() })
    }

    /// Brings the lists up to date.
    pub(super) fn update(&self, step: &Step) -> Result<()> {
        if self.options.is_empty() {
            return setup::update_packages(step);
        }
        let mut apt = self.command("apt-get");
        // The directory is ours alone; apt's own user could not write to it.
        apt.args(["update", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"]);
        run::logged(step, "kernel-lists", apt)
    }

    /// The releases of all signed kernels for clouds that it knows.
    pub(super) fn kernels(&self) -> Result<Vec<String>> {
        if std::env::consts::ARCH != "x86_64" {
            bail!("only done for x86_64 so far, not for {}", std::env::consts::ARCH);
        }
        let names = command::output(self.command("apt-cache").args(["pkgnames", "linux-image-"]))?;
        Ok(names.lines().filter_map(release_of).map(str::to_owned).collect())
    }

    /// Downloads a package into a directory.
    pub(super) fn download(&self, step: &Step, package: &str, to: &Path) -> Result<()> {
        let mut apt = self.command("apt-get");
        apt.args(["download", "--quiet", "-o", "APT::Sandbox::User=root", package]);
        apt.current_dir(to);
        run::logged(step, "kernel-download", apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("DEBIAN_FRONTEND", "noninteractive").args(&self.options);
        command
    }
}

/// A release's `sources.list`, from lines of site, suite and code name of this machine's own: its main suite and its
/// security updates.
fn list(release: &str, sources: &str) -> String {
    let mut lines = BTreeSet::new();
    for source in sources.lines() {
        let mut words = source.split_whitespace();
        let (Some(site), Some(suite)) = (words.next(), words.next()) else { continue };
        let suite = match suite.split_once('-') {
            None => release.to_owned(),
            Some((_, "security")) => format!("{release}-security"),
            Some(_) => continue,
        };
        lines.insert(format!("deb {site} {suite} main\n"));
    }
    lines.into_iter().collect()
}

fn release_of(package: &str) -> Option<&str> {
    let release = package.strip_prefix("linux-image-")?;
    let begins = release.split('-').next()?;
    // Without meta packages, which name no release.
    let whole = begins.split('.').count() > 2 && release.starts_with(|c: char| c.is_ascii_digit());
    (whole && release.ends_with("-cloud-amd64")).then_some(release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_release_is_where_this_machines_is() {
        let sources = "http://a/debian bookworm bookworm\nhttp://a/debian bookworm-updates x\n\
                       http://a/debian-security bookworm-security y\n";
        assert_eq!(
            list("bullseye", sources),
            "deb http://a/debian bullseye main\n\
             deb http://a/debian-security bullseye-security main\n"
        );
        assert_eq!(list("bullseye", ""), "");
    }

    #[test]
    fn only_signed_kernels_for_clouds_count() {
        let releases: Vec<&str> = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-60-cloud-amd64-unsigned",
            "linux-image-6.1.0-60-amd64",
            "linux-image-6.12.107+deb12-cloud-amd64",
            "linux-image-6.12-cloud-amd64",
            "linux-image-cloud-amd64",
        ]
        .into_iter()
        .filter_map(release_of)
        .collect();
        assert_eq!(releases, ["6.1.0-9-cloud-amd64", "6.12.107+deb12-cloud-amd64"]);
    }
}
