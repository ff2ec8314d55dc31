//! A file system that nothing was ever removed from.
//!
//! ext4 gives an inode that was removed in the last minutes to nobody else, and searches past
//! each of them for every new file: unpacking where much was just removed takes three times the
//! processor time, whoever does it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use muster_harness::{command, mounts};

/// A new ext4, which is gone when dropped.
pub(super) struct Disk {
    file: PathBuf,
    /// Where it is mounted.
    pub(super) at: PathBuf,
}

impl Disk {
    /// Makes one in the file `disk` of `directory`, which becomes at most `size` bytes long.
    pub(super) fn new(directory: &Path, size: u64) -> Result<Self> {
        let disk = Self { file: directory.join("disk"), at: directory.join("mounted") };
        let file = fs::File::create(&disk.file).context("create the disk's file")?;
        file.set_len(size).context("ftruncate of the disk's file")?;
        // Whole, so that the kernel does not go on making it while something is measured.
        let whole = "lazy_itable_init=0,lazy_journal_init=0";
        let mut mkfs = Command::new("mkfs.ext4");
        command::output(mkfs.args(["-q", "-E", whole]).arg(&disk.file))?;
        fs::create_dir_all(&disk.at).context("mkdir of the disk's place")?;
        let mut mount = Command::new("mount");
        command::output(mount.args(["-t", "ext4", "-o", "loop"]).arg(&disk.file).arg(&disk.at))?;
        command::output(&mut Command::new("sync"))?;
        Ok(disk)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is left here, the site removes.
        let _ = mounts::detach_below(&self.at);
        let _ = fs::remove_file(&self.file);
    }
}
