//! Names of images.

use std::fmt;

use super::ImageError;

/// An image's name and tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// One or more path components joined by `/`.
    pub(crate) name: String,
    /// `latest` unless given.
    pub(crate) tag: String,
}

impl Reference {
    /// Reads `name[:tag]`, as in `nginx`, `library/nginx:1.25` or `registry:5000/nginx:1`.
    pub(crate) fn parse(reference: &str) -> Result<Self, ImageError> {
        let refuse = |reason| ImageError::Reference { reference: reference.to_owned(), reason };
        if reference.contains('@') {
            return Err(refuse("digests (`@sha256:…`) are not supported, give a tag"));
        }
        // A colon before the last slash is a registry's port.
        let start = reference.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match reference[start..].split_once(':') {
            Some((last, tag)) => (&reference[..start + last.len()], tag),
            None => (reference, "latest"),
        };
        // Each component becomes a directory below the store; `.layers` is the store's own.
        if !name.split('/').all(plain) {
            return Err(refuse("a name is made of letters, digits, `.`, `_`, `-`, `:` and `/`"));
        }
        if tag.len() > 128 || !plain(tag) || tag.contains(':') {
            return Err(refuse("a tag is 1 to 128 letters, digits, `.`, `_` and `-`"));
        }
        Ok(Self { name: name.to_owned(), tag: tag.to_owned() })
    }
}

fn plain(component: &str) -> bool {
    component.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && component.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-:".contains(&c))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)
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
    fn refuses_what_would_leave_the_store() {
        for given in ["", "/etc", "../x", "a/../b", "a//b", "a/", ".layers", "a/.b", "a b", ":x"] {
            assert!(Reference::parse(given).is_err(), "{given}");
        }
        for given in ["a:", "a:b:c", "a@sha256:00"] {
            assert!(Reference::parse(given).is_err(), "{given}");
        }
    }
}
