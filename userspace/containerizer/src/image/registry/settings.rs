//! Which registries there are.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::credentials::Credentials;

/// Where Docker's own registry is, which has other names than that.
pub(crate) const HUB: &str = "registry-1.docker.io";
const HUB_NAMES: &[&str] = &["docker.io", "index.docker.io"];

/// Where images come from that are not in the local store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registries {
    /// `--docker-registry`: where names without a registry are pulled from, as
    /// `https://registry-1.docker.io`, or the absolute path of a directory with archives
    /// (`docker save`, `<name>[:<tag>].tar`). `None`: such names are only looked for locally.
    /// Names of one component are in `library/` where it is Docker's own registry.
    pub default: Option<String>,
    /// `--docker-registry-mirror`: asked before the default registry, in this order, also if an
    /// image's name says that registry; URLs.
    pub mirrors: Vec<String>,
    /// `--insecure-registry`: registries on this machine, `127.0.0.1:5000`, that are spoken
    /// to without TLS.
    pub insecure: Vec<String>,
    /// `--docker-config`: the text of Docker's `config.json`, with the credentials of
    /// registries.
    pub config: Option<String>,
    /// `--docker-registry-ca`: a file with the certificates (PEM) of those who may vouch for
    /// registries. `None` is the system's.
    pub certificates: Option<PathBuf>,
}

/// A registry that can be spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `HOST` or `HOST:PORT`.
    pub(crate) host: String,
    /// Whether by TLS.
    pub(crate) secure: bool,
}

impl Registries {
    /// Checks what can be checked without asking: the field and what is wrong with it.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        if let Some(directory) = self.directory().filter(|directory| !directory.is_dir()) {
            return Err(("docker_registry", format!("{} is no directory", directory.display())));
        }
        let default = self.default_url().map(|url| ("docker_registry", url));
        let mirrors = self.mirrors.iter().map(|url| ("docker_registry_mirror", url.as_str()));
        for (flag, url) in default.into_iter().chain(mirrors) {
            self.endpoint(url).map_err(|reason| (flag, reason))?;
        }
        for host in &self.insecure {
            if !is_loopback(host) {
                let reason = format!(
                    "`{host}` is not on this machine; give the registry a certificate, and \
                     --docker-registry-ca if the system does not know who vouches for it"
                );
                return Err(("insecure_registry", reason));
            }
        }
        Ok(())
    }

    /// The directory of archives that stands for the default registry.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.default.as_deref().filter(|default| default.starts_with('/')).map(Path::new)
    }

    /// The default registry, if it is one.
    pub(crate) fn default_url(&self) -> Option<&str> {
        self.default.as_deref().filter(|_| self.directory().is_none())
    }

    /// Who the configuration says that we are to the registry `host`.
    ///
    /// # Errors
    /// What is wrong with the configuration, in words that tell none of its secrets.
    pub fn credentials(&self, host: &str) -> Result<Option<Credentials>, String> {
        self.config.as_deref().map_or(Ok(None), |config| Credentials::find(config, host))
    }

    /// The registry that `url` or a bare host name stands for.
    pub(crate) fn endpoint(&self, url: &str) -> Result<Endpoint, String> {
        let (scheme, host) = match url.split_once("://") {
            Some((scheme, host)) => (Some(scheme), host),
            None => (None, url),
        };
        let host = host.trim_end_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        if host.is_empty() || !host.chars().all(plain) {
            return Err(format!("`{url}` is not https://HOST or https://HOST:PORT"));
        }
        let host = canonical(host);
        let insecure = self.insecure.iter().any(|insecure| insecure == host);
        let secure = match scheme {
            Some("https") => true,
            None => !insecure,
            Some("http") if insecure => false,
            Some("http") => {
                return Err(format!(
                    "`{url}` is without TLS, which only a registry on this machine may be that \
                     is given with --insecure-registry"
                ));
            }
            Some(other) => return Err(format!("`{url}` has the scheme {other} instead of https")),
        };
        Ok(Endpoint { host: host.to_owned(), secure })
    }
}

impl Endpoint {
    /// What its paths are appended to.
    pub(crate) fn base(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.host)
    }
}

/// Where the registry of this name is.
pub(super) fn canonical(host: &str) -> &str {
    if HUB_NAMES.contains(&host) { HUB } else { host }
}

fn is_loopback(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|host| host.split_once(']'));
    let name = match bracketed {
        Some((name, _)) => name,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insecure(host: &str) -> Registries {
        Registries { insecure: vec![host.into()], ..Registries::default() }
    }

    #[test]
    fn only_this_machine_may_be_insecure() {
        for host in ["127.0.0.1:5000", "localhost", "localhost:1", "[::1]:5000"] {
            insecure(host).validate().unwrap();
        }
        for host in ["10.0.0.1:5000", "registry.example", "127.0.0.1.example:80", ""] {
            let (flag, reason) = insecure(host).validate().unwrap_err();
            assert_eq!(flag, "insecure_registry");
            assert!(reason.contains("--docker-registry-ca"), "{reason}");
        }
    }

    #[test]
    fn without_tls_only_where_that_was_said() {
        let registries = insecure("127.0.0.1:5000");
        assert_eq!(registries.endpoint("127.0.0.1:5000").unwrap().base(), "http://127.0.0.1:5000");
        assert!(registries.endpoint("https://127.0.0.1:5000").unwrap().secure);
        assert!(registries.endpoint("r.example").unwrap().secure);
        assert!(registries.endpoint("http://r.example").unwrap_err().contains("without TLS"));
        assert!(registries.endpoint("ftp://r.example").unwrap_err().contains("scheme ftp"));
        assert!(registries.endpoint("https://user@r.example/x").is_err());
    }
}
