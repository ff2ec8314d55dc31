//! What a registry answers to who may not (RFC 9110 section 11.6.1).

/// How to authenticate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password (RFC 7617).
    Basic,
    /// A token (RFC 6750) of a token server.
    Bearer {
        /// The token server's URL.
        realm: String,
        /// Whom the token is for.
        service: Option<String>,
    },
}

impl Challenge {
    /// Reads `WWW-Authenticate`; `None` if it is neither.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        let mut rest = rest;
        while let Some((name, after)) = rest.split_once('=') {
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').unwrap_or((after, "")),
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "service" => service = Some(value.to_owned()),
                _ => {}
            }
            rest = after.trim_start_matches([',', ' ']);
        }
        Some(Self::Bearer { realm: realm?, service })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_kinds() {
        assert_eq!(Challenge::parse("Basic realm=\"x\""), Some(Challenge::Basic));
        let bearer = Challenge::Bearer {
            realm: "https://auth.example/token".into(),
            service: Some("r.example".into()),
        };
        let header = "Bearer realm=\"https://auth.example/token\",service=\"r.example\", \
                      scope=\"repository:a/b:pull,push\",error=invalid_token";
        assert_eq!(Challenge::parse(header), Some(bearer));
    }

    #[test]
    fn others_are_none() {
        for header in ["", "Negotiate", "Bearer", "Bearer realm=\"open", "Digest realm=\"x\""] {
            assert_eq!(Challenge::parse(header), None, "{header}");
        }
    }
}
