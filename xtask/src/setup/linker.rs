//! bpf-linker: it must read the bitcode that the eBPF object's compiler writes, which depends
//! on the LLVM of both. Whether it does is tried, not guessed from version numbers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use muster_harness::command;

use super::toolchain::Toolchain;
use super::{apt, programs};
use crate::run;
use crate::ui::Ui;

/// The version whose features name these majors of LLVM.
const VERSION: &str = "0.13.0";
const SUPPORTED: std::ops::RangeInclusive<u32> = 21..=23;

/// As much of a program as makes bitcode with an attribute and a type in it.
const PROBE: &str = "#![no_std]\n\
                     #[unsafe(no_mangle)]\n\
                     pub extern \"C\" fn probe(value: u32) -> u32 { value }\n";

/// A linker to build.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Linker {
    /// Major version of LLVM.
    llvm: u32,
}

/// The toolchain whose bitcode the linker that is there reads.
pub(super) fn working(toolchains: &[Toolchain]) -> Option<&Toolchain> {
    let linker = programs::find("bpf-linker")?;
    toolchains.iter().find(|toolchain| reads(&linker, &toolchain.rustc).unwrap_or(false))
}

/// The toolchain to build a linker for when none works: one whose LLVM is there too, else
/// Debian's, whose LLVM can be installed.
pub(super) fn buildable(toolchains: &[Toolchain]) -> Option<&Toolchain> {
    let ready = toolchains.iter().find(|toolchain| llvm_config(toolchain.llvm).exists());
    ready.or_else(|| toolchains.iter().find(|toolchain| toolchain.is_debian()))
}

/// The linker to build, for `toolchain` or for the one that apt would install. Without apt's
/// lists the latter is not known yet; the next survey will see.
pub(super) fn to_build(toolchain: Option<&Toolchain>) -> Option<Linker> {
    let llvm = toolchain.map_or_else(llvm_of_package, |toolchain| Some(toolchain.llvm))?;
    Some(Linker { llvm })
}

fn llvm_config(llvm: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/llvm-{llvm}/bin/llvm-config"))
}

/// Whether `linker` makes an object of what `rustc` compiles.
fn reads(linker: &Path, rustc: &Path) -> Result<bool> {
    let directory = tempfile::tempdir().context("mkdir a temporary directory")?;
    let file = |name: &str| directory.path().join(name);
    fs::write(file("probe.rs"), PROBE).context("write probe.rs")?;
    let mut compile = Command::new(rustc);
    compile.args(["--edition", "2024", "--crate-type", "lib", "-Cpanic=abort"]);
    compile.args(["--emit", "llvm-bc", "-o"]).arg(file("probe.bc")).arg(file("probe.rs"));
    command::output(&mut compile)?;
    let mut link = Command::new(linker);
    link.args(["--target", "bpfel", "--emit", "obj", "-o"]).arg(file("probe.o"));
    link.arg(file("probe.bc")).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(link.status().context("bpf-linker")?.success())
}

/// The LLVM that Debian's compiler will have, from the packages it depends on.
fn llvm_of_package() -> Option<u32> {
    let of = |package: &str, prefix: &str| -> Option<String> {
        let names = apt::depends(package).ok()?;
        names.into_iter().find(|name| name.starts_with(prefix))
    };
    let library = of("libstd-rust-web-dev", "libstd-rust-web-")?;
    of(&library, "libllvm")?.trim_start_matches("libllvm").parse().ok()
}

impl Linker {
    /// What it is built with.
    pub(super) fn packages(&self) -> Vec<String> {
        let mut packages = Vec::new();
        if !llvm_config(self.llvm).exists() {
            packages.push(format!("llvm-{}-dev", self.llvm));
        }
        if !Path::new(&format!("/usr/lib/llvm-{}/lib/libPolly.a", self.llvm)).exists() {
            packages.push(format!("libpolly-{}-dev", self.llvm));
        }
        if programs::find("c++").is_none() {
            packages.push("g++".to_owned());
        }
        packages
    }

    /// Builds it.
    pub(super) fn install(&self, ui: Ui) -> Result<()> {
        let Self { llvm } = self;
        if !SUPPORTED.contains(llvm) {
            bail!(
                "the compiler of the eBPF object has LLVM {llvm}, and bpf-linker {VERSION} is for \
                 {} to {}; remove rust-src from the nightly toolchain to use Debian's compiler",
                SUPPORTED.start(),
                SUPPORTED.end()
            );
        }
        ui.step(&format!("build bpf-linker {VERSION} for LLVM {llvm} (minutes)"), |step| {
            let mut cargo = Command::new("cargo");
            cargo.args(["install", "bpf-linker", "--version", VERSION, "--locked", "--force"]);
            cargo.args(["--no-default-features", "--features", &format!("llvm-{llvm}")]);
            cargo.env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"));
            run::logged(step, "bpf-linker", cargo)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linker_that_makes_no_object_does_not_count() {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        assert!(!reads(Path::new("/bin/false"), Path::new(&rustc)).unwrap());
        assert!(reads(Path::new("/no/linker"), Path::new(&rustc)).is_err());
    }
}
