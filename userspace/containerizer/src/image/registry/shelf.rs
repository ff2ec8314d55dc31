//! The directory of what was pulled.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use oci_spec::image::Descriptor;
use rustix::fs::{FlockOperation, flock};

use super::super::digest::Digest;
use super::super::reference::Reference;

/// What was pulled. Several processes may use it.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    directory: PathBuf,
}

impl Shelf {
    /// The one in `directory`, which need not be there yet.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where its blobs are, as in an image layout.
    pub(crate) fn layout(&self) -> &Path {
        &self.directory
    }

    /// Where it says what images stand for.
    pub(crate) fn images(&self) -> PathBuf {
        self.directory.join("images")
    }

    /// Whether the blob is there.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.blob(digest).is_file()
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.directory.join("blobs/sha256").join(digest.hex())
    }

    /// A blob's file while it arrives, locked for this caller; `None` if the blob is there.
    pub(crate) fn partial(&self, digest: &Digest) -> io::Result<Option<(PathBuf, File)>> {
        let path = self.make("partial")?.join(digest.hex());
        self.make("blobs/sha256")?;
        loop {
            if self.has(digest) {
                return Ok(None);
            }
            let mut options = OpenOptions::new();
            let file = options.read(true).append(true).create(true).open(&path)?;
            flock(&file, FlockOperation::LockExclusive)?;
            // Another may have finished it while this one waited.
            let own = file.metadata()?;
            let still = fs::metadata(&path);
            if still.is_ok_and(|now| (own.dev(), own.ino()) == (now.dev(), now.ino())) {
                return Ok(Some((path, file)));
            }
        }
    }

    /// Puts the verified `file` at `path` where its readers look.
    pub(crate) fn finish(&self, digest: &Digest, path: &Path, file: &File) -> io::Result<()> {
        file.sync_all()?;
        let target = self.blob(digest);
        fs::rename(path, &target)?;
        sync_parent(&target)
    }

    /// Keeps a document that has the digest.
    pub(crate) fn keep(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        let Some((path, mut file)) = self.partial(digest)? else { return Ok(()) };
        file.set_len(0)?;
        file.write_all(bytes)?;
        self.finish(digest, &path, &file)
    }

    /// What the image stood for when it was last asked about.
    pub(crate) fn known(&self, image: &Path) -> io::Result<Option<Descriptor>> {
        match fs::read(self.images().join(image)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // Whole or not there, unless somebody else wrote it: then the registry is asked.
            read => Ok(serde_json::from_slice(&read?).ok()),
        }
    }

    /// Remembers what the image stands for, all of which is here. The caller has the lock.
    pub(crate) fn remember(&self, image: &Path, descriptor: &Descriptor) -> io::Result<()> {
        let path = self.images().join(image);
        let new = path.with_extension("new~");
        if let Some(parent) = path.parent() {
            create(parent)?;
        }
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(descriptor)?)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        sync_parent(&path)
    }

    /// Held while an image is pulled: who comes later waits, and finds it.
    pub(crate) fn lock(&self, image: &Path) -> io::Result<File> {
        let name = Digest::of(image.as_os_str().as_encoded_bytes());
        let file = File::create(self.make("locks")?.join(name.hex()))?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    }

    fn make(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.directory.join(name);
        create(&path)?;
        Ok(path)
    }
}

/// The name by which [`Shelf`] knows an image.
pub(crate) fn path_of(host: &str, repository: &str, reference: &Reference) -> PathBuf {
    let directory = Path::new(host).join(repository);
    // No component of a repository starts with an underscore.
    match &reference.digest {
        Some(digest) => directory.join("_digests").join(digest.hex()),
        None => directory.join("_tags").join(format!("{}.json", reference.tag)),
    }
}

/// Closed to others: images may hold what is not for the host's users.
fn create(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
