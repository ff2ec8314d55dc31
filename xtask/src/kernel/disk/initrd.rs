//! What finds the disk: busybox, and the modules for a virtual block device, as a cpio archive in
//! the new ASCII format (`Documentation/driver-api/early-userspace/buffer-format.rst` of Linux).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::kernel::modules::Modules;

/// The disk's bus and the disk; the file system is built into Debian's kernels for clouds, or
/// comes along.
const MODULES: &[&str] = &["virtio_pci", "virtio_blk", "ext4"];

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// Writes the archive.
pub(super) fn write(to: &Path, busybox: &Path, modules: &Modules) -> Result<()> {
    let mut archive = Archive::default();
    for directory in ["bin", "dev", "root", "modules"] {
        archive.entry(directory, DIRECTORY, b"");
    }
    let program = fs::read(busybox).with_context(|| format!("read {}", busybox.display()))?;
    archive.entry("bin/busybox", PROGRAM, &program);
    archive.entry("init", PROGRAM, include_bytes!("../early.sh"));
    let mut order = String::new();
    for path in MODULES.iter().flat_map(|module| modules.for_module(module)) {
        let name = super::super::modules::name(&path);
        if order.lines().any(|line| line == name) {
            continue;
        }
        archive.entry(&format!("modules/{name}"), PROGRAM, &modules.read(&path)?);
        order.push_str(&name);
        order.push('\n');
    }
    archive.entry("modules/order", PROGRAM, order.as_bytes());
    fs::write(to, archive.finish()).with_context(|| format!("write {}", to.display()))
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    inode: usize,
}

impl Archive {
    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.inode += 1;
        // Inode, mode, uid, gid, links, time, size, device and its target's, name's length, check.
        let (inode, mode, size, length) =
            (self.inode, mode as usize, content.len(), name.len() + 1);
        let fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, length, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, b"");
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_aligned() {
        let mut archive = Archive::default();
        archive.entry("ab", PROGRAM, b"12345");
        assert_eq!(archive.bytes.len(), (110 + 3_usize).next_multiple_of(4) + 8);
        assert!(archive.bytes.starts_with(b"07070100000001000081ed"));
        assert!(archive.finish().ends_with(b"TRAILER!!!\0\0\0\0"));
    }
}
