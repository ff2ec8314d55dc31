//! What the store is made of.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::image::digest::Digest;

/// Where layers are, from the store's directory.
const LAYERS: &str = ".layers";
/// Where is what was pulled.
const SHELF: &str = ".registry";

/// Something that the store keeps or removes as a whole, by its path from the store's
/// directory: `.layers/sha256/<digest>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Item(String);

impl Item {
    /// A layer, as it is unpacked.
    pub(crate) fn layer(hex: &str) -> Self {
        Self::derived("sha256", hex)
    }

    /// A layer of this kind: `sha256`, `joined` or `places`.
    pub(crate) fn derived(kind: &str, name: &str) -> Self {
        Self(format!("{LAYERS}/{kind}/{name}"))
    }

    /// A blob on the shelf.
    pub(crate) fn blob(digest: &Digest) -> Self {
        Self(format!("{SHELF}/blobs/sha256/{}", digest.hex()))
    }

    /// What an image's name stood for when it was last asked about, by its path among such.
    pub(crate) fn record(image: &Path) -> Self {
        Self(format!("{SHELF}/images/{}", image.display()))
    }

    /// Part of a blob.
    pub(crate) fn partial(hex: &str) -> Self {
        Self(format!("{SHELF}/partial/{hex}"))
    }

    /// As it was written.
    pub(crate) fn read(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The layer in which, or at which, `path` is; `None` if that is in no store.
    pub(crate) fn containing(path: &str) -> Option<Self> {
        let (_, below) = path.rsplit_once(&format!("/{LAYERS}/"))?;
        let mut names = below.split('/');
        match (names.next()?, names.next()?) {
            ("staging", _) | (_, "") => None,
            (kind, name) => Some(Self::derived(kind, name)),
        }
    }

    /// Where it is in the store in this directory.
    pub(crate) fn path(&self, directory: &Path) -> PathBuf {
        directory.join(&self.0)
    }

    /// The digest of an unpacked layer; `None` for anything else.
    pub(crate) fn as_layer(&self) -> Option<&str> {
        self.0.strip_prefix(LAYERS)?.strip_prefix("/sha256/")
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_in_a_layer_or_not() {
        let item = |path| Item::containing(path).map(|item| item.to_string());
        for path in ["/i/.layers/sha256/ab", "/.layers/x/i/.layers/sha256/ab/etc"] {
            assert_eq!(item(path).as_deref(), Some(".layers/sha256/ab"), "{path}");
        }
        assert_eq!(item("/i/.layers/joined/c").as_deref(), Some(".layers/joined/c"));
        for path in ["/i/library/root", ".layers/sha256/ab", "/i/.layers/staging/x", "/i/.layers/"]
        {
            assert_eq!(item(path), None, "{path}");
        }
        assert_eq!(Item::layer("ab").as_layer(), Some("ab"));
        assert_eq!(Item::derived("places", "ab").as_layer(), None);
    }
}
