//! `manifest.json`: the images of a `docker save` archive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oci_spec::image::{
    Descriptor, ImageConfiguration, ImageManifestBuilder, MediaType, SCHEMA_VERSION,
};
use serde::Deserialize;

use super::contents::{Compression, Contents};
use crate::image::digest::Digest;

const CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// One image.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Image {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// A manifest for an image that has none: its descriptor, its text, and where its layers are.
type Made = (Descriptor, Vec<u8>, BTreeMap<Digest, PathBuf>);

impl Image {
    /// Its names, each with a tag.
    pub(super) fn names(&self) -> Vec<String> {
        self.repo_tags.clone().unwrap_or_default()
    }

    /// Its manifest as OCI has it. The layers' digests are those that its config states, or
    /// those of what is in the archive where that is compressed.
    pub(super) fn manifest(&self, contents: &Contents) -> Result<Made, String> {
        let Some(text) = contents.named(&self.config) else {
            return Err(format!("the config {} is not in it", self.config));
        };
        let config: ImageConfiguration =
            serde_json::from_slice(text).map_err(|error| format!("{}: {error}", self.config))?;
        let stated = config.rootfs().diff_ids();
        if stated.len() != self.layers.len() {
            return Err(format!(
                "manifest.json lists {} layers, and {} states {}",
                self.layers.len(),
                self.config,
                stated.len()
            ));
        }
        let mut layers = Vec::new();
        let mut places = BTreeMap::new();
        for (layer, stated) in self.layers.iter().zip(stated) {
            let Some((path, packed)) = contents.file(Path::new(layer)) else {
                return Err(format!("the layer {layer} is not in it"));
            };
            let media_type = match packed.compression {
                Compression::None => MediaType::ImageLayer,
                Compression::Gzip => MediaType::ImageLayerGzip,
                Compression::Zstd => MediaType::ImageLayerZstd,
            };
            let digest = packed.digest.clone().or_else(|| Digest::parse(stated));
            let digest = digest.ok_or_else(|| format!("`{stated}` is not a sha256 digest"))?;
            layers.push(Descriptor::new(media_type, packed.size, parsed(&digest)?));
            places.insert(digest, path);
        }
        let own = Digest::of(text);
        let config = Descriptor::new(MediaType::from(CONFIG), text.len() as u64, parsed(&own)?);
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(config)
            .layers(layers)
            .build()
            .map_err(|error| error.to_string())?;
        let text = serde_json::to_vec(&manifest).map_err(|error| error.to_string())?;
        let digest = parsed(&Digest::of(&text))?;
        Ok((Descriptor::new(MediaType::ImageManifest, text.len() as u64, digest), text, places))
    }
}

fn parsed(digest: &Digest) -> Result<oci_spec::image::Digest, String> {
    digest.to_string().parse().map_err(|error: oci_spec::OciSpecError| error.to_string())
}
