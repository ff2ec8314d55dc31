//! How large an image may be: an archive can hold far more than it weighs.

use std::cell::Cell;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

/// The most that an image may have; what has more is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageLimits {
    /// `--image-max-size`: bytes of all its layers, as archives that are not compressed; of a
    /// root directory, bytes of its files; of a compressed archive of images, all of it.
    pub size: u64,
    /// `--image-max-entries`: files, directories, links and whiteouts of all its layers,
    /// directories without an entry included; of a root directory, or an archive of images,
    /// what is in it.
    pub entries: u64,
    /// `--image-max-layers`: layers.
    pub layers: u64,
    /// `--image-max-depth`: directories in each other; at most [`ImageLimits::DEPTH_MAX`].
    pub depth: u64,
    /// `--image-max-compression-ratio`: bytes that a byte of a compressed layer, or archive of
    /// images, may become, once they are more than 256 MiB.
    pub ratio: u64,
}

/// A limit that is exceeded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: more than the {most} that --{flag} allows")]
pub struct Exceeded {
    what: String,
    most: u64,
    flag: &'static str,
}

/// Bytes and entries of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

/// What an image may still have, told by those who unpack its layers.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: ImageLimits,
    bytes: AtomicU64,
    entries: AtomicU64,
}

/// What one layer takes of its image's budget, or an archive.
pub(crate) struct Meter<'a> {
    budget: &'a Budget,
    /// Its bytes as it is packed.
    packed: u64,
    bytes: Cell<u64>,
    entries: Cell<u64>,
}

/// Counts what is read through it.
pub(crate) struct Metered<'a, R> {
    source: R,
    meter: &'a Meter<'a>,
}

/// Less than this is no bomb, however little it was packed.
const HARMLESS: u64 = 256 << 20;

impl Default for ImageLimits {
    fn default() -> Self {
        Self { size: 64 << 30, entries: 4 << 20, layers: 127, depth: 128, ratio: 200 }
    }
}

impl ImageLimits {
    /// The most that `--image-max-depth` can be. Layers are copied and compared by paths, one in
    /// the other, and a link may lead to twice as deep before that is seen.
    pub const DEPTH_MAX: u64 = 400;

    /// Checks the fields: the flag and what is wrong with it.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        let fields = [
            ("image_max_size", self.size),
            ("image_max_entries", self.entries),
            ("image_max_layers", self.layers),
            ("image_max_depth", self.depth),
            ("image_max_compression_ratio", self.ratio),
        ];
        if let Some((flag, _)) = fields.into_iter().find(|(_, most)| *most == 0) {
            return Err((flag, "0 refuses every image; give 1 or more".into()));
        }
        if self.depth > Self::DEPTH_MAX {
            let reason = format!("{} is more than {}", self.depth, Self::DEPTH_MAX);
            return Err(("image_max_depth", reason));
        }
        Ok(())
    }

    /// Checks what a manifest says of its layers, before any is downloaded: their number, and
    /// the sum of their sizes, which are those of what is packed.
    pub(crate) fn manifest(&self, layers: impl Iterator<Item = u64>) -> Result<(), Exceeded> {
        let (mut count, mut bytes) = (0, 0_u64);
        for size in layers {
            count += 1;
            bytes = bytes.saturating_add(size);
        }
        check(count, self.layers, "image-max-layers", |count| format!("{count} layers"))?;
        check(bytes, self.size, "image-max-size", |bytes| format!("layers of {bytes} bytes"))
    }

    /// Checks a path of so many components.
    pub(crate) fn depth(&self, depth: usize) -> Result<(), Exceeded> {
        let depth = u64::try_from(depth).unwrap_or(u64::MAX);
        check(depth, self.depth, "image-max-depth", |depth| format!("{depth} names deep"))
    }
}

impl Budget {
    /// All of it.
    pub(crate) fn new(limits: ImageLimits) -> Self {
        Self { limits, bytes: AtomicU64::new(0), entries: AtomicU64::new(0) }
    }

