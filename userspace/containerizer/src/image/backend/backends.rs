//! Which images are provisioned by which backend.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::Backend;
use crate::image::reference::Reference;

/// The backend of all images, and those of single ones: `copy`, `copy,nginx=overlay`,
/// `nginx:1.25=bind`. A name without a tag is meant with every tag and digest, unless that
/// has one of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backends {
    usual: Option<Backend>,
    images: BTreeMap<String, Backend>,
}

impl Backends {
    /// The one for images that have none of their own; `None` if it is left to the agent.
    pub fn usual(&self) -> Option<Backend> {
        self.usual
    }

    /// The one that `image` has for itself.
    pub(super) fn of(&self, image: &Reference) -> Option<Backend> {
        self.images.get(&image.to_string()).or_else(|| self.images.get(&image.name)).copied()
    }

    /// Whether `backend` is asked for by name.
    pub(super) fn has(&self, backend: Backend) -> bool {
        self.usual == Some(backend) || self.images.values().any(|other| *other == backend)
    }
}

impl From<Backend> for Backends {
    fn from(backend: Backend) -> Self {
        Self { usual: Some(backend), images: BTreeMap::new() }
    }
}

impl FromStr for Backends {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut backends = Self::default();
        for item in text.split(',') {
            let former = match item.split_once('=') {
                None => backends.usual.replace(item.parse()?),
                Some((name, backend)) => {
                    let image = Reference::parse(name).map_err(|error| error.to_string())?;
                    // Without a tag it is not `latest` that is meant.
                    let name = if name == image.name { image.name } else { image.to_string() };
                    backends.images.insert(name, backend.parse()?)
                }
            };
            if former.is_some() {
                return Err(format!("`{item}` is the second for the same images"));
            }
        }
        Ok(backends)
    }
}

impl fmt::Display for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = self.usual.map(|backend| backend.name().to_owned());
        let images = self.images.iter().map(|(name, backend)| format!("{name}={}", backend.name()));
        f.write_str(&usual.into_iter().chain(images).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_counts() {
        let text = "copy,h:5/nginx=overlay,h:5/nginx:1=bind";
        let backends: Backends = text.parse().unwrap();
        assert_eq!(backends.to_string(), text);
        assert_eq!(backends.usual(), Some(Backend::Copy));
        let of = |image| backends.of(&Reference::parse(image).unwrap());
        assert_eq!(of("h:5/nginx"), Some(Backend::Overlay));
        assert_eq!(of("h:5/nginx:1"), Some(Backend::Bind));
        assert_eq!(of("nginx:1"), None);
        let backends: Backends = "nginx:latest=bind".parse().unwrap();
        assert_eq!(backends.usual(), None);
        assert_eq!(backends.of(&Reference::parse("nginx").unwrap()), Some(Backend::Bind));
        assert_eq!(backends.of(&Reference::parse("nginx:1").unwrap()), None);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (text, reason) in [
            ("", "`` is none of overlay, copy, bind"),
            ("overlay,", "`` is none of"),
            ("aufs", "`aufs` is none of"),
            ("nginx=aufs", "`aufs` is none of"),
            ("a b=copy", "a b"),
            ("copy,bind", "`bind` is the second"),
            ("a=copy,a=copy", "`a=copy` is the second"),
        ] {
            let error = text.parse::<Backends>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
