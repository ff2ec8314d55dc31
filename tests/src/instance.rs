//! Names of clusters: unique among the live ones, and swept when their owner died.
//!
//! A cluster is a file under [`REGISTRY`] that its owner holds locked. The kernel drops the
//! lock however the owner ends, so a file that can be locked is what a dead owner left.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::{interrupt, sweep};

/// One file per cluster.
pub const REGISTRY: &str = "/run/muster-clusters";

/// What a sweep must know of a dead owner's cluster.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Manifest {
    pid: u32,
    work: PathBuf,
    /// Whether this owner mounted the BPF file system.
    mounted_bpffs: bool,
}

/// A claimed name with a work directory.
#[derive(Debug)]
pub struct Instance {
    id: String,
    manifest: Manifest,
    lock: File,
}

impl Instance {
    /// Claims `name`, or `name` with `x2`, `x3`, … after it while others hold it, after sweeping
    /// what dead owners left.
    ///
    /// # Errors
    /// [`Error::Unexpected`] for a name that is not 1 to 8 lower-case letters and digits;
    /// [`Error::System`].
    pub fn claim(name: &str) -> Result<Self> {
        let fits = (1..=8).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !fits {
            return Err(Error::Unexpected {
                what: format!("the cluster's name {name:?}"),
                reason: "must be 1 to 8 lower-case letters and digits".into(),
            });
        }
        interrupt::install()?;
        sweep_stale()?;
        let mut number = 1;
        loop {
            let id = if number == 1 { name.to_owned() } else { format!("{name}x{number}") };
            if let Some(lock) = lock(&id)? {
                let work = tempfile::Builder::new().prefix(&format!("muster-{id}-")).tempdir();
                let work = work.map_err(Error::system("mkdir", "a temporary directory"))?.keep();
                let manifest = Manifest { pid: std::process::id(), work, mounted_bpffs: false };
                let mut instance = Self { id, manifest, lock };
                instance.write()?;
                return Ok(instance);
            }
            number += 1;
        }
    }

    /// The name: prefix, with a dash, of everything the cluster has outside its directory.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The cluster's own directory.
    pub fn work(&self) -> &Path {
        &self.manifest.work
    }

    /// Notes that this cluster mounted the BPF file system, and so unmounts it in the end.
    ///
    /// # Errors
    /// [`Error::System`] when the note can not be written.
    pub fn mounted_bpffs(&mut self) -> Result<()> {
        self.manifest.mounted_bpffs = true;
        self.write()
    }

    /// Removes whatever there still is of the cluster, and the name.
    ///
    /// # Errors
    /// The first error; the rest is removed all the same.
    pub fn release(&mut self) -> Result<()> {
        release(&self.id, &self.manifest)
    }

    fn write(&mut self) -> Result<()> {
        let path = path(&self.id).display().to_string();
        let text = serde_json::to_string(&self.manifest).map_err(|error| Error::Unexpected {
            what: "the cluster's manifest".into(),
            reason: error.to_string(),
        })?;
        self.lock.set_len(0).map_err(Error::system("ftruncate", &path))?;
        self.lock.write_all(text.as_bytes()).map_err(Error::system("write", &path))
    }
}

/// Removes the clusters whose owners have died.
///
/// # Errors
/// [`Error::System`] and the errors of the sweep itself.
pub fn sweep_stale() -> Result<()> {
    let entries = match fs::read_dir(REGISTRY) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::system("opendir", REGISTRY)(error)),
    };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    for id in ids.collect::<Vec<_>>() {
        let Some(mut file) = lock(&id)? else { continue };
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(Error::system("read", &id))?;
        // An owner that died before it wrote has no directory yet.
        let manifest = serde_json::from_str(&text).unwrap_or_default();
        release(&id, &manifest)?;
    }
    Ok(())
}

fn release(id: &str, manifest: &Manifest) -> Result<()> {
    let swept = sweep::everything(id, &manifest.work, manifest.mounted_bpffs);
    let file = path(id);
    fs::remove_file(&file).map_err(Error::system("unlink", file.display().to_string()))?;
    // Not empty, or gone already, while others have clusters.
    let _ = fs::remove_dir(REGISTRY);
    swept
}

fn path(id: &str) -> PathBuf {
    Path::new(REGISTRY).join(id)
}

/// The locked file of `id`, made if need be; none while another holds it.
fn lock(id: &str) -> Result<Option<File>> {
    let path = path(id);
    let subject = path.display().to_string();
    loop {
        fs::create_dir_all(REGISTRY).map_err(Error::system("mkdir", REGISTRY))?;
        let opened =
            OpenOptions::new().read(true).append(true).create(true).truncate(false).open(&path);
        let file = match opened {
            Ok(file) => file,
            // The last owner removed the directory in between.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::system("open", subject)(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(Error::system("flock", subject)(error)),
        }
        // A file that was removed between open and lock names nobody.
        let ours = file.metadata().map_err(Error::system("fstat", &subject))?.ino();
        if fs::metadata(&path).is_ok_and(|named| named.ino() == ours) {
            return Ok(Some(file));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_use_gets_a_number_and_is_free_again_after_release() {
        if !crate::privileged() {
            return;
        }
        let name = "hclaim";
        let mut first = Instance::claim(name).unwrap();
        let mut second = Instance::claim(name).unwrap();
        let (ids, work) =
            ([first.id().to_owned(), second.id().to_owned()], first.work().to_owned());
        let there = work.is_dir();
        first.release().unwrap();
        second.release().unwrap();
        assert_eq!(ids, ["hclaim", "hclaimx2"]);
        assert!(there && !work.exists());
        assert!(!path(name).exists());
    }

    #[test]
    fn what_a_dead_owner_left_is_swept() {
        if !crate::privileged() {
            return;
        }
        let dead = Instance::claim("hdead").unwrap();
        let (id, work) = (dead.id().to_owned(), dead.work().to_owned());
        let netns = crate::NetNs::create(format!("{id}-a1")).unwrap();
        dead.lock.unlock().unwrap();
        drop(dead);

        let mut next = Instance::claim("hdead").unwrap();
        next.release().unwrap();
        assert_eq!(next.id(), "hdead");
        assert!(!work.exists());
        assert!(!netns.path().exists());
    }

    #[test]
    fn names_that_would_not_fit_an_interface_or_a_path_are_refused() {
        for name in ["", "a-b", "A", "../up", "ninechars"] {
            assert!(matches!(Instance::claim(name), Err(Error::Unexpected { .. })), "{name}");
        }
    }
}
