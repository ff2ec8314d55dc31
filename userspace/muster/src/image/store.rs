//! Questions to an agent about its image store.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::address::with_port;

/// How long an answer may take; a pull may take for ever.
const PATIENCE: Duration = Duration::from_mins(5);

/// The image store of one agent.
pub(super) struct Store {
    agent: String,
    client: Agent,
}

impl Store {
    /// That of the agent at `HOST` or `HOST:PORT`.
    pub(super) fn at(address: &str) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = with_port(address, 5051);
        Self { agent, client: Agent::new_with_config(config.build()) }
    }

    /// What the agent has pulled or unpacked.
    pub(super) fn images(&self) -> anyhow::Result<Vec<Value>> {
        let request = self.client.get(self.url("/images"));
        let answer = request.config().timeout_global(Some(PATIENCE)).build().call();
        let answer: Value = serde_json::from_str(&self.text(answer)?)
            .with_context(|| format!("the answer of the agent at {}", self.agent))?;
        Ok(answer["images"].as_array().cloned().unwrap_or_default())
    }

    /// Removes an image; the names of what was removed.
    pub(super) fn remove(&self, image: &str) -> anyhow::Result<Vec<String>> {
        let request = self.client.delete(self.url("/images")).query("name", image);
        let answer = request.config().timeout_global(Some(PATIENCE)).build().call();
        let answer: Value = serde_json::from_str(&self.text(answer)?)?;
        let names = answer["images"].as_array().into_iter().flatten();
        Ok(names.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Removes all images that nothing uses, but for these: Mesos' call.
    pub(super) fn prune(&self, excluded: &[String]) -> anyhow::Result<()> {
        let image = |name: &String| json!({"type": "DOCKER", "docker": {"name": name}});
        let excluded = excluded.iter().map(image).collect::<Vec<_>>();
        let call = json!({"type": "PRUNE_IMAGES", "prune_images": {"excluded_images": excluded}});
        let request = self.client.post(self.url("/api/v1"));
        let request = request.config().timeout_global(Some(PATIENCE)).build();
        // Agents take no charset beside it.
        let request = request.content_type("application/json");
        self.text(request.send(call.to_string())).map(drop)
    }

    /// Pulls an image, and says meanwhile how far that is.
    pub(super) fn pull(
        &self,
        image: &str,
        force: bool,
        mut say: impl FnMut(&str),
    ) -> anyhow::Result<Value> {
        let request = self.client.post(self.url("/images/pull"));
        let answer = self.checked(request.send_json(json!({"name": image, "force": force})))?;
        for line in BufReader::new(answer.into_body().into_reader()).lines() {
            let line = line.with_context(|| format!("the agent at {}", self.agent))?;
            let mut said: Value = serde_json::from_str(&line).context("the answer is no JSON")?;
            if let Some(error) = said["error"].as_str() {
                bail!("{error}");
            }
            if said["image"].is_object() {
                return Ok(said["image"].take());
            }
            if let Some(message) = said["progress"]["message"].as_str() {
                say(message);
            }
        }
        bail!("the agent at {} has stopped telling; the pull may go on", self.agent)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.agent)
    }

    fn text(&self, answer: Result<Response<Body>, ureq::Error>) -> anyhow::Result<String> {
        Ok(self.checked(answer)?.body_mut().read_to_string()?)
    }

    /// The answer, if it is one; else what the agent says is wrong.
    fn checked(
        &self,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> anyhow::Result<Response<Body>> {
        let mut answer = answer.with_context(|| format!("asking the agent at {}", self.agent))?;
        if answer.status() == 200 {
            return Ok(answer);
        }
        let text = answer.body_mut().read_to_string()?;
        match text.trim() {
            "" => bail!("the agent at {} says {}", self.agent, answer.status()),
            reason => bail!("{reason}"),
        }
    }
}
