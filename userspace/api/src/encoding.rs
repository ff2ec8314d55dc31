//! How messages of the v1 HTTP API are written: JSON or protobuf.

use prost::{Message, Name};

use crate::json::Json;
use crate::{Error, json, wire};

/// A media type of the v1 HTTP API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`.
    Json,
    /// `application/x-protobuf`.
    Protobuf,
}

impl Encoding {
    /// The one that a `Content-Type` names; exactly, as in Mesos.
    pub fn of_content(content_type: &str) -> Option<Self> {
        [Self::Json, Self::Protobuf]
            .into_iter()
            .find(|encoding| encoding.media_type() == content_type)
    }

    /// The one to answer with, by the `Accept` header (RFC 9110, 12.5.1): JSON if both will do.
    pub fn accepted(accept: Option<&str>) -> Option<Self> {
        [Self::Json, Self::Protobuf]
            .into_iter()
            .find(|encoding| accept.is_none_or(|accept| accepts(accept, encoding.media_type())))
    }

    /// Its name in `Content-Type` and `Accept`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/x-protobuf",
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// What [`json::from_slice`] and [`wire::decode`] refuse.
    pub fn decode<M: Message + Name + Default>(self, bytes: &[u8]) -> Result<M, Error> {
        match self {
            Self::Json => json::from_slice(bytes),
            Self::Protobuf => wire::decode(bytes),
        }
    }

    /// Writes a message.
    ///
    /// # Errors
    /// [`Error::Json`] and [`Error::Unknown`], for types that are not generated here.
    pub fn encode<M: Message + Name>(self, message: &M) -> Result<Vec<u8>, Error> {
        match self {
            Self::Json => Ok(serde_json::to_vec(&Json(message))?),
            Self::Protobuf => wire::encode(message),
        }
    }
}

/// Whether the most specific range that fits the type has a weight above zero.
fn accepts(accept: &str, media_type: &str) -> bool {
    let kind = media_type.split('/').next().unwrap_or_default();
    let candidates = [media_type.to_owned(), format!("{kind}/*"), "*/*".to_owned()];
    candidates
        .iter()
        .find_map(|candidate| {
            accept.split(',').find_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let fits = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(candidate));
                fits.then(|| parts.find_map(weight).unwrap_or(1.0) > 0.0)
            })
        })
        .unwrap_or(false)
}

/// The number of `q=0.5`.
fn weight(parameter: &str) -> Option<f64> {
    let (name, value) = parameter.split_once('=')?;
    if name.trim().eq_ignore_ascii_case("q") {
        Some(value.trim().parse().unwrap_or(0.0))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers() {
        for (accept, wanted) in [
            (None, Some(Encoding::Json)),
            (Some("*/*"), Some(Encoding::Json)),
            (Some("application/*"), Some(Encoding::Json)),
            (Some("application/x-protobuf"), Some(Encoding::Protobuf)),
            (Some("text/html, Application/JSON;q=0.5"), Some(Encoding::Json)),
            (Some("application/json;q=0, */*"), Some(Encoding::Protobuf)),
            (Some("application/json;q=0.0"), None),
            (Some("text/html"), None),
            (Some(""), None),
        ] {
            assert_eq!(Encoding::accepted(accept), wanted, "{accept:?}");
        }
    }

    #[test]
    fn content_types_are_exact() {
        assert_eq!(Encoding::of_content("application/json"), Some(Encoding::Json));
        assert_eq!(Encoding::of_content("application/x-protobuf"), Some(Encoding::Protobuf));
        assert_eq!(Encoding::of_content("application/json; charset=utf-8"), None);
        assert_eq!(Encoding::of_content("unsupported/media-type"), None);
    }
}
