//! The mount table, as `/proc/self/mountinfo` has it.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use crate::error::{Error, Result};

const TABLE: &str = "/proc/self/mountinfo";

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    /// Where it is mounted.
    pub target: PathBuf,
    /// Type of the file system, such as `overlay`.
    pub kind: String,
    /// What is mounted; free text.
    pub source: String,
    /// The file system's own options, comma separated.
    pub options: String,
}

/// All mounts that the caller sees, in the order they were made.
///
/// # Errors
/// [`Error::System`] when the table can not be read.
pub fn all() -> Result<Vec<Mount>> {
    let table = fs::read_to_string(TABLE).map_err(Error::system("read", TABLE))?;
    Ok(table.lines().filter_map(parse).collect())
}

/// Takes away every mount at or below `directory`, the last one first.
///
/// # Errors
/// [`Error::System`] when the kernel refuses.
pub fn detach_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut targets = below(directory)?;
    targets.reverse();
    for target in &targets {
        umount2(target, MntFlags::MNT_DETACH)
            .map_err(Error::system("umount2", target.display().to_string()))?;
    }
    Ok(targets)
}

/// The mounts at or below `directory`, in the order they were made.
///
/// # Errors
/// [`Error::System`] when the table can not be read.
pub fn below(directory: &Path) -> Result<Vec<PathBuf>> {
    let targets = all()?.into_iter().map(|mount| mount.target);
    Ok(targets.filter(|target| target.starts_with(directory)).collect())
}

/// Fields 5 and, after the dash, 1 to 3 (`proc_pid_mountinfo(5)`).
fn parse(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let target = before.split(' ').nth(4)?;
    let mut after = after.splitn(3, ' ');
    Some(Mount {
        target: PathBuf::from(unescape(target)),
        kind: after.next()?.to_owned(),
        source: unescape(after.next()?),
        options: after.next()?.to_owned(),
    })
}

/// Blank, tab, newline and backslash stand as three octal digits after a backslash.
fn unescape(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_and_without_optional_fields() {
        let plain = parse("22 27 0:21 / /proc rw,relatime - proc proc rw").unwrap();
        assert_eq!((plain.target.as_path(), plain.kind.as_str()), (Path::new("/proc"), "proc"));
        let shared =
            parse("9 8 0:9 / /a\\040b rw shared:1 master:2 - overlay over lay=x,y rw").unwrap();
        assert_eq!(shared.target, Path::new("/a b"));
        assert_eq!((shared.source.as_str(), shared.options.as_str()), ("over", "lay=x,y rw"));
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn the_table_has_proc() {
        assert!(all().unwrap().iter().any(|mount| mount.kind == "proc"));
    }
}
