//! Programs and which package or crate has them.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::Purpose::{self, Bench, Cluster, Fuzz, Kernel, Launch, Lint, Test};
use crate::run;
use crate::ui::Ui;

/// A program, the Debian package that has it, and what it is for.
struct Program {
    name: &'static str,
    package: &'static str,
    purposes: &'static [Purpose],
}

const PROGRAMS: &[Program] = &[
    Program { name: "buildah", package: "buildah", purposes: &[Test] },
    Program { name: "bpftool", package: "bpftool", purposes: &[Cluster, Test] },
    Program { name: "btrfs", package: "btrfs-progs", purposes: &[Test] },
    Program { name: "busybox", package: "busybox-static", purposes: &[Test] },
    Program { name: "c++", package: "g++", purposes: &[Fuzz] },
    Program { name: "crun", package: "crun", purposes: &[Launch] },
    Program { name: "curl", package: "curl", purposes: &[Cluster, Test] },
    Program { name: "depmod", package: "kmod", purposes: &[Kernel] },
    Program { name: "dig", package: "bind9-dnsutils", purposes: &[Test] },
    Program { name: "dnsmasq", package: "dnsmasq-base", purposes: &[Test] },
    Program { name: "dockerd", package: "docker.io", purposes: &[Launch, Test] },
    Program { name: "docker-registry", package: "docker-registry", purposes: &[Test] },
    Program { name: "dpkg-deb", package: "dpkg", purposes: &[Cluster, Test] },
    Program { name: "ethtool", package: "ethtool", purposes: &[Test, Bench] },
    Program { name: "git", package: "git", purposes: &[Lint] },
    Program { name: "haproxy", package: "haproxy", purposes: &[Bench] },
    Program { name: "ip", package: "iproute2", purposes: &[Cluster, Test, Bench] },
    Program { name: "iperf3", package: "iperf3", purposes: &[Test] },
    Program { name: "ipset", package: "ipset", purposes: &[Bench, Test] },
    Program { name: "iptables", package: "iptables", purposes: &[Bench, Test] },
    Program { name: "mkfs.ext4", package: "e2fsprogs", purposes: &[Launch, Test] },
    Program { name: "mkfs.xfs", package: "xfsprogs", purposes: &[Test] },
    Program { name: "nft", package: "nftables", purposes: &[Bench] },
    Program { name: "nginx", package: "nginx-light", purposes: &[Bench, Test] },
    Program { name: "valgrind", package: "valgrind", purposes: &[Test] },
    Program { name: "openssl", package: "openssl", purposes: &[Test] },
    Program { name: "qemu-system-x86_64", package: "qemu-system-x86", purposes: &[Kernel] },
    Program { name: "python3", package: "python3", purposes: &[Test] },
    Program { name: "runc", package: "runc", purposes: &[Launch, Kernel] },
    Program { name: "skopeo", package: "skopeo", purposes: &[Test] },
    Program { name: "tc", package: "iproute2", purposes: &[Test] },
    Program { name: "umoci", package: "umoci", purposes: &[Launch, Test] },
    Program { name: "wrk", package: "wrk", purposes: &[Bench, Test] },
    Program { name: "xz", package: "xz-utils", purposes: &[Kernel] },
];

/// A cargo subcommand from crates.io.
#[derive(Debug)]
pub(super) struct Tool {
    /// Name of the crate and of its program.
    name: &'static str,
    /// A version that this toolchain compiles; any that is there already will do.
    version: &'static str,
    purposes: &'static [Purpose],
}

const TOOLS: &[Tool] = &[
    Tool { name: "cargo-nextest", version: "0.9.151", purposes: &[Test] },
    Tool { name: "cargo-deny", version: "0.20.2", purposes: &[Lint] },
];

/// Components of the Rust toolchain, as `cargo` runs them and as rustup calls them.
const COMPONENTS: &[(&str, &str)] = &[("clippy", "clippy"), ("fmt", "rustfmt")];

pub(super) fn missing_packages(purposes: &[Purpose]) -> impl Iterator<Item = String> {
    let wanted = |program: &&Program| program.purposes.iter().any(|p| purposes.contains(p));
    let missing = PROGRAMS.iter().filter(wanted).filter(|program| find(program.name).is_none());
    missing.map(|program| program.package.to_owned())
}

pub(super) fn missing_tools(purposes: &[Purpose]) -> impl Iterator<Item = &'static Tool> {
    let wanted = |tool: &&Tool| tool.purposes.iter().any(|p| purposes.contains(p));
    TOOLS.iter().filter(wanted).filter(|tool| find(tool.name).is_none())
}

pub(super) fn missing_components(purposes: &[Purpose]) -> impl Iterator<Item = &'static str> {
    let lint = purposes.contains(&Lint);
    let missing = COMPONENTS.iter().filter(move |_| lint).filter(|(command, _)| {
        let mut cargo = Command::new("cargo");
        cargo.args([command, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
        !cargo.status().is_ok_and(|status| status.success())
    });
    missing.map(|(_, component)| *component)
}

/// Where `program` is, also where only root's PATH leads and where cargo installs.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let mut path = env::var_os("PATH").unwrap_or_default();
    for more in [OsString::from("/usr/sbin"), OsString::from("/sbin"), cargo_bin().into()] {
        path.push(":");
        path.push(more);
    }
    which::which_in(program, Some(path), "/").ok()
}

/// Where `cargo install` puts programs.
fn cargo_bin() -> PathBuf {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    home.unwrap_or_default().join("bin")
}

impl Tool {
    pub(super) fn install(&self, ui: Ui) -> Result<()> {
        ui.step(&format!("install {} (minutes)", self.name), |step| {
            let mut cargo = Command::new("cargo");
            cargo.args(["install", "--locked", self.name, "--version", self.version]);
            // It takes longer to compile well than it ever runs.
            cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
            cargo.env("CARGO_PROFILE_RELEASE_LTO", "off");
            run::logged(step, self.name, cargo)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_does_not_install_other_load_balancers() {
        let of = |purpose: Purpose| {
            PROGRAMS.iter().filter(move |program| program.purposes.contains(&purpose))
        };
        assert!(!of(Cluster).any(|program| ["wrk", "haproxy", "iptables"].contains(&program.name)));
        assert!(of(Bench).any(|program| program.name == "wrk"));
    }

    #[test]
    fn programs_are_found_where_only_root_looks() {
        assert!(find("ldconfig").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
