//! What the machine has to offer, and what to say when it does not.

pub(crate) mod features;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, FsType, statfs};
use procfs::sys::kernel::Version;

use crate::{Config, Error};
use features::Feature;

/// `BPF_FS_MAGIC` of the kernel's `magic.h`.
const BPF_FS_MAGIC: FsType = FsType(0xcafe_4a11);

/// Checks kernel, bpffs and cgroup tree.
///
/// # Errors
///
/// What is missing; of what the kernel lacks, that without which there is no way.
pub(crate) fn prepare(config: &Config, lacking: &[Feature]) -> Result<(), Error> {
    check_kernel(lacking)?;
    check_btf(Path::new(BTF))?;
    let known = fs::read_to_string(FILE_SYSTEMS).map_err(Error::file("read", FILE_SYSTEMS))?;
    ["bpf", "cgroup2"].into_iter().try_for_each(|name| check_file_system(name, &known))?;
    check_bpffs(&config.bpffs)?;
    check_cgroup(&config.cgroup)
}

/// The first kernel with all that the programs use: `bpf_set_retval` in the socket address
/// hooks is the newest of it.
const COMPLETE: Version = Version { major: 6, minor: 1, patch: 0 };

/// What this kernel lacks of what the programs use, whatever its version says.
pub(crate) fn lacking() -> Result<Vec<Feature>, Error> {
    let running = Version::current().map_err(|error| {
        Error::file("read", "/proc/sys/kernel/osrelease")(io::Error::other(error))
    })?;
    Ok(if running >= COMPLETE { Vec::new() } else { features::lacking() })
}

/// Checks that a kernel lacks only that for which there is another way.
fn check_kernel(lacking: &[Feature]) -> Result<(), Error> {
    let needed = lacking.iter().filter(|feature| feature.without.is_none());
    let needed: Vec<String> = needed.map(ToString::to_string).collect();
    if needed.is_empty() {
        return Ok(());
    }
    Err(Error::Kernel { running: kernel(), lacking: needed.join(", ") })
}

/// Where the kernel describes its types.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// The file systems it knows.
const FILE_SYSTEMS: &str = "/proc/filesystems";

fn check_btf(path: &Path) -> Result<(), Error> {
    if path.exists() { Ok(()) } else { Err(Error::NoBtf { path: BTF }) }
}

fn check_file_system(name: &'static str, known: &str) -> Result<(), Error> {
    let is_known = known.lines().any(|line| line.split_whitespace().next_back() == Some(name));
    if is_known { Ok(()) } else { Err(Error::NoFileSystem { name }) }
}

/// True if the kernel has bpffs, mounted or not.
pub(crate) fn knows_bpffs() -> bool {
    let known = fs::read_to_string(FILE_SYSTEMS).unwrap_or_default();
    check_file_system("bpf", &known).is_ok()
}

/// The version that runs, for people to read.
pub(crate) fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// Checks that bpffs is mounted at `path`.
pub(crate) fn check_bpffs(path: &Path) -> Result<(), Error> {
    match statfs(path) {
        Ok(fs) if fs.filesystem_type() == BPF_FS_MAGIC => Ok(()),
        _ => Err(Error::NoBpffs { path: path.to_owned() }),
    }
}

fn check_cgroup(path: &Path) -> Result<(), Error> {
    // Making a directory outside the tree would hide the mistake, so look first.
    let existing = path.ancestors().find(|dir| dir.exists()).unwrap_or(path);
    let inside = statfs(existing).is_ok_and(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC);
    if inside {
        Ok(())
    } else {
        Err(Error::NoCgroup { path: path.to_owned(), hint: cgroup_hint(cgroup2_mount()) })
    }
}

/// Makes a cgroup, if it is missing.
pub(crate) fn make_cgroup(path: &Path) -> Result<(), Error> {
    check_cgroup(path)?;
    fs::create_dir_all(path).map_err(Error::file("mkdir", path))
}

fn cgroup_hint(mounted: Option<PathBuf>) -> String {
    match mounted {
        Some(path) => format!("the one of this machine is at {}", path.display()),
        None => "this machine has none; mount it: mkdir -p /sys/fs/cgroup/unified && \
                 mount -t cgroup2 none /sys/fs/cgroup/unified"
            .to_owned(),
    }
}

/// Where cgroup v2 is mounted on this machine: `/sys/fs/cgroup`, or on a hybrid tree
/// `/sys/fs/cgroup/unified`. `None` if it is not.
pub fn cgroup2_mount() -> Option<PathBuf> {
    let mounts = procfs::process::Process::myself().ok()?.mountinfo().ok()?;
    mounts.into_iter().find(|mount| mount.fs_type == "cgroup2").map(|mount| mount.mount_point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_is_refused_for_what_there_is_no_way_without_and_told_of_that_alone() {
        let (needed, others): (Vec<_>, Vec<_>) =
            features::FEATURES.into_iter().partition(|feature| feature.without.is_none());
        assert!(!needed.is_empty() && !others.is_empty());
        check_kernel(&others).unwrap();
        let error = check_kernel(&features::FEATURES).unwrap_err();
        assert!(error.is_lacking());
        let is_told = |feature: &Feature| error.to_string().contains(&feature.to_string());
        assert!(needed.iter().all(is_told) && !others.iter().any(is_told), "{error}");
    }

    #[test]
    fn folder_that_is_no_bpffs_is_named_with_the_command() {
        let dir = tempfile::tempdir().unwrap();
        let error = check_bpffs(dir.path()).unwrap_err().to_string();
        let path = dir.path().display();
        assert_eq!(
            error,
            format!("{path}: no bpffs is mounted there; mount it: mount -t bpf bpf {path}")
        );
    }

    #[test]
    fn cgroup_outside_the_tree_is_refused_and_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("muster/a1");
        let error = make_cgroup(&path).unwrap_err();
        assert!(error.to_string().contains("not in a cgroup v2 tree"), "{error}");
        assert!(!dir.path().join("muster").exists());
    }

    #[test]
    fn what_the_kernel_lacks_is_told_from_what_is_not_set_up() {
        let known = "nodev\tsysfs\nnodev\tcgroup2\n\text4\n";
        check_file_system("cgroup2", known).unwrap();
        check_file_system("ext4", known).unwrap();
        let error = check_file_system("bpf", known).unwrap_err();
        assert!(error.is_lacking() && error.to_string().contains("no file system bpf"), "{error}");
        let error = check_btf(Path::new("/no/such/file")).unwrap_err();
        assert!(error.is_lacking() && error.to_string().contains("CONFIG_DEBUG_INFO_BTF"));
        assert!(!Error::NoBpffs { path: "/b".into() }.is_lacking());
    }

    #[test]
    fn hint_says_where_or_how() {
        assert_eq!(cgroup_hint(Some("/x".into())), "the one of this machine is at /x");
        assert!(cgroup_hint(None).contains("mount -t cgroup2"));
    }
}
