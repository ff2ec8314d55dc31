//! The image store: one layout per image, replaced as a whole.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use oci_spec::image::{ANNOTATION_REF_NAME, ImageIndex, ImageManifest};

use super::debian::{Package, Packages};
use super::layer::sha256;
use super::{Recipe, layout};
use crate::cgroup::subdirectories;
use crate::error::{Error, Result};

/// Where apt keeps its lists: while they are older than an image, so are the packages.
const APT_LISTS: &str = "/var/lib/apt/lists";

/// Whether there was anything to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// The image was made.
    New,
    /// The image in the store is what would be made now.
    UpToDate,
}

/// An image in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Name and tag.
    pub name: String,
    /// Digest of the manifest, `sha256:…`.
    pub digest: String,
    /// How many layers it has.
    pub layers: usize,
    /// Bytes of all its compressed layers.
    pub bytes: u64,
}

/// Makes the image of `recipe` in `store` unless it is up to date there.
///
/// The old image stays in place until the new one is whole. Callers in several processes take
/// turns.
///
/// # Errors
/// [`Error::Missing`] when apt does not know a package; [`Error::Command`] when it can not be
/// fetched; [`Error::System`].
pub fn make(recipe: Recipe, store: &Path) -> Result<Made> {
    let subject = store.display().to_string();
    fs::create_dir_all(store).map_err(Error::system("mkdir", &subject))?;
    let lock = store.join(format!(".{}.lock", recipe.name()));
    let lock = File::create(&lock).map_err(Error::system("open", lock.display().to_string()))?;
    lock.lock().map_err(Error::system("flock", subject))?;

    let target = store.join(recipe.name());
    let made_from = source_of(&target);
    if newer_than_lists(&target)
        && made_from.as_deref().is_some_and(|source| source.starts_with(&revision(recipe)))
    {
        return Ok(Made::UpToDate);
    }
    let packages = recipe.packages()?;
    let source = source(recipe, &packages);
    if made_from.as_deref() == Some(&source) {
        let index = target.join("index.json");
        let touched = File::open(&index).and_then(|file| file.set_modified(SystemTime::now()));
        touched.map_err(Error::system("utimensat", index.display().to_string()))?;
        return Ok(Made::UpToDate);
    }
    let image = recipe.image(&Packages::fetch(&packages)?)?;
    let staging = tempfile::Builder::new().prefix(".making-").tempdir_in(store);
    let staging = staging.map_err(Error::system("mkdir", store.display().to_string()))?;
    layout::write(staging.path(), &image, &source)?;
    replace(&target, staging)?;
    Ok(Made::New)
}

/// The images in `store`, by name.
///
/// # Errors
/// [`Error::Unexpected`] for a directory that is not an image layout.
pub fn list(store: &Path) -> Result<Vec<Stored>> {
    subdirectories(store)?
        .into_iter()
        .filter(|path| path.join("index.json").exists())
        .map(|path| stored(&path))
        .collect()
}

fn stored(path: &Path) -> Result<Stored> {
    let malformed = |error: oci_spec::OciSpecError| Error::Unexpected {
        what: format!("the image {}", path.display()),
        reason: error.to_string(),
    };
    let index = ImageIndex::from_file(path.join("index.json")).map_err(malformed)?;
    let descriptor = index.manifests().first().ok_or_else(|| Error::Unexpected {
        what: format!("the image {}", path.display()),
        reason: "its index is empty".into(),
    })?;
    let blob = path.join("blobs/sha256").join(descriptor.digest().digest());
    let manifest = ImageManifest::from_file(blob).map_err(malformed)?;
    let tag = descriptor.annotations().as_ref().and_then(|all| all.get(ANNOTATION_REF_NAME));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(Stored {
        name: format!("{name}:{}", tag.map_or("", String::as_str)),
        digest: descriptor.digest().to_string(),
        layers: manifest.layers().len(),
        bytes: manifest.layers().iter().map(oci_spec::image::Descriptor::size).sum(),
    })
}

/// What an image is made from: the code's revision, then the packages.
fn source(recipe: Recipe, packages: &[Package]) -> String {
    let packages: Vec<String> =
        packages.iter().map(|package| format!("{} {}", package.file, package.digest)).collect();
    format!("{}{}", revision(recipe), sha256(packages.join("\n").as_bytes()))
}

fn revision(recipe: Recipe) -> String {
    format!("{}-", sha256(recipe.revision().as_bytes()))
}

/// The source that the image at `target` was made from, if there is one.
fn source_of(target: &Path) -> Option<String> {
    let index = ImageIndex::from_file(target.join("index.json")).ok()?;
    index.manifests().first()?.annotations().as_ref()?.get(layout::ANNOTATION_SOURCE).cloned()
}

fn newer_than_lists(target: &Path) -> bool {
    let modified = |path: PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified());
    matches!(
        (modified(target.join("index.json")), modified(APT_LISTS.into())),
        (Ok(image), Ok(lists)) if image > lists
    )
}

/// Puts `staging` in the place of `target` in one step; what was there goes away after it.
fn replace(target: &Path, staging: tempfile::TempDir) -> Result<()> {
    let subject = target.display().to_string();
    let exchange = RenameFlags::RENAME_EXCHANGE;
    match renameat2(AT_FDCWD, staging.path(), AT_FDCWD, target, exchange) {
        // Its directory now holds the old image, and goes with it.
        Ok(()) => {
            staging.close().map_err(Error::system("rmdir", subject))?;
        }
        Err(nix::Error::ENOENT) => {
            fs::rename(staging.keep(), target).map_err(Error::system("rename", subject))?;
        }
        Err(errno) => return Err(Error::system("renameat2", subject)(errno)),
    }
    // Temporary directories are for their owner alone; images are for every reader.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    match fs::set_permissions(target, mode) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::system("chmod", target.display().to_string())(error))
        }
        _ => Ok(()),
    }
}
