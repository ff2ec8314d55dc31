//! Which of an archive's images is meant.

use oci_spec::image::Descriptor;

use super::Saved;
use crate::image::ImageError;
use crate::image::reference::Reference;

/// Where names are among a descriptor's annotations.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// The one of `images` that is wanted, or has the wanted name; the only one, if it has none or
/// the file's own name says that it is.
pub(super) fn choose<'a, T>(
    saved: &Saved<'_>,
    images: &'a [T],
    names: impl Fn(&T) -> Vec<String>,
    wanted: impl Fn(&T) -> bool,
) -> Result<&'a T, ImageError> {
    let named = |image: &&T| names(image).iter().any(|name| is(name, saved.reference));
    let found = match &saved.reference.digest {
        Some(_) => images.iter().find(|image| wanted(image)),
        None => images.iter().find(named).or(match images {
            [only] if saved.tagged || names(only).is_empty() => Some(only),
            _ => None,
        }),
    };
    found.ok_or_else(|| {
        let tags: Vec<String> = images.iter().flat_map(&names).collect();
        let tags = if tags.is_empty() { "no named image".to_owned() } else { tags.join(", ") };
        let tags = format!("{tags} in {}", saved.path.display());
        ImageError::Tag { image: saved.reference.to_string(), tags }
    })
}

/// The names that annotations give.
pub(super) fn annotated(descriptor: &Descriptor) -> Vec<String> {
    let Some(notes) = descriptor.annotations() else { return Vec::new() };
    NAMES.iter().filter_map(|name| notes.get(*name)).cloned().collect()
}

/// Whether `name` is a name of the image: whole, or only the tag as in image layouts.
fn is(name: &str, reference: &Reference) -> bool {
    name == reference.tag
        || Reference::parse(name).is_ok_and(|name| {
            name.tag == reference.tag && short(&name.name) == short(&reference.name)
        })
}

/// A name without what stands for Docker's registry, or for none.
fn short(name: &str) -> &str {
    let hosts = ["docker.io/", "index.docker.io/", "localhost/"];
    let name = hosts.iter().find_map(|host| name.strip_prefix(host)).unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn chosen(reference: &str, tagged: bool, images: &[&[&str]]) -> Result<usize, String> {
        let reference = &Reference::parse(reference).unwrap();
        let saved = Saved { path: Path::new("/a.tar"), reference, tagged };
        let images: Vec<(usize, &[&str])> = images.iter().copied().enumerate().collect();
        let names = |image: &(usize, &[&str])| image.1.iter().map(ToString::to_string).collect();
        let chosen = choose(&saved, &images, names, |_| false);
        chosen.map(|image| image.0).map_err(|error| error.to_string())
    }

    #[test]
    fn by_its_name_however_that_is_written() {
        let images: &[&[&str]] = &[&["other:1"], &["docker.io/library/app:1", "app:2"], &["3"]];
        assert_eq!(chosen("app:1", false, images), Ok(1));
        assert_eq!(chosen("library/app:2", false, images), Ok(1));
        assert_eq!(chosen("app:3", false, images), Ok(2));
        assert_eq!(chosen("app", false, &[&["localhost/app:latest"]]), Ok(0));
        let error = chosen("app:4", true, images).unwrap_err();
        assert_eq!(
            error,
            "image app:4: no such tag; there is other:1, docker.io/library/app:1, app:2, 3 in /a.tar"
        );
    }

    #[test]
    fn the_only_one_needs_no_name() {
        assert_eq!(chosen("app:1", false, &[&[]]), Ok(0));
        assert_eq!(chosen("app:1", true, &[&["other:7"]]), Ok(0));
        assert!(chosen("app:1", false, &[&["other:7"]]).is_err());
        assert!(chosen("app:1", true, &[&[], &[]]).is_err());
        let digest = format!("app@sha256:{}", "0".repeat(64));
        assert!(chosen(&digest, true, &[&[]]).is_err());
    }
}
