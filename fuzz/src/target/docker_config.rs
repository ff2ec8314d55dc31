//! Docker's `config.json`, after a line with the registry that is asked about.

use muster_containerizer::Registries;

/// A text that is too short to be found only where it is told.
const SHORT: usize = 6;

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (host, config) = text.split_once('\n').unwrap_or(("", text));
    let registries = Registries { config: Some(config.to_owned()), ..Registries::default() };
    let found = match registries.credentials(host) {
        Err(error) => {
            let secrets = secrets(config);
            let told = secrets.iter().find(|secret| error.contains(secret.as_str()));
            assert_eq!(told, None, "{error}");
            return;
        }
        Ok(None) => return,
        Ok(Some(found)) => found,
    };
    let (password, identity) = (found.password(), found.identity_token());
    // One kind of them, and never both.
    assert!(password.is_none() || identity.is_none() && found.remedy().is_none());
    assert_ne!(identity, Some(""));
    let told = format!("{found:?}");
    for secret in identity.into_iter().filter(|secret| secret.len() > SHORT) {
        assert!(!told.contains(secret), "{told}");
    }
    if let Some((user, _)) = password {
        assert!(!user.contains(':'), "{user}");
    }
    // A registry is the same by its host and by a URL.
    let scheme = !host.contains("://") && !host.contains('/');
    if scheme {
        let url = registries.credentials(&format!("https://{host}/v1/"));
        assert_eq!(url, Ok(Some(found)));
    }
}

/// What is secret in the text of a `config.json`, as it stands there, unless it is a name in it.
fn secrets(config: &str) -> Vec<String> {
    let fields = ["auth", "password", "identitytoken", "registrytoken"];
    let texts: Vec<&str> = config.split('"').collect();
    let value = |name: &&str| {
        let at = texts.iter().position(|text| text == name)?;
        texts.get(at + 2).copied()
    };
    let values = fields.iter().filter_map(value).filter(|text| text.len() > SHORT);
    let once = values.filter(|value| config.matches(value).count() == 1);
    once.map(str::to_owned).collect()
}
