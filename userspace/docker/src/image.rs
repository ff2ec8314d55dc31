//! Names of images, as `docker pull` reads them.

/// An image's name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// With the registry, if it has one: `registry.example:5000/a/b`.
    pub(crate) name: String,
    /// The tag or the digest.
    pub(crate) tag: String,
}

impl Image {
    pub(crate) fn parse(reference: &str) -> Self {
        if let Some((name, digest)) = reference.split_once('@') {
            // A tag beside a digest says nothing.
            return Self { name: tagged(name).0.to_owned(), tag: digest.to_owned() };
        }
        let (name, tag) = tagged(reference);
        Self { name: name.to_owned(), tag: tag.unwrap_or("latest").to_owned() }
    }

    /// The registry it is pulled from.
    pub(crate) fn registry(&self) -> &str {
        match self.name.split_once('/') {
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
            _ => "docker.io",
        }
    }
}

/// A colon after the last slash divides the tag; one before it a port.
fn tagged(reference: &str) -> (&str, Option<&str>) {
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (reference, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        let cases = [
            ("nginx", "nginx", "latest", "docker.io"),
            ("a/b:1", "a/b", "1", "docker.io"),
            ("r.example:5000/a/b", "r.example:5000/a/b", "latest", "r.example:5000"),
            ("localhost/a:2", "localhost/a", "2", "localhost"),
            ("a:1@sha256:00", "a", "sha256:00", "docker.io"),
        ];
        for (reference, name, tag, registry) in cases {
            let image = Image::parse(reference);
            assert_eq!((image.name.as_str(), image.tag.as_str()), (name, tag));
            assert_eq!(image.registry(), registry);
        }
    }
}
