//! Files of a container that have no name any more but are still open, or mapped: they take space
//! that no walk finds.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::statfs;

use super::walk::{BLOCK, Used};

/// How the kernel marks what has no name (proc(5)).
const DELETED: &[u8] = b" (deleted)";
/// Of statfs(2): files of a root filesystem that is an overlay have its device number.
const OVERLAY: u64 = 0x794c_7630;

/// What such files of `processes` take on the disk that `sandbox` is on, and in overlays. What
/// ends meanwhile may count or not.
pub(super) fn used(processes: &[u32], sandbox: &Path) -> Used {
    let mut used = Used::default();
    let Ok(device) = fs::metadata(sandbox).map(|found| found.dev()) else { return used };
    let mut seen = BTreeSet::new();
    for process in processes {
        let directory = Path::new("/proc").join(process.to_string());
        for path in open(&directory).into_iter().chain(mapped(&directory)) {
            let Ok(found) = fs::metadata(&path) else { continue };
            let is_ours = found.is_file()
                && found.nlink() == 0
                && (found.dev() == device || is_overlay(&path))
                && seen.insert((found.dev(), found.ino()));
            if is_ours {
                used.inodes += 1;
                used.bytes = used.bytes.saturating_add(found.blocks().saturating_mul(BLOCK));
            }
        }
    }
    used
}

/// What is open and deleted. The link is read first: nothing else is asked of a file, which may
/// be on a disk that does not answer.
fn open(process: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(process.join("fd")) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let deleted = |path: &PathBuf| {
        fs::read_link(path).is_ok_and(|target| target.as_os_str().as_bytes().ends_with(DELETED))
    };
    paths.filter(deleted).collect()
}

/// What is mapped and deleted.
fn mapped(process: &Path) -> Vec<PathBuf> {
    let Ok(text) = fs::read(process.join("maps")) else { return Vec::new() };
    let lines = text.split(|byte| *byte == b'\n').filter(|line| line.ends_with(DELETED));
    let ranges = lines.filter_map(|line| {
        let range = line.split(|byte| *byte == b' ').next()?;
        Some(process.join("map_files").join(str::from_utf8(range).ok()?))
    });
    ranges.collect()
}

fn is_overlay(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == OVERLAY))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn open_files_without_a_name_count_once_and_others_do_not() {
        let top = tempfile::tempdir().unwrap();
        let own = [std::process::id(), u32::MAX];
        let before = used(&own, top.path());
        let mut named = fs::File::create(top.path().join("named")).unwrap();
        named.write_all(&vec![1; 1 << 20]).unwrap();
        assert_eq!(used(&own, top.path()), before);
        let path = top.path().join("file");
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(&vec![1; 3 << 20]).unwrap();
        let again = file.try_clone().unwrap();
        fs::remove_file(&path).unwrap();
        let counted = used(&own, top.path());
        assert_eq!(counted.inodes, before.inodes + 1);
        assert!(counted.bytes >= before.bytes + (3 << 20), "{counted:?}");
        drop((file, again));
        assert_eq!(used(&own, top.path()), before);
        // In memory, and so not on the disk.
        let mut memory = tempfile::tempfile_in("/dev/shm").unwrap();
        memory.write_all(&vec![1; 1 << 20]).unwrap();
        assert_eq!(used(&own, top.path()), before);
    }
}
