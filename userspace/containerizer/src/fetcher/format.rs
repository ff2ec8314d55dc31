//! How files are packed, by their names as in Mesos.

use std::io::Read;
use std::path::Path;

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;

/// The most that decompressing may take of the agent's memory, in KiB: what `xz -9` needs, and
/// some.
const XZ_MEMORY: u32 = 128 << 10;

/// An archive, or one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Tar(Compression),
    Zip,
    /// One file, by gzip.
    Gzip,
}

/// How the bytes of an archive are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
}

/// Longer endings first.
const ENDINGS: [(&str, Format); 9] = [
    (".tar.gz", Format::Tar(Compression::Gzip)),
    (".tar.bz2", Format::Tar(Compression::Bzip2)),
    (".tar.xz", Format::Tar(Compression::Xz)),
    (".tar", Format::Tar(Compression::None)),
    (".tgz", Format::Tar(Compression::Gzip)),
    (".tbz2", Format::Tar(Compression::Bzip2)),
    (".txz", Format::Tar(Compression::Xz)),
    (".zip", Format::Zip),
    (".gz", Format::Gzip),
];

impl Format {
    /// How the file at `path` is packed; `None` if its name says that it is not.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let matching =
            |(ending, _): &&(&str, Self)| name.len() > ending.len() && name.ends_with(ending);
        ENDINGS.iter().find(matching).map(|(_, format)| *format)
    }
}

impl Compression {
    /// What `source` gives, unpacked.
    pub(super) fn reader<'a>(self, source: impl Read + 'a) -> Box<dyn Read + 'a> {
        match self {
            Self::None => Box::new(source),
            Self::Gzip => Box::new(MultiGzDecoder::new(source)),
            Self::Bzip2 => Box::new(MultiBzDecoder::new(source)),
            Self::Xz => Box::new(XzReader::new_mem_limit(source, true, XZ_MEMORY)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell() {
        let of = |name: &str| Format::of(Path::new(name));
        assert_eq!(of("a/b.tar"), Some(Format::Tar(Compression::None)));
        assert_eq!(of("b.tgz"), of("b.tar.gz"));
        assert_eq!(of("b.tbz2"), of("b.tar.bz2"));
        assert_eq!(of("b.txz"), Some(Format::Tar(Compression::Xz)));
        assert_eq!((of("b.zip"), of("b.gz")), (Some(Format::Zip), Some(Format::Gzip)));
        for name in ["b", "tar", ".tar", ".gz", "b.tar.zst", "b.xz", "zip", "b.ZIP"] {
            assert_eq!(of(name), None, "{name}");
        }
    }
}
