//! HTTP from a machine of the cluster.

use std::time::Duration;

use serde_json::Value;
use ureq::http::Request;

use crate::error::{Error, Result};
use crate::interrupt;
use crate::netns::NetNs;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body as text.
    pub body: String,
    /// What was asked, for messages: method and address.
    pub request: (String, String),
}

impl Response {
    /// This answer if it is a success (2xx).
    ///
    /// # Errors
    /// [`Error::Status`] otherwise.
    pub fn success(self) -> Result<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let (method, url) = self.request;
        Err(Error::Status { method, url, status: self.status, body: self.body })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Error::Unexpected`] when it is not JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).map_err(|error| Error::Unexpected {
            what: format!("the answer to {} {}", self.request.0, self.request.1),
            reason: format!("{error} in {:?}", self.body),
        })
    }
}

/// Sends requests from one machine.
#[derive(Clone, Debug)]
pub struct Http {
    netns: NetNs,
}

impl Http {
    /// Requests from the machine `netns`.
    pub fn from_machine(netns: NetNs) -> Self {
        Self { netns }
    }

    /// Asks for `url`.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer; any status is an answer.
    pub fn get(&self, url: &str) -> Result<Response> {
        self.send("GET", url, None)
    }

    /// Sends `method` to `url`, with `body` as `application/json` if there is one. The body is
    /// text, so that one can also send what is not JSON.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer; any status is an answer.
    pub fn send(&self, method: &str, url: &str, body: Option<&str>) -> Result<Response> {
        interrupt::check()?;
        self.netns.run(|| {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .timeout_global(Some(TIMEOUT))
                .http_status_as_error(false)
                .allow_non_standard_methods(true)
                .build()
                .into();
            let request = Request::builder().method(method).uri(url);
            let failed = |reason: String| Error::Http {
                method: method.to_owned(),
                url: url.to_owned(),
                reason,
            };
            let answer = match body {
                Some(body) => request
                    .header("content-type", "application/json")
                    .body(body.to_owned())
                    .map_err(ureq::Error::from)
                    .and_then(|request| agent.run(request)),
                None => request
                    .body(())
                    .map_err(ureq::Error::from)
                    .and_then(|request| agent.run(request)),
            };
            let mut answer = answer.map_err(|error| failed(error.to_string()))?;
            let status = answer.status().as_u16();
            let body = answer.body_mut().read_to_string().map_err(|e| failed(e.to_string()))?;
            Ok(Response { status, body, request: (method.to_owned(), url.to_owned()) })
        })
    }
}