    /// For a layer, or an archive of layers, of `packed` bytes.
    pub(crate) fn meter(&self, packed: u64) -> Meter<'_> {
        Meter { budget: self, packed, bytes: Cell::new(0), entries: Cell::new(0) }
    }

    /// Takes so much of it.
    pub(crate) fn take(&self, measure: Measure) -> Result<(), Exceeded> {
        let add = |sum: &AtomicU64, more: u64| {
            sum.fetch_add(more, Ordering::Relaxed).saturating_add(more)
        };
        let bytes = add(&self.bytes, measure.bytes);
        check(bytes, self.limits.size, "image-max-size", |_| {
            "its files unpacked, in bytes".into()
        })?;
        let entries = add(&self.entries, measure.entries);
        check(entries, self.limits.entries, "image-max-entries", |_| "its entries".into())
    }
}

impl Meter<'_> {
    /// What limits it.
    pub(crate) fn limits(&self) -> ImageLimits {
        self.budget.limits
    }

    /// So many entries more.
    pub(crate) fn entries(&self, more: u64) -> Result<(), Exceeded> {
        self.entries.set(self.entries.get() + more);
        self.budget.take(Measure { bytes: 0, entries: more })
    }

    /// So many bytes more.
    fn bytes(&self, more: u64) -> Result<(), Exceeded> {
        let bytes = self.bytes.get() + more;
        self.bytes.set(bytes);
        self.budget.take(Measure { bytes: more, entries: 0 })?;
        if bytes <= HARMLESS {
            return Ok(());
        }
        let ratio = bytes / self.packed.max(1);
        check(ratio, self.limits().ratio, "image-max-compression-ratio", |_| {
            format!("{} bytes make {bytes} or more, a ratio", self.packed)
        })
    }

    /// What the layer has taken.
    pub(crate) fn measure(&self) -> Measure {
        Measure { bytes: self.bytes.get(), entries: self.entries.get() }
    }
}

impl<'a, R> Metered<'a, R> {
    /// What is read of `source` is told to `meter`.
    pub(crate) fn new(source: R, meter: &'a Meter<'a>) -> Self {
        Self { source, meter }
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.meter.bytes(read as u64).map_err(io::Error::other)?;
        Ok(read)
    }
}

fn check(
    value: u64,
    most: u64,
    flag: &'static str,
    what: impl FnOnce(u64) -> String,
) -> Result<(), Exceeded> {
    if value <= most { Ok(()) } else { Err(Exceeded { what: what(value), most, flag }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: ImageLimits =
        ImageLimits { size: 100, entries: 3, layers: 2, depth: 4, ratio: 10 };

    #[test]
    fn what_is_exceeded_is_named_with_its_flag() {
        let budget = Budget::new(SMALL);
        budget.take(Measure { bytes: 60, entries: 2 }).unwrap();
        let meter = budget.meter(1);
        let mut read = Vec::new();
        let error = Metered::new(&[0; 50][..], &meter).read_to_end(&mut read).unwrap_err();
        assert_eq!(
            error.to_string(),
            "its files unpacked, in bytes: more than the 100 that --image-max-size allows"
        );
        let error = Budget::new(SMALL).meter(1).entries(4).unwrap_err().to_string();
        assert_eq!(error, "its entries: more than the 3 that --image-max-entries allows");
        let error = SMALL.depth(5).unwrap_err().to_string();
        assert_eq!(error, "5 names deep: more than the 4 that --image-max-depth allows");
        SMALL.manifest([50, 50].into_iter()).unwrap();
        let error = SMALL.manifest([1, 1, 1].into_iter()).unwrap_err().to_string();
        assert_eq!(error, "3 layers: more than the 2 that --image-max-layers allows");
        let error = SMALL.manifest([u64::MAX, 1].into_iter()).unwrap_err().to_string();
        assert!(error.ends_with("more than the 100 that --image-max-size allows"), "{error}");
    }

    #[test]
    fn a_ratio_counts_once_there_is_much() {
        let budget = Budget::new(ImageLimits { ratio: 10, ..ImageLimits::default() });
        let (bomb, dense) = (budget.meter(1000), budget.meter(HARMLESS));
        bomb.bytes(HARMLESS).unwrap();
        let error = bomb.bytes(1).unwrap_err().to_string();
        assert!(error.contains("the 10 that --image-max-compression-ratio allows"), "{error}");
        dense.bytes(HARMLESS + 1).unwrap();
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        ImageLimits::default().validate().unwrap();
        let zero = ImageLimits { layers: 0, ..SMALL };
        assert_eq!(zero.validate().unwrap_err().0, "image_max_layers");
        let deep = ImageLimits { depth: 401, ..SMALL };
        assert_eq!(deep.validate().unwrap_err().0, "image_max_depth");
    }
}
