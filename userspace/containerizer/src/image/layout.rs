//! Image layouts: from a tag to the config and layers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use oci_spec::image::{
    Arch, Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, Os,
};
use serde::de::DeserializeOwned;

use super::ImageError;
use super::blob::Blob;
use super::reference::Reference;

/// Where the tag is among a descriptor's annotations.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Docker's names of what OCI took over.
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// How deep indexes may nest; one inside `index.json` is usual.
const NESTING: usize = 4;

/// A manifest with the config it names.
pub(crate) struct Resolved {
    /// The image's config.
    pub(crate) config: ImageConfiguration,
    /// Its layers, lowest first.
    pub(crate) layers: Vec<Descriptor>,
    /// The digest of what its name stands for, a manifest or index.
    pub(crate) digest: String,
    /// The record on the shelf that says so, if one does.
    pub(crate) record: Option<PathBuf>,
}

/// Finds what `reference` stands for in the layout at `layout`, for this machine.
pub(crate) fn resolve(layout: &Path, reference: &Reference) -> Result<Resolved, ImageError> {
    let image = reference.to_string();
    let header: serde_json::Value = read(layout, "oci-layout", &image)?;
    let version = header.get("imageLayoutVersion").and_then(serde_json::Value::as_str);
    if !version.is_some_and(|version| version.starts_with("1.")) {
        return Err(ImageError::Document {
            image,
            document: "oci-layout".into(),
            reason: "imageLayoutVersion is not 1.x".into(),
        });
    }
    let index: ImageIndex = read(layout, "index.json", &image)?;
    let tag_of = |descriptor: &Descriptor| -> Option<String> {
        descriptor.annotations().as_ref()?.get(REF_NAME).cloned()
    };
    let (tagged, others): (Vec<_>, Vec<_>) =
        index.manifests().iter().cloned().partition(|descriptor| match &reference.digest {
            Some(digest) => descriptor.digest().to_string() == digest.to_string(),
            None => tag_of(descriptor).as_deref() == Some(&reference.tag),
        });
    if tagged.is_empty() {
        let tags: BTreeSet<String> = others.iter().filter_map(tag_of).collect();
        let tags = if tags.is_empty() {
            format!("no manifest with a {REF_NAME} annotation")
        } else {
            tags.into_iter().collect::<Vec<_>>().join(", ")
        };
        return Err(ImageError::Tag { image, tags });
    }
    follow(layout, &image, &tagged, &mut |_| Ok(()))
}

/// Makes sure that the blob of a descriptor is in the layout.
pub(crate) type Ensure<'a> = &'a mut dyn FnMut(&Descriptor) -> Result<(), ImageError>;

/// Goes from `candidates` to the config for this machine; every document is ensured before
/// it is read.
pub(crate) fn follow(
    layout: &Path,
    image: &str,
    candidates: &[Descriptor],
    ensure: Ensure<'_>,
) -> Result<Resolved, ImageError> {
    let mut top = None;
    let mut ensure = |descriptor: &Descriptor| {
        top.get_or_insert_with(|| descriptor.digest().to_string());
        ensure(descriptor)
    };
    let manifest = manifest(layout, image, candidates, NESTING, &mut ensure)?;
    let config = manifest.config();
    if !is_config(config.media_type()) {
        return Err(unsupported(image, config, config.media_type()));
    }
    ensure(config)?;
    let config = Blob::new(image, config)?.document::<ImageConfiguration>(layout)?;
    if (config.os(), config.architecture()) != (&Os::Linux, &Arch::default()) {
        let found = format!("{}/{}", config.os(), config.architecture());
        return Err(ImageError::Platform { image: image.to_owned(), wanted: here(), found });
    }
    let (layers, digest) = (manifest.layers().clone(), top.unwrap_or_default());
    Ok(Resolved { config, layers, digest, record: None })
}

/// The manifest for this machine among `candidates`.
fn manifest(
    layout: &Path,
    image: &str,
    candidates: &[Descriptor],
    depth: usize,
    ensure: Ensure<'_>,
) -> Result<ImageManifest, ImageError> {
    let fits = |descriptor: &&Descriptor| match descriptor.platform() {
        Some(platform) => {
            (platform.os(), platform.architecture()) == (&Os::Linux, &Arch::default())
        }
        None => true,
    };
    let Some(descriptor) = candidates.iter().find(fits) else {
        let found = candidates
            .iter()
            .filter_map(|candidate| candidate.platform().as_ref())
            .map(|platform| format!("{}/{}", platform.os(), platform.architecture()))
            .collect::<Vec<_>>()
            .join(", ");
        return Err(ImageError::Platform { image: image.to_owned(), wanted: here(), found });
    };
    ensure(descriptor)?;
    match descriptor.media_type() {
        MediaType::ImageManifest => Blob::new(image, descriptor)?.document(layout),
        MediaType::Other(docker) if docker == DOCKER_MANIFEST => {
            Blob::new(image, descriptor)?.document(layout)
        }
        other => {
            let nested = matches!(other, MediaType::ImageIndex)
                || matches!(other, MediaType::Other(docker) if docker == DOCKER_LIST);
            if !nested || depth == 0 {
                return Err(unsupported(image, descriptor, other));
            }
            let index: ImageIndex = Blob::new(image, descriptor)?.document(layout)?;
            manifest(layout, image, index.manifests(), depth - 1, ensure)
        }
    }
}

/// Whether it is of an image's config.
pub(crate) fn is_config(media_type: &MediaType) -> bool {
    match media_type {
        MediaType::ImageConfig => true,
        MediaType::Other(other) => other == "application/vnd.docker.container.image.v1+json",
        _ => false,
    }
}

fn here() -> String {
    format!("{}/{}", Os::Linux, Arch::default())
}

fn unsupported(image: &str, descriptor: &Descriptor, media_type: &MediaType) -> ImageError {
    ImageError::MediaType {
        image: image.to_owned(),
        blob: descriptor.digest().to_string(),
        media_type: media_type.to_string(),
    }
}

fn read<T: DeserializeOwned>(layout: &Path, file: &str, image: &str) -> Result<T, ImageError> {
    let path = layout.join(file);
    let text = std::fs::read(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => {
            ImageError::Missing { image: image.to_owned(), path: layout.to_owned() }
        }
        _ => ImageError::Io { image: image.to_owned(), operation: "read", path, source },
    })?;
    serde_json::from_slice(&text).map_err(|error| ImageError::Document {
        image: image.to_owned(),
        document: file.to_owned(),
        reason: error.to_string(),
    })
}
