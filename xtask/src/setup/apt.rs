//! Installing Debian's packages.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use muster_harness::command;

use crate::run;
use crate::ui::{Step, Ui};

const LISTS: &str = "/var/lib/apt/lists";

/// Asked by packages before they start a service (`invoke-rc.d(8)`); 101 forbids it.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Whether apt knows any packages.
pub(crate) fn has_lists() -> bool {
    fs::read_dir(LISTS).is_ok_and(|entries| {
        entries
            .filter_map(Result::ok)
            .any(|e| e.file_name().to_string_lossy().contains("_Packages"))
    })
}

/// Brings apt's lists up to date.
pub(crate) fn update(step: &Step) -> Result<()> {
    let mut apt = apt_get();
    apt.arg("update");
    run::logged(step, "apt-update", apt)
}

/// Installs `packages`, with fresh lists where they are missing or too old.
pub(super) fn install(ui: Ui, packages: &BTreeSet<String>) -> Result<()> {
    let names = packages.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    if !has_lists() {
        ui.step("update apt's lists", update)?;
    }
    // A tool, not a server: nothing that is installed here is to run by itself.
    let _quiet = NoServices::begin()?;
    ui.step(&format!("install {names}"), |step| {
        let first = run::logged(step, "apt-install", install_command(packages));
        if first.is_ok() {
            return first;
        }
        // The mirror may have moved on since the lists were made.
        update(step)?;
        run::logged(step, "apt-install", install_command(packages))
    })
}

fn install_command(packages: &BTreeSet<String>) -> Command {
    let mut apt = apt_get();
    apt.args(["install", "-y", "--no-install-recommends", "--no-remove"]).args(packages);
    apt
}

fn apt_get() -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

/// What `package` depends on directly, as apt sees it before it is installed.
pub(super) fn depends(package: &str) -> Result<Vec<String>> {
    let mut apt = Command::new("apt-cache");
    apt.args(["depends", "--important", package]);
    let output = command::output(&mut apt)?;
    let names = output.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(names.map(str::to_owned).collect())
}

/// While it lives, installed packages start no service.
struct NoServices {
    ours: Option<PathBuf>,
}

impl NoServices {
    fn begin() -> Result<Self> {
        let policy = Path::new(POLICY);
        if policy.exists() {
            return Ok(Self { ours: None });
        }
        let mut file = File::create_new(policy).with_context(|| format!("open {POLICY}"))?;
        let guard = Self { ours: Some(policy.to_owned()) };
        file.write_all(b"#!/bin/sh\nexit 101\n").with_context(|| format!("write {POLICY}"))?;
        let mode = fs::Permissions::from_mode(0o755);
        file.set_permissions(mode).with_context(|| format!("chmod {POLICY}"))?;
        Ok(guard)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = &self.ours
            && let Err(error) = fs::remove_file(policy)
        {
            eprintln!("unlink {}: {error}; remove it by hand", policy.display());
        }
    }
}
