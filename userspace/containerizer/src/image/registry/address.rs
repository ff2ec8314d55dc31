//! Where an image is to be had.

use super::super::reference::Reference;
use super::settings::{Endpoint, HUB, Registries};

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
    /// registry. As Mesos does, a name of one component is in `library/` at Docker's own
    /// registry and at no other. The default registry has its mirrors by whichever name it is
    /// meant. `None` if there is nowhere to ask; an error is what is wrong with the name.
    pub(crate) fn of(
        reference: &Reference,
        registries: &Registries,
    ) -> Option<Result<Self, String>> {
        let name = reference.name.as_str();
        let (registry, rest) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (Some(first), rest)
            }
            _ => (None, name),
        };
        if registry.is_none() && registries.default_url().is_none() {
            return None;
        }
        Some(Self::at(registry, rest, registries))
    }

    fn at(registry: Option<&str>, rest: &str, registries: &Registries) -> Result<Self, String> {
        let default = registries.default_url().map(|url| registries.endpoint(url)).transpose()?;
        let named = registry.map(|host| registries.endpoint(host)).transpose()?;
        let (registry, mirrors) = match (named, default) {
            (Some(named), Some(default)) if named.host != default.host => (named, &[][..]),
            (_, Some(default)) => (default, &registries.mirrors[..]),
            (Some(named), None) => (named, &[][..]),
            (None, None) => return Err("it has no registry, and there is no default".into()),
        };
        let official = !rest.contains('/') && registry.host == HUB;
        let repository = if official { format!("library/{rest}") } else { rest.to_owned() };
        if !repository.split('/').all(lower) {
            return Err(format!(
                "`{repository}` is no name in a registry: lower-case letters, digits, `.`, `_` \
                 and `-`"
            ));
        }
        let mirrors = mirrors.iter().map(|url| registries.endpoint(url));
        let endpoints = mirrors.chain([Ok(registry)]).collect::<Result<_, _>>()?;
        Ok(Self { endpoints, repository })
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

    fn registries(default: &str) -> Registries {
        Registries {
            default: Some(default.into()),
            mirrors: vec!["https://mirror.example".into()],
            ..Registries::default()
        }
    }

    fn address(name: &str, registries: &Registries) -> Result<(String, String), String> {
        let address = Address::of(&Reference::parse(name).unwrap(), registries).unwrap()?;
        let hosts: Vec<_> = address.endpoints.into_iter().map(|endpoint| endpoint.host).collect();
        Ok((hosts.join(" "), address.repository))
    }

    #[test]
    fn names_are_read_as_docker_does() {
        let with_mirror = format!("mirror.example {HUB}");
        for default in ["https://registry-1.docker.io", "https://docker.io/", "index.docker.io"] {
            for (name, hosts, repository) in [
                ("nginx", &*with_mirror, "library/nginx"),
                ("team/app", &with_mirror, "team/app"),
                ("docker.io/nginx", &with_mirror, "library/nginx"),
                ("index.docker.io/library/nginx", &with_mirror, "library/nginx"),
                ("docker.io/team/app", &with_mirror, "team/app"),
                ("registry-1.docker.io/nginx", &with_mirror, "library/nginx"),
                ("quay.example/app", "quay.example", "app"),
                ("localhost/app", "localhost", "app"),
                ("host:5000/a/b/c", "host:5000", "a/b/c"),
            ] {
                let found = address(name, &registries(default));
                assert_eq!(found, Ok((hosts.into(), repository.into())), "{name} of {default}");
            }
        }
        assert!(address("Upper", &registries(HUB)).unwrap_err().contains("lower-case"));
    }

    #[test]
    fn only_dockers_own_registry_has_a_library() {
        let registries = registries("https://reg.corp");
        for (name, hosts, repository) in [
            ("app", "mirror.example reg.corp", "app"),
            ("team/app", "mirror.example reg.corp", "team/app"),
            ("reg.corp/app", "mirror.example reg.corp", "app"),
            ("docker.io/nginx", HUB, "library/nginx"),
            ("reg.corp:5000/app", "reg.corp:5000", "app"),
        ] {
            assert_eq!(address(name, &registries), Ok((hosts.into(), repository.into())), "{name}");
        }
    }

    #[test]
    fn without_a_default_only_names_with_a_registry() {
        for default in [None, Some("/archives".to_owned())] {
            let registries = Registries { default, ..registries("") };
            let of = |name| Address::of(&Reference::parse(name).unwrap(), &registries);
            assert_eq!(of("nginx"), None);
            let address = address("quay.example/app", &registries);
            assert_eq!(address, Ok(("quay.example".into(), "app".into())));
            let address = of("docker.io/nginx").unwrap().unwrap();
            assert_eq!(address.repository, "library/nginx");
        }
    }
}
