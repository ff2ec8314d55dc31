//! Where an image is to be had.

use super::super::reference::Reference;
use super::settings::{Endpoint, Registries};

/// Docker's registry has other names than where it is.
const HUB: &[&str] = &["docker.io", "index.docker.io"];
const HUB_HOST: &str = "registry-1.docker.io";

/// Where to ask for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The registry, after its mirrors: to be asked in this order.
    pub(crate) endpoints: Vec<Endpoint>,
    /// The name in it: `library/nginx`.
    pub(crate) repository: String,
}

impl Address {
    /// Reads a name as Docker does: a first component with a `.`, a `:` or `localhost` is a
    /// registry; a name of one component at the default one is in `library/`. `None` if there
    /// is nowhere to ask; an error is what is wrong with the name.
    pub(crate) fn of(
        reference: &Reference,
        registries: &Registries,
    ) -> Option<Result<Self, String>> {
        let name = reference.name.as_str();
        let (registry, rest) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                let hub = HUB.contains(&first);
                (Some(if hub { HUB_HOST } else { first }), rest)
            }
            _ => (None, name),
        };
        let urls: Vec<&str> = if let Some(registry) = registry {
            vec![registry]
        } else {
            let mut default =
                registries.default.iter().filter(|_| registries.directory().is_none());
            let default = default.next_back()?;
            registries.mirrors.iter().chain([default]).map(String::as_str).collect()
        };
        let official = !rest.contains('/') && registry.is_none_or(|host| host == HUB_HOST);
        let repository = if official { format!("library/{rest}") } else { rest.to_owned() };
        if !repository.split('/').all(lower) {
            return Some(Err(format!(
                "`{repository}` is no name in a registry: lower-case letters, digits, `.`, `_` \
                 and `-`"
            )));
        }
        let endpoints: Result<_, _> =
            urls.into_iter().map(|url| registries.endpoint(url)).collect();
        Some(endpoints.map(|endpoints| Self { endpoints, repository }))
    }
}

fn lower(component: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    component.bytes().next().is_some_and(plain)
        && component.bytes().all(|c| plain(c) || b"._-".contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(name: &str) -> Result<(String, String), String> {
        let registries = Registries {
            default: Some("https://default.example".into()),
            mirrors: vec!["https://mirror.example".into()],
            ..Registries::default()
        };
        let address = Address::of(&Reference::parse(name).unwrap(), &registries).unwrap()?;
        let hosts: Vec<_> = address.endpoints.into_iter().map(|endpoint| endpoint.host).collect();
        Ok((hosts.join(" "), address.repository))
    }

    #[test]
    fn names_are_read_as_docker_does() {
        for (name, hosts, repository) in [
            ("nginx", "mirror.example default.example", "library/nginx"),
            ("team/app", "mirror.example default.example", "team/app"),
            ("docker.io/nginx", HUB_HOST, "library/nginx"),
            ("docker.io/team/app", HUB_HOST, "team/app"),
            ("quay.example/app", "quay.example", "app"),
            ("localhost/app", "localhost", "app"),
            ("host:5000/a/b/c", "host:5000", "a/b/c"),
        ] {
            assert_eq!(address(name), Ok((hosts.into(), repository.into())), "{name}");
        }
        assert!(address("Upper").unwrap_err().contains("lower-case"));
    }

    #[test]
    fn without_a_default_only_names_with_a_registry() {
        let registries = Registries::default();
        let of = |name| Address::of(&Reference::parse(name).unwrap(), &registries);
        assert_eq!(of("nginx"), None);
        assert!(of("quay.example/app").unwrap().is_ok());
    }
}
