//! Answers of the API.

use serde_json::{Value, json};

use crate::reader::Problems;

/// What an answer carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON.
    Json(Value),
    /// Plain text.
    Text(String),
}

/// An answer to a request, as HTTP has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Headers besides the content type.
    pub headers: Vec<(&'static str, String)>,
    /// What it carries.
    pub body: Body,
}

impl Reply {
    /// JSON with a status.
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Body::Json(body) }
    }

    /// 200 with JSON.
    pub fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    /// 200 with plain text.
    pub fn text(body: impl Into<String>) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Text(body.into()) }
    }

    /// A status and nothing else.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Empty }
    }

    /// An error with a message.
    pub fn error(status: u16, message: impl Into<String>) -> Self {
        Self::json(status, json!({ "message": message.into() }))
    }

    /// 404: no such application.
    pub fn unknown_app(id: impl std::fmt::Display) -> Self {
        Self::error(404, format!("App '{id}' does not exist"))
    }

    /// 422: mistakes in what was sent.
    pub fn invalid(problems: Problems) -> Self {
        Self::json(422, problems.into_json())
    }

    /// 422: one mistake in what was sent.
    pub fn invalid_at(path: &str, error: impl Into<String>) -> Self {
        let problems = Problems::default();
        problems.add(crate::reader::Kind::Value, path, error);
        Self::invalid(problems)
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
