//! Flags of images: how large they may be.

use clap::Args;
use muster_containerizer::ImageLimits;

use crate::bytes;

#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "fields are named as the flags")]
pub(crate) struct ImageLimitFlags {
    /// The most that all layers of an image may be, unpacked.
    #[arg(
        long,
        env = "MUSTER_IMAGE_MAX_SIZE",
        default_value = "64GB",
        value_parser = bytes::parse
    )]
    image_max_size: u64,
    /// The most files, directories and links that all layers of an image may have.
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
    /// The most bytes that a byte of a compressed layer may become; not asked of the first
    /// 256MB of a layer.
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
}
