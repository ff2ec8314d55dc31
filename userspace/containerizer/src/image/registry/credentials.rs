//! Docker's `config.json`: who we are to which registry.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::Secret;

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// User and password, encoded as `Authorization: Basic` has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials(Secret);

impl Credentials {
    /// Those for the registry `host` in the text of a `config.json`. An error says what is
    /// wrong, and nothing of what is in there.
    pub(crate) fn find(config: &str, host: &str) -> Result<Option<Self>, String> {
        let config: Config = serde_json::from_str(config)
            .map_err(|error| format!("line {} is not as in a Docker config.json", error.line()))?;
        let host = canonical(host);
        let found = config.auths.iter().find(|(key, _)| canonical(key) == host);
        let Some((name, entry)) = found else { return Ok(None) };
        let encoded = match (&entry.auth, &entry.username, &entry.password) {
            (Some(auth), ..) if !auth.is_empty() => auth.clone(),
            (_, Some(user), Some(password)) => STANDARD.encode(format!("{user}:{password}")),
            _ if entry.identitytoken.is_some() => {
                return Err(format!("auths.{name}.identitytoken is not supported; give auth"));
            }
            _ => return Ok(None),
        };
        let decoded = STANDARD.decode(&encoded);
        if !decoded.is_ok_and(|decoded| decoded.contains(&b':')) {
            return Err(format!("auths.{name}.auth is not USER:PASSWORD in base64"));
        }
        Ok(Some(Self(Secret::new(encoded))))
    }

    /// The user and the password.
    pub(crate) fn parts(&self) -> Option<(String, String)> {
        let decoded = String::from_utf8(STANDARD.decode(self.0.reveal()).ok()?).ok()?;
        let (user, password) = decoded.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }

    /// The header's value.
    pub(crate) fn header(&self) -> String {
        format!("Basic {}", self.0.reveal())
    }
}

/// Keys are hosts or URLs, and Docker's own registry is known by an old one.
fn canonical(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = key.split_once('/').map_or(key, |(host, _)| host);
    if matches!(host, "docker.io" | "index.docker.io") { "registry-1.docker.io" } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"auths": {
        "https://index.docker.io/v1/": {"auth": "dTpw"},
        "r.example:5000": {"username": "u", "password": "p:q"},
        "bad.example": {"auth": "?secret"},
        "token.example": {"identitytoken": "secret"}
    }, "credsStore": "x"}"#;

    #[test]
    fn are_found_by_host() {
        let find = |host| Credentials::find(CONFIG, host).unwrap();
        assert_eq!(find("registry-1.docker.io").unwrap().header(), "Basic dTpw");
        assert_eq!(find("r.example:5000").unwrap().header(), "Basic dTpwOnE=");
        assert_eq!(find("r.example"), None);
        let parts = find("r.example:5000").unwrap().parts();
        assert_eq!(parts, Some(("u".to_owned(), "p:q".to_owned())));
    }

    #[test]
    fn errors_do_not_tell_secrets() {
        let malformed = "{\"auths\": \"secret\"}";
        for (config, host) in
            [(CONFIG, "bad.example"), (CONFIG, "token.example"), (malformed, "r.example")]
        {
            let error = Credentials::find(config, host).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
        let credentials = Credentials::find(CONFIG, "r.example:5000").unwrap();
        assert!(!format!("{credentials:?}").contains("dTpw"));
    }
}
