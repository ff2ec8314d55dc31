//! Query parameters.

use axum::extract::Query;
use axum::http::Uri;

use crate::reply::Reply;

/// The parameters of a request in their order; names may be repeated.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query string.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, Reply> {
        let Some(query) = query else { return Ok(Self::default()) };
        let malformed = |e: String| Reply::error(400, format!("malformed query string: {e}"));
        let uri: Uri = format!("/?{query}").parse().map_err(|e| malformed(format!("{e}")))?;
        let Query(pairs) = Query::try_from_uri(&uri).map_err(|e| malformed(e.body_text()))?;
        Ok(Self(pairs))
    }

    /// Every value of `name`.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of `name`.
    pub(super) fn first(&self, name: &str) -> Option<String> {
        self.all(name).next().map(str::to_owned)
    }

    /// `true` or `false`, in any case as clients write them.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Reply> {
        match self.all(name).next().map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(Reply::error(
                400,
                format!("query parameter '{name}' must be true or false, not '{other}'"),
            )),
        }
    }
}
