//! Writing an OCI image layout (image-spec 1.1).

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use oci_spec::OciSpecError;
use oci_spec::image::{
    ANNOTATION_REF_NAME, Arch, ConfigBuilder, Descriptor, DescriptorBuilder, HistoryBuilder,
    ImageConfiguration, ImageConfigurationBuilder, ImageIndexBuilder, ImageManifestBuilder,
    MediaType, OciLayoutBuilder, Os, PlatformBuilder, RootFsBuilder, Sha256Digest,
};
use serde::Serialize;

use super::Image;
use super::layer::{Packed, sha256};
use crate::error::{Error, Result};

/// Annotation in the index: what the image was made from, to see whether it is up to date.
pub(super) const ANNOTATION_SOURCE: &str = "dev.muster.image.source";

/// The tag of every image made here.
pub(super) const TAG: &str = "latest";

/// Writes `image` as a layout into the empty directory `directory`.
pub(super) fn write(directory: &Path, image: &Image, source: &str) -> Result<()> {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(Error::system("mkdir", blobs.display().to_string()))?;

    let mut packed = Vec::with_capacity(image.layers.len());
    for layer in &image.layers {
        packed.push(layer.pack()?);
    }
    let mut layers = Vec::with_capacity(packed.len());
    for layer in &packed {
        layers.push(blob(&blobs, MediaType::ImageLayerGzip, &layer.gzip)?);
    }
    let configuration = configuration(image, &packed).map_err(malformed)?;
    let config = blob(&blobs, MediaType::ImageConfig, &json(&configuration)?)?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(layers)
        .build()
        .map_err(malformed)?;
    let mut manifest = blob(&blobs, MediaType::ImageManifest, &json(&manifest)?)?;
    manifest.set_annotations(Some(HashMap::from([
        (ANNOTATION_REF_NAME.to_owned(), TAG.to_owned()),
        (ANNOTATION_SOURCE.to_owned(), source.to_owned()),
    ])));
    let platform = PlatformBuilder::default().architecture(Arch::default()).os(Os::default());
    manifest.set_platform(Some(platform.build().map_err(malformed)?));

    let index = ImageIndexBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageIndex)
        .manifests([manifest])
        .build()
        .map_err(malformed)?;
    let layout = OciLayoutBuilder::default().image_layout_version("1.0.0").build();
    file(&directory.join("oci-layout"), &json(&layout.map_err(malformed)?)?)?;
    file(&directory.join("index.json"), &json(&index)?)
}

fn configuration(image: &Image, packed: &[Packed]) -> Result<ImageConfiguration, OciSpecError> {
    let mut config = ConfigBuilder::default()
        .env(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()])
        .working_dir("/");
    if !image.entrypoint.is_empty() {
        config = config.entrypoint(image.entrypoint.clone());
    }
    if !image.command.is_empty() {
        config = config.cmd(image.command.clone());
    }
    if let Some(signal) = image.stop_signal {
        config = config.stop_signal(signal);
    }
    if let Some(port) = image.exposed_port {
        config = config.exposed_ports([port.to_owned()]);
    }
    let history: Result<Vec<_>, _> = image
        .layers
        .iter()
        .map(|layer| HistoryBuilder::default().created_by(layer.created_by.as_str()).build())
        .collect();
    let diff_ids: Vec<String> =
        packed.iter().map(|layer| format!("sha256:{}", layer.diff_id)).collect();
    let rootfs = RootFsBuilder::default().typ("layers").diff_ids(diff_ids).build()?;
    ImageConfigurationBuilder::default()
        .architecture(Arch::default())
        .os(Os::default())
        .config(config.build()?)
        .rootfs(rootfs)
        .history(history?)
        .build()
}

/// Writes one blob and describes it.
fn blob(blobs: &Path, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor> {
    let digest = sha256(bytes);
    file(&blobs.join(&digest), bytes)?;
    DescriptorBuilder::default()
        .media_type(media_type)
        .digest(Sha256Digest::from_str(&digest).map_err(malformed)?)
        .size(bytes.len() as u64)
        .build()
        .map_err(malformed)
}

/// JSON with sorted keys: the builders hold maps in random order.
fn json(document: &impl Serialize) -> Result<Vec<u8>> {
    let unexpected = |error: serde_json::Error| Error::Unexpected {
        what: "a document of the image".into(),
        reason: error.to_string(),
    };
    let mut value = serde_json::to_value(document).map_err(unexpected)?;
    value.sort_all_objects();
    serde_json::to_vec(&value).map_err(unexpected)
}

fn file(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(Error::system("write", path.display().to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err calls")]
fn malformed(error: OciSpecError) -> Error {
    Error::Unexpected { what: "a document of the image".into(), reason: error.to_string() }
}
