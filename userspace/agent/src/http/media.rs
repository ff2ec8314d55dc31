//! Media types of the operator API: messages, and streams of them in `RecordIO`.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_api::Encoding;

use super::call::{Refusal, bad_request};

const RECORDIO: &str = "application/recordio";
const MESSAGE_CONTENT_TYPE: HeaderName = HeaderName::from_static("message-content-type");
const MESSAGE_ACCEPT: HeaderName = HeaderName::from_static("message-accept");

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Media {
    /// How each message is.
    pub(super) encoding: Encoding,
    /// Whether it says that it is a stream of records.
    pub(super) recordio: bool,
}

impl Media {
    /// What a request's body is.
    pub(super) fn of_content(headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(content) = text(headers, &header::CONTENT_TYPE) else {
            return Err(bad_request("the header Content-Type is missing"));
        };
        let message = text(headers, &MESSAGE_CONTENT_TYPE);
        if content == RECORDIO {
            let Some(message) = message else {
                let problem =
                    "the header Message-Content-Type is missing, and the body is a stream";
                return Err(bad_request(problem));
            };
            let encoding = Encoding::of_content(message).ok_or_else(|| {
                unsupported(format!("Message-Content-Type {message:?} is not {MESSAGES}"))
            })?;
            return Ok(Self { encoding, recordio: true });
        }
        let encoding = Encoding::of_content(content).ok_or_else(|| {
            unsupported(format!("Content-Type {content:?} is not {MESSAGES} or {RECORDIO}"))
        })?;
        if message.is_some() {
            let problem = "Message-Content-Type is set, and the body is no stream";
            return Err(unsupported(problem.to_owned()));
        }
        Ok(Self { encoding, recordio: false })
    }

    /// How to answer: as in Mesos one message, unless only a stream is accepted.
    pub(super) fn accepted(headers: &HeaderMap) -> Result<Self, Refusal> {
        let (accept, message) = (text(headers, &header::ACCEPT), text(headers, &MESSAGE_ACCEPT));
        if let Some(encoding) = Encoding::accepted(accept) {
            if message.is_some() {
                let problem = "Message-Accept is set, and Accept allows what is no stream";
                return Err(not_acceptable(problem.to_owned()));
            }
            return Ok(Self { encoding, recordio: false });
        }
        let ranges = accept.into_iter().flat_map(|accept| accept.split(','));
        let mut types = ranges.filter_map(|range| range.split(';').next());
        if !types.any(|kind| kind.trim().eq_ignore_ascii_case(RECORDIO)) {
            return Err(not_acceptable(format!("Accept allows neither {MESSAGES} nor {RECORDIO}")));
        }
        let encoding = Encoding::accepted(message)
            .ok_or_else(|| not_acceptable(format!("Message-Accept allows neither {MESSAGES}")))?;
        Ok(Self { encoding, recordio: true })
    }

    /// What the answer says of itself.
    pub(super) fn describe(self, mut answer: Response) -> Response {
        let encoding = HeaderValue::from_static(self.encoding.media_type());
        let headers = answer.headers_mut();
        if self.recordio {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(RECORDIO));
            headers.insert(MESSAGE_CONTENT_TYPE, encoding);
        } else {
            headers.insert(header::CONTENT_TYPE, encoding);
        }
        answer
    }

    /// A body in this form.
    pub(super) fn answer(self, body: impl IntoResponse) -> Response {
        self.describe(body.into_response())
    }
}

const MESSAGES: &str = "application/json or application/x-protobuf";

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    // What is not text is not one of ours either.
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

pub(super) fn unsupported(problem: String) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem)
}

pub(super) fn not_acceptable(problem: String) -> Refusal {
    Refusal::new(StatusCode::NOT_ACCEPTABLE, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        given.iter().map(header).collect()
    }

    fn status(refused: Result<Media, Refusal>) -> u16 {
        refused.unwrap_err().into_response().status().as_u16()
    }

    #[test]
    fn bodies() {
        let content = |given: &[_]| Media::of_content(&headers(given));
        let (json, protobuf) = ("application/json", "application/x-protobuf");
        let media = content(&[("content-type", json)]).unwrap();
        assert_eq!(media, Media { encoding: Encoding::Json, recordio: false });
        let stream = ("content-type", RECORDIO);
        let media = content(&[stream, ("message-content-type", protobuf)]).unwrap();
        assert_eq!(media, Media { encoding: Encoding::Protobuf, recordio: true });
        for (given, expected) in [
            (&[][..], 400),
            (&[stream], 400),
            (&[stream, ("message-content-type", "text/plain")], 415),
            (&[("content-type", json), ("message-content-type", json)], 415),
            (&[("content-type", "text/plain")], 415),
        ] {
            assert_eq!(status(content(given)), expected, "{given:?}");
        }
    }

    #[test]
    fn answers() {
        let accepted = |given: &[_]| Media::accepted(&headers(given));
        let (json, stream) = (("accept", "application/json"), ("accept", RECORDIO));
        for (given, encoding, recordio) in [
            (&[][..], Encoding::Json, false),
            (&[("accept", "*/*")], Encoding::Json, false),
            (&[("accept", "application/x-protobuf")], Encoding::Protobuf, false),
            (&[stream], Encoding::Json, true),
            (&[stream, ("message-accept", "application/x-protobuf")], Encoding::Protobuf, true),
        ] {
            assert_eq!(accepted(given).unwrap(), Media { encoding, recordio }, "{given:?}");
        }
        for given in [
            &[("accept", "text/html")][..],
            &[json, ("message-accept", "application/json")],
            &[stream, ("message-accept", "text/html")],
        ] {
            assert_eq!(status(accepted(given)), 406, "{given:?}");
        }
    }
}
