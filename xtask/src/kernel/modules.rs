//! What the machine needs to find its disk: modules, in the order in which they are loaded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::debian::Kernel;

/// All by name with what each needs, from the `modules.dep` that depmod(8) wrote.
pub(super) struct Modules {
    directory: PathBuf,
    /// Path and its dependencies, the direct ones first, by name.
    by_name: BTreeMap<String, (String, Vec<String>)>,
}

impl Modules {
    pub(super) fn of(kernel: &Kernel) -> Result<Self> {
        let directory = kernel.root.join("lib/modules").join(&kernel.release);
        let path = directory.join("modules.dep");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let lines = text.lines().filter_map(|line| {
            let (module, needs) = line.split_once(':')?;
            let needs = needs.split_whitespace().map(str::to_owned).collect();
            Some((name(module), (module.to_owned(), needs)))
        });
        Ok(Self { directory, by_name: lines.collect() })
    }

    /// The paths, below the modules' directory, to load so that `wanted` is there at last. Empty
    /// where it is built in.
    pub(super) fn for_module(&self, wanted: &str) -> Vec<String> {
        let Some((path, needs)) = self.by_name.get(wanted) else { return Vec::new() };
        needs.iter().rev().chain([path]).cloned().collect()
    }

    /// The module's bytes as the kernel takes them.
    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>> {
        let file = self.directory.join(path);
        if Path::new(path).extension().is_some_and(|extension| extension == "xz") {
            let output = Command::new("xz").arg("-dc").arg(&file).output().context("run xz")?;
            anyhow::ensure!(output.status.success(), "xz -dc {}", file.display());
            return Ok(output.stdout);
        }
        fs::read(&file).with_context(|| format!("read {}", file.display()))
    }
}

/// `kernel/drivers/block/virtio_blk.ko.xz` is `virtio_blk`.
pub(super) fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_first() {
        let needs = vec!["c.ko".to_owned(), "b.ko".to_owned()];
        let by_name = BTreeMap::from([("a".to_owned(), ("a.ko".to_owned(), needs))]);
        let modules = Modules { directory: PathBuf::new(), by_name };
        assert_eq!(modules.for_module("a"), ["b.ko", "c.ko", "a.ko"]);
        assert!(modules.for_module("built_in").is_empty());
        assert_eq!(name("kernel/net/ip-tunnel.ko.xz"), "ip_tunnel");
    }
}
