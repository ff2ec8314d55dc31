//! Docker's `config.json`: who we are to which registry.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::settings::canonical;
use crate::Secret;

/// Who we are to one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// User and password, encoded as `Authorization: Basic` has them (RFC 7617).
    Password(Secret),
    /// `identitytoken`: a refresh token (RFC 6749 section 6) for the registry's token server.
    Identity(Secret),
    /// A program may know, which is not run: the field that names it, `credsStore` or
    /// `credHelpers.<registry>`.
    Unread(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Credentials {
    /// Those for the registry `host` in the text of a `config.json`. An error says what is
    /// wrong, and nothing of what is in there.
    pub(crate) fn find(config: &str, host: &str) -> Result<Option<Self>, String> {
        let config: Config = serde_json::from_str(config)
            .map_err(|error| format!("line {} is not as in a Docker config.json", error.line()))?;
        let host = registry(host);
        for (name, entry) in config.auths.iter().filter(|(name, _)| registry(name) == host) {
            if let Some(found) = entry.credentials(name)? {
                return Ok(Some(found));
            }
        }
        let helper = config.cred_helpers.keys().find(|name| registry(name) == host);
        let helper = helper.map(|name| format!("credHelpers.{name}"));
        let store = config.creds_store.filter(|store| !store.is_empty());
        Ok(helper.or(store.map(|_| "credsStore".into())).map(Self::Unread))
    }

    /// The user and the password.
    #[must_use]
    pub fn password(&self) -> Option<(String, String)> {
        let Self::Password(encoded) = self else { return None };
        let decoded = String::from_utf8(STANDARD.decode(encoded.reveal()).ok()?).ok()?;
        let (user, password) = decoded.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }

    /// The refresh token.
    #[must_use]
    pub fn identity_token(&self) -> Option<&str> {
        if let Self::Identity(token) = self { Some(token.reveal()) } else { None }
    }

    /// What to do about credentials that a program may know, for one who was refused.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        let Self::Unread(field) = self else { return None };
        Some(format!(
            "its credentials may be where {field} of --docker-config or of the image's config \
             secret says, and such programs are not run: give them in auths"
        ))
    }
}

impl Entry {
    fn credentials(&self, name: &str) -> Result<Option<Credentials>, String> {
        let set = |field: &Option<String>| field.clone().filter(|value| !value.is_empty());
        // Beside one, `auth` has the user only.
        if let Some(token) = set(&self.identitytoken) {
            return Ok(Some(Credentials::Identity(Secret::new(token))));
        }
        let encoded = match (set(&self.auth), &self.username, &self.password) {
            (Some(auth), ..) => auth,
            (_, Some(user), Some(password)) => STANDARD.encode(format!("{user}:{password}")),
            _ if set(&self.registrytoken).is_some() => {
                return Err(format!("auths.{name}.registrytoken is not supported; give auth"));
            }
            _ => return Ok(None),
        };
        let decoded = STANDARD.decode(&encoded);
        if !decoded.is_ok_and(|decoded| decoded.contains(&b':')) {
            return Err(format!("auths.{name}.auth is not USER:PASSWORD in base64"));
        }
        Ok(Some(Credentials::Password(Secret::new(encoded))))
    }
}

/// Keys are hosts or URLs, and Docker's own registry is known by an old one.
fn registry(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    canonical(key.split_once('/').map_or(key, |(host, _)| host))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"auths": {
        "https://index.docker.io/v1/": {"auth": "dTpw"},
        "r.example:5000": {"username": "u", "password": "p:q"},
        "bad.example": {"auth": "?secret"},
        "empty.example": {},
        "token.example": {"auth": "dTo=", "identitytoken": "secret"},
        "bearer.example": {"registrytoken": "secret"}
    }, "credHelpers": {"helped.example": "gcloud", "r.example:5000": "gcloud"}}"#;

    fn find(config: &str, host: &str) -> Option<Credentials> {
        Credentials::find(config, host).unwrap()
    }

    #[test]
    fn are_found_by_host() {
        let password = |encoded: &str| Some(Credentials::Password(Secret::new(encoded.into())));
        for host in ["registry-1.docker.io", "docker.io"] {
            assert_eq!(find(CONFIG, host), password("dTpw"));
        }
        assert_eq!(find(CONFIG, "r.example:5000"), password("dTpwOnE="));
        assert_eq!(find(CONFIG, "r.example"), None);
        assert_eq!(find(CONFIG, "empty.example"), None);
        let parts = find(CONFIG, "r.example:5000").unwrap().password();
        assert_eq!(parts, Some(("u".to_owned(), "p:q".to_owned())));
        let token = Credentials::Identity(Secret::new("secret".into()));
        assert_eq!(find(CONFIG, "token.example"), Some(token));
    }

    #[test]
    fn who_else_may_know_them_is_named() {
        let unread = |field: &str| Some(Credentials::Unread(field.to_owned()));
        assert_eq!(find(CONFIG, "helped.example"), unread("credHelpers.helped.example"));
        let store = r#"{"auths": {"r.example": {}}, "credsStore": "desktop"}"#;
        assert_eq!(find(store, "r.example"), unread("credsStore"));
        assert_eq!(find(store, "other.example"), unread("credsStore"));
        assert!(find(store, "r.example").unwrap().remedy().unwrap().contains("credsStore of"));
        assert_eq!(find(r#"{"credsStore": ""}"#, "r.example"), None);
    }

    #[test]
    fn errors_do_not_tell_secrets() {
        let malformed = "{\"auths\": \"secret\"}";
        for (config, host) in
            [(CONFIG, "bad.example"), (CONFIG, "bearer.example"), (malformed, "r.example")]
        {
            let error = Credentials::find(config, host).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
        for host in ["r.example:5000", "token.example"] {
            let shown = format!("{:?}", find(CONFIG, host).unwrap());
            assert!(!shown.contains("dTpw") && !shown.contains("secret"), "{shown}");
        }
    }
}
