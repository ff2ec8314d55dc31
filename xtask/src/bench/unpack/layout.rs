//! An image of real files, made by umoci.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use muster_harness::command;

/// Where the files come from.
const FILES: &str = "/usr";

/// Makes an image layout at `layout`, with busybox as `/bin/true`, and files of so many
/// megabytes in so many layers. `work` is made and removed.
pub(super) fn make(layout: &Path, work: &Path, megabytes: u64, layers: usize) -> Result<()> {
    let image = format!("{}:latest", layout.display());
    let umoci = |arguments: &[&str]| -> Result<()> {
        let output = command::output(Command::new("umoci").args(arguments))?;
        drop(output);
        Ok(())
    };
    umoci(&["init", "--layout", &layout.display().to_string()])?;
    umoci(&["new", "--image", &image])?;
    umoci(&["insert", "--image", &image, "/bin/busybox", "/bin/true"])?;
    let mut parts = vec![0; layers];
    let share = (megabytes << 20) / u64::try_from(layers)?;
    let mut part = 0;
    let mut queue = vec![PathBuf::from(FILES)];
    'files: while let Some(directory) = queue.pop() {
        let entries = fs::read_dir(&directory).with_context(|| directory.display().to_string())?;
        let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let kind = entry.file_type()?;
            if kind.is_dir() {
                queue.push(entry.path());
            } else if kind.is_file() {
                let to = work.join(part.to_string()).join(entry.path().strip_prefix("/")?);
                fs::create_dir_all(to.parent().unwrap_or(work))?;
                parts[part] += fs::copy(entry.path(), &to)?;
                if parts[part] >= share {
                    part += 1;
                }
                if part == layers {
                    break 'files;
                }
            }
        }
    }
    ensure!(part == layers, "{FILES} has less than {megabytes} MB of files");
    for part in 0..layers {
        let from = work.join(part.to_string()).display().to_string();
        umoci(&["insert", "--image", &image, &from, &format!("/data/{part}")])?;
    }
    fs::remove_dir_all(work).with_context(|| format!("remove {}", work.display()))
}
