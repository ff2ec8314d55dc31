//! Flags of images: how large they may be, and when they are removed.

use anyhow::Context as _;
use clap::Args;
use muster_agent::ImageGc;
use muster_containerizer::ImageLimits;

use crate::bytes;

#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "fields are named as the flags")]
pub(crate) struct ImageLimitFlags {
    /// The most that all layers of an image may be, unpacked; or the files of a root directory,
    /// or a compressed archive of images.
    #[arg(
        long,
        env = "MUSTER_IMAGE_MAX_SIZE",
        default_value = "64GB",
        value_parser = bytes::parse
    )]
    image_max_size: u64,
    /// The most files, directories and links that all layers of an image may have, or a root
    /// directory, or an archive of images.
    #[arg(
        long,
        env = "MUSTER_IMAGE_MAX_ENTRIES",
        default_value_t = ImageLimits::default().entries
    )]
    image_max_entries: u64,
    /// The most layers that an image may have.
    #[arg(long, env = "MUSTER_IMAGE_MAX_LAYERS", default_value_t = ImageLimits::default().layers)]
    image_max_layers: u64,
    /// The most directories that may be in each other in an image; up to 400.
    #[arg(long, env = "MUSTER_IMAGE_MAX_DEPTH", default_value_t = ImageLimits::default().depth)]
    image_max_depth: u64,
    /// The most bytes that a byte of a compressed layer, or archive of images, may become; not
    /// asked of the first 256MB.
    #[arg(
        long,
        env = "MUSTER_IMAGE_MAX_COMPRESSION_RATIO",
        default_value_t = ImageLimits::default().ratio
    )]
    image_max_compression_ratio: u64,
}

impl From<ImageLimitFlags> for ImageLimits {
    fn from(flags: ImageLimitFlags) -> Self {
        Self {
            size: flags.image_max_size,
            entries: flags.image_max_entries,
            layers: flags.image_max_layers,
            depth: flags.image_max_depth,
            ratio: flags.image_max_compression_ratio,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ImageGcFlags {
    /// When images that no container uses are removed, as JSON or the absolute path of a file
    /// with it: `{"image_disk_headroom": 0.1, "image_disk_watch_interval": {"nanoseconds":
    /// 3600000000000}, "excluded_images": [{"type": "DOCKER", "docker": {"name": "nginx"}}]}`.
    /// Without it only when an operator asks for it.
    #[arg(long, env = "MUSTER_IMAGE_GC_CONFIG")]
    image_gc_config: Option<String>,
}

impl TryFrom<ImageGcFlags> for Option<ImageGc> {
    type Error = anyhow::Error;

    fn try_from(flags: ImageGcFlags) -> anyhow::Result<Self> {
        let Some(config) = flags.image_gc_config else { return Ok(None) };
        let path = config.strip_prefix("file://").unwrap_or(&config);
        let text = if path.starts_with('/') {
            &std::fs::read_to_string(path).with_context(|| format!("--image-gc-config {path}"))?
        } else {
            &config
        };
        let parsed = ImageGc::parse(text).map_err(anyhow::Error::msg);
        parsed.context("--image-gc-config").map(Some)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        flags: ImageLimitFlags,
    }

    #[test]
    fn nothing_said_is_the_default() {
        let line = Line::try_parse_from(["line"]).unwrap();
        assert_eq!(ImageLimits::from(line.flags), ImageLimits::default());
        let line = Line::try_parse_from(["line", "--image-max-size=1GB"]).unwrap();
        assert_eq!(ImageLimits::from(line.flags).size, 1 << 30);
        assert!(Line::try_parse_from(["line", "--image-max-size=1"]).is_err());
    }

    #[test]
    fn collection_is_said_in_json_or_a_file() {
        let gc = |given: &str| {
            let image_gc_config = Some(given.to_owned());
            Option::<ImageGc>::try_from(ImageGcFlags { image_gc_config })
        };
        assert_eq!(gc("{}").unwrap(), Some(ImageGc::default()));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gc.json");
        std::fs::write(&path, r#"{"image_disk_headroom": 0.5}"#).unwrap();
        for given in [path.display().to_string(), format!("file://{}", path.display())] {
            assert_eq!(gc(&given).unwrap().map(|gc| gc.headroom), Some(0.5));
        }
        let error = format!("{:#}", gc("/nowhere/gc.json").unwrap_err());
        assert!(error.contains("--image-gc-config /nowhere/gc.json: No such file"), "{error}");
        let error = format!("{:#}", gc("{\"image_disk_headroom\": 2}").unwrap_err());
        assert!(error.contains("--image-gc-config: image_disk_headroom: 2"), "{error}");
    }
}
