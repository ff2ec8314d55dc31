//! Names of images.

use std::fmt;

use super::ImageError;
use super::digest::Digest;

/// An image's name, with its tag or digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// One or more path components joined by `/`.
    pub(crate) name: String,
    /// `latest` unless given.
    pub(crate) tag: String,
    /// The digest of its manifest or index; the tag means nothing then.
    pub(crate) digest: Option<Digest>,
}

impl Reference {
    /// Reads `name[:tag][@digest]`, as in `nginx`, `library/nginx:1.25` or `registry:5000/nginx:1`.
    pub(crate) fn parse(reference: &str) -> Result<Self, ImageError> {
        let refuse = |reason| ImageError::Reference { reference: reference.to_owned(), reason };
        let (named, digest) = match reference.split_once('@') {
            Some((named, digest)) => match Digest::parse(digest) {
                Some(digest) => (named, Some(digest)),
                None => return Err(refuse("a digest is `sha256:` and 64 hexadecimal digits")),
            },
            None => (reference, None),
        };
        // A colon before the last slash is a registry's port.
        let start = named.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match named[start..].split_once(':') {
            Some((last, tag)) => (&named[..start + last.len()], tag),
            None => (named, "latest"),
        };
        // Each component becomes a directory below the store; `.layers` is the store's own.
        if !name.split('/').all(plain) {
            return Err(refuse("a name is made of letters, digits, `.`, `_`, `-`, `:` and `/`"));
        }
        if tag.len() > 128 || !plain(tag) || tag.contains(':') {
            return Err(refuse("a tag is 1 to 128 letters, digits, `.`, `_` and `-`"));
        }
        Ok(Self { name: name.to_owned(), tag: tag.to_owned(), digest })
    }

    /// Tag or digest, as a registry's paths have it.
    pub(crate) fn selector(&self) -> String {
        self.digest.as_ref().map_or_else(|| self.tag.clone(), Digest::to_string)
    }
}

/// Whether it can be an image's name, `name[:tag][@digest]`.
///
/// # Errors
/// [`ImageError::Reference`], which says what is wrong with it.
pub fn check_image_name(name: &str) -> Result<(), ImageError> {
    Reference::parse(name).map(drop)
}

fn plain(component: &str) -> bool {
    component.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && component.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-:".contains(&c))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.digest {
            Some(digest) => write!(f, "{}@{digest}", self.name),
            None => write!(f, "{}:{}", self.name, self.tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_name_and_tag() {
        for (given, name, tag) in [
            ("nginx", "nginx", "latest"),
            ("nginx:1.25", "nginx", "1.25"),
            ("library/nginx", "library/nginx", "latest"),
            ("registry:5000/nginx", "registry:5000/nginx", "latest"),
            ("registry:5000/a/nginx:x", "registry:5000/a/nginx", "x"),
        ] {
            let reference = Reference::parse(given).unwrap();
            assert_eq!((reference.name.as_str(), reference.tag.as_str()), (name, tag), "{given}");
        }
    }

    #[test]
    fn a_digest_wins_over_a_tag() {
        let digest = Digest::of(b"");
        for given in [format!("h:5/a@{digest}"), format!("h:5/a:1.0@{digest}")] {
            let reference = Reference::parse(&given).unwrap();
            assert_eq!(reference.to_string(), format!("h:5/a@{digest}"));
            assert_eq!(reference.selector(), digest.to_string());
        }
    }

    #[test]
    fn refuses_what_would_leave_the_store() {
        for given in ["", "/etc", "../x", "a/../b", "a//b", "a/", ".layers", "a/.b", "a b", ":x"] {
            assert!(Reference::parse(given).is_err(), "{given}");
        }
        for given in ["a:", "a:b:c", "a@sha256:00"] {
            assert!(Reference::parse(given).is_err(), "{given}");
        }
    }
}
