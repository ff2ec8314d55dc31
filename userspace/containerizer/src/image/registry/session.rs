//! Talking with one registry about one repository.

use std::io::Read as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::super::ImageError;
use super::challenge::Challenge;
use super::credentials::Credentials;
use super::settings::{Endpoint, Registries};
use crate::web;

/// How long a registry may say nothing.
const SILENCE: Duration = Duration::from_mins(1);
/// A token and what surrounds it, in bytes.
const TOKEN_MAX: u64 = 1 << 20;
/// How often it is asked that is in trouble, or wants to be asked less often.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);
/// Who wants a longer pause than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A registry, to one who may pull from a repository.
pub(crate) struct Session {
    image: String,
    endpoint: Endpoint,
    repository: String,
    agent: Agent,
    credentials: Option<Credentials>,
    /// What the registry took last.
    authorization: Mutex<Option<String>>,
}

/// What a token server answers; older ones call it `token`.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Session {
    /// A session about `repository`, of which nothing is said to the registry yet.
    pub(crate) fn new(
        image: &str,
        endpoint: Endpoint,
        repository: &str,
        credentials: Option<Credentials>,
        registries: &Registries,
    ) -> Result<Self, ImageError> {
        let certificates = registries.certificates.as_deref();
        let agent = web::client(endpoint.secure, SILENCE, certificates).map_err(|reason| {
            let (image, registry) = (image.to_owned(), endpoint.host.clone());
            ImageError::Registry { image, registry, step: "trust".into(), reason }
        })?;
        Ok(Self {
            image: image.to_owned(),
            endpoint,
            repository: repository.to_owned(),
            agent,
            credentials,
            authorization: Mutex::default(),
        })
    }

    /// The registry.
    pub(crate) fn host(&self) -> &str {
        &self.endpoint.host
    }

    /// `GET /v2/<repository>/<path>`, as who the registry wants us to be. The answer's status
    /// is the caller's to judge.
    pub(crate) fn get(
        &self,
        step: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response<Body>, ImageError> {
        let url = format!("{}/v2/{}/{path}", self.endpoint.base(), self.repository);
        let before = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = self.send(step, &url, headers, before.as_deref())?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let mut challenges = answer.headers().get_all("www-authenticate").iter();
        let challenge = challenges.find_map(|value| Challenge::parse(value.to_str().ok()?));
        let authorization = match challenge {
            Some(Challenge::Basic) => self.basic(step)?,
            Some(Challenge::Bearer { realm, service }) => {
                Some(self.token(&realm, service.as_deref())?)
            }
            None => None,
        };
        let Some(authorization) = authorization else { return Ok(answer) };
        let answer = self.send(step, &url, headers, Some(&authorization))?;
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(authorization);
        Ok(answer)
    }

    /// `Authorization: Basic`, if we have a password.
    fn basic(&self, step: &str) -> Result<Option<String>, ImageError> {
        match &self.credentials {
            Some(Credentials::Password(encoded)) => Ok(Some(format!("Basic {}", encoded.reveal()))),
            Some(Credentials::Identity(_)) => Err(self.failed(
                step,
                "it wants a user and a password, and has no token server for the identitytoken \
                 of its credentials: give auth"
                    .into(),
            )),
            Some(Credentials::Unread(_)) | None => Ok(None),
        }
    }

    /// Asks the token server for leave to pull: by the password or, with an identity token, as
    /// OAuth 2 has it (RFC 6749 section 6).
    fn token(&self, realm: &str, service: Option<&str>) -> Result<String, ImageError> {
        let step = format!("get a token from {realm}");
        let failed = |reason: String| self.failed(&step, reason);
        let scope = format!("repository:{}:pull", self.repository);
        let answer = if let Some(Credentials::Identity(token)) = &self.credentials {
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", token.reveal()),
                ("client_id", "muster"),
                ("scope", &scope),
            ];
            let service = service.map(|service| ("service", service));
            self.agent.post(realm).send_form(form.into_iter().chain(service))
        } else {
            let mut request = self.agent.get(realm).query("scope", scope);
            if let Some(service) = service {
                request = request.query("service", service);
            }
            if let Some(authorization) = self.basic(&step)? {
                request = request.header("authorization", authorization);
            }
            request.call()
        };
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(self.refused(&step, answer.status()));
        }
        let mut text = Vec::new();
        let mut body = answer.into_body().into_reader().take(TOKEN_MAX);
        body.read_to_end(&mut text).map_err(|error| failed(error.to_string()))?;
        // What is wrong with it is not quoted: it may be a secret.
        let token = serde_json::from_slice::<Token>(&text).ok();
        match token.and_then(|token| token.access_token.or(token.token)) {
            Some(token) => Ok(format!("Bearer {token}")),
            None => Err(failed("the answer holds no token".into())),
        }
    }

    /// Asks, and asks again after a pause if the answer is that it may be another later. The
    /// pause is what the registry says (RFC 9110 section 10.2.3), or longer each time.
    fn send(
        &self,
        step: &str,
        url: &str,
        headers: &[(&str, &str)],
        authorization: Option<&str>,
    ) -> Result<Response<Body>, ImageError> {
        let mut attempt = 1;
        loop {
            let answer = self.send_once(step, url, headers, authorization)?;
            let status = answer.status();
            let passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            let asked = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
            let asked = asked.and_then(|seconds| seconds.trim().parse().ok());
            let pause = asked.map_or(PAUSE * 2_u32.pow(attempt), Duration::from_secs);
            if !passing || attempt == ATTEMPTS || pause > PATIENCE {
                return Ok(answer);
            }
            tracing::warn!(image = self.image, step, %status, ?pause, "asking again");
            sleep(pause);
            attempt += 1;
        }
    }

    fn send_once(
        &self,
        step: &str,
        url: &str,
        headers: &[(&str, &str)],
        authorization: Option<&str>,
    ) -> Result<Response<Body>, ImageError> {
        let mut request = self.agent.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        request.call().map_err(|error| self.failed(step, error.to_string()))
    }

    /// The error that `step` failed.
    pub(crate) fn failed(&self, step: &str, reason: String) -> ImageError {
        let (image, registry) = (self.image.clone(), self.endpoint.host.clone());
        ImageError::Registry { image, registry, step: step.to_owned(), reason }
    }

    /// The error that `step` was answered with `status`.
    pub(crate) fn refused(&self, step: &str, status: StatusCode) -> ImageError {
        let remedy = self.credentials.as_ref().and_then(Credentials::remedy);
        let hint = match (status.as_u16(), &self.credentials, remedy) {
            (401 | 403, _, Some(remedy)) => format!("; {remedy}"),
            (401 | 403, None, _) => {
                "; give credentials in --docker-config or in the image's config secret".into()
            }
            (401 | 403, Some(_), _) => "; the credentials of --docker-config or the image's \
                                        config secret may not pull it"
                .into(),
            (404, _, remedy) => {
                let remedy = remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
                format!("; there is no such repository, tag or digest: check the name{remedy}")
            }
            (429, ..) => {
                "; it limits how often one may pull: give credentials or use a mirror".into()
            }
            (500.., ..) => "; the registry is in trouble: try again later".into(),
            _ => String::new(),
        };
        self.failed(step, format!("{status}{hint}"))
    }
}

#[expect(clippy::disallowed_methods, reason = "on a thread that is for blocking")]
fn sleep(pause: Duration) {
    std::thread::sleep(pause);
}
