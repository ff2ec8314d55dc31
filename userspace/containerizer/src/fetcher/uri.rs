//! What is to be fetched, and from where.

use std::path::{Component, Path, PathBuf};

use super::checksum::Checksum;
use super::format::Format;

/// A file that is put into a container's sandbox before its command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// `http://…`, `https://…`, `file:///…`, or an absolute path; a relative one is below
    /// [`crate::Fetching::frameworks_home`]. `#sha256=<hex>` or `#sha512=<hex>` at its end is
    /// what the file's digest has to be.
    pub value: String,
    /// Whether anybody may execute it. Then it is not extracted.
    pub executable: bool,
    /// Whether it is unpacked into the sandbox if its name says that it is an archive.
    pub extract: bool,
    /// Whether it comes from the cache if it is there, and is left there for others.
    pub cache: bool,
    /// Where it is put, relative to the sandbox; `None` is the last part of its URI.
    pub output_file: Option<PathBuf>,
}

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A web server, by TLS only if `secure`.
    Web { url: String, secure: bool },
    /// This machine.
    File(PathBuf),
}

/// A [`Uri`], understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The URI as it was given.
    pub(super) uri: String,
    pub(super) source: Source,
    pub(super) checksum: Option<Checksum>,
    /// Its place in the sandbox: names only.
    pub(super) path: PathBuf,
    pub(super) executable: bool,
    pub(super) cache: bool,
    /// How it is unpacked, if it is.
    pub(super) format: Option<Format>,
}

impl Item {
    /// Understands `uri`.
    ///
    /// # Errors
    /// Why it cannot be fetched.
    pub(super) fn new(uri: &Uri, home: Option<&Path>) -> Result<Self, String> {
        let value = &uri.value;
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err("it is empty or holds control characters".into());
        }
        let (address, checksum) = Checksum::split(value)?;
        let source = Source::new(address, home)?;
        let path = match &uri.output_file {
            Some(path) => inside(path).ok_or_else(|| {
                let path = path.display();
                format!("output_file: `{path}` is not a path below the sandbox without `..`")
            })?,
            None => basename(address)?.into(),
        };
        let format = (uri.extract && !uri.executable).then(|| Format::of(&path)).flatten();
        Ok(Self {
            uri: value.clone(),
            source,
            checksum,
            path,
            executable: uri.executable,
            cache: uri.cache,
            format,
        })
    }
}

impl Source {
    fn new(address: &str, home: Option<&Path>) -> Result<Self, String> {
        let Some((scheme, rest)) = address.split_once("://") else {
            let path = Path::new(address);
            if path.is_absolute() {
                return Ok(Self::File(path.to_owned()));
            }
            let home = home.ok_or(
                "a relative path was passed for the resource, but the frameworks' home was not \
                 specified: give the agent --frameworks-home, or an absolute path",
            )?;
            return Ok(Self::File(home.join(path)));
        };
        match scheme.to_ascii_lowercase().as_str() {
            scheme @ ("http" | "https") => {
                let secure = scheme == "https";
                // What a server never gets to see.
                let url = address.split('#').next().unwrap_or(address);
                Ok(Self::Web { url: url.to_owned(), secure })
            }
            "file" => {
                let path = Path::new(rest.strip_prefix("localhost").unwrap_or(rest));
                if !path.is_absolute() {
                    return Err("file:// must be followed by an absolute path".into());
                }
                Ok(Self::File(path.to_owned()))
            }
            other => Err(format!(
                "the scheme `{other}` is not supported by this agent: give http, https, file, or \
                 an absolute path"
            )),
        }
    }
}

/// The last part of an address. As in Mesos a query belongs to it.
fn basename(address: &str) -> Result<String, String> {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map(|(_, path)| path),
        None => Some(address),
    };
    let name = path.map(|path| path.rsplit('/').next().unwrap_or(path));
    match name {
        None | Some("" | "." | "..") => {
            Err("malformed URI (missing file name): give one that ends with it, or output_file"
                .into())
        }
        Some(name) => Ok(name.to_owned()),
    }
}

/// `path` as names below a directory; `None` for one that is not.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut names = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    let plain = !path.as_os_str().as_encoded_bytes().contains(&0);
    (plain && !names.as_os_str().is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(value: &str) -> Uri {
        let value = value.to_owned();
        Uri { value, executable: false, extract: true, cache: false, output_file: None }
    }

    fn refused(value: &str) -> String {
        Item::new(&uri(value), None).unwrap_err()
    }

    #[test]
    fn sources_by_their_scheme() {
        let item = Item::new(&uri("HTTPS://h:1/a/b.tgz?x=1#y"), None).unwrap();
        let url = "HTTPS://h:1/a/b.tgz?x=1".to_owned();
        assert_eq!(item.source, Source::Web { url, secure: true });
        assert_eq!((item.path, item.format), ("b.tgz?x=1#y".into(), None));
        for file in ["/srv/a.zip", "file:///srv/a.zip", "file://localhost/srv/a.zip"] {
            let item = Item::new(&uri(file), None).unwrap();
            assert_eq!(item.source, Source::File("/srv/a.zip".into()));
            assert_eq!((item.path, item.format), ("a.zip".into(), Some(Format::Zip)));
        }
        let item = Item::new(&uri("x/y"), Some(Path::new("/home"))).unwrap();
        assert_eq!(item.source, Source::File("/home/x/y".into()));
    }

    #[test]
    fn what_cannot_be_fetched_is_refused() {
        assert!(refused("ftp://h/a").contains("scheme `ftp`"));
        assert!(refused("hdfs://h/a").contains("scheme `hdfs`"));
        assert!(refused("a/b").contains("--frameworks-home"));
        assert!(refused("file://a/b").contains("absolute"));
        for value in ["http://h", "http://h/", "http://h/a/", "/", "/a/.."] {
            assert!(refused(value).contains("malformed URI"), "{value}");
        }
        assert!(refused("").contains("empty"));
        assert!(refused("/a\nb").contains("control"));
        assert!(refused("/a#sha256=1").contains("hexadecimal"));
    }

    #[test]
    fn where_it_is_put_is_below_the_sandbox() {
        let with = |path: &str| {
            Item::new(&Uri { output_file: Some(path.into()), ..uri("http://h/a") }, None)
        };
        assert_eq!(with("./a/b.tar").unwrap().path, Path::new("a/b.tar"));
        assert_eq!(with("a/b.tar").unwrap().format, Some(Format::of(Path::new("x.tar")).unwrap()));
        for path in ["/a", "..", "a/../b", "", ".", "a\0b"] {
            assert!(with(path).unwrap_err().contains("output_file"), "{path:?}");
        }
        let nameless = Uri { output_file: Some("x".into()), ..uri("http://h") };
        assert_eq!(Item::new(&nameless, None).unwrap().path, Path::new("x"));
    }

    #[test]
    fn what_is_executable_is_not_extracted() {
        let both = Uri { executable: true, ..uri("/a.tar") };
        assert_eq!(Item::new(&both, None).unwrap().format, None);
    }
}
