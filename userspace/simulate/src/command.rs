//! Commands, as a line has them.

mod agents;
mod frameworks;
mod offers;
mod settings;

use serde::Deserialize;
use serde_json::Value as Json;

pub(crate) use self::agents::{AddAgent, Maintenance, Site, UpdateAgent};
pub(crate) use self::frameworks::{AddFramework, Roles};
pub(crate) use self::offers::{Accept, Allocate, Answer, Decline, Demand, Op, Release, Transform};
pub(crate) use self::settings::{Advance, Config, SetQuota, SetWeight, Sorter};

use crate::error::{Problem, Refusal, at};

/// A command: the only key of a line's object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    AddAgent(Box<AddAgent>),
    UpdateAgent(Box<UpdateAgent>),
    RemoveAgent(Id),
    AddFramework(Box<AddFramework>),
    RemoveFramework(Id),
    DeactivateFramework(Id),
    ActivateFramework(Id),
    Suppress(Roles),
    Revive(Roles),
    SetWeight(SetWeight),
    SetQuota(SetQuota),
    Allocate(Allocate),
    Accept(Accept),
    Decline(Decline),
    Release(Release),
    Operation(Box<Transform>),
    Maintenance(Maintenance),
    AcceptInverse(Answer),
    DeclineInverse(Answer),
    Advance(Advance),
    Shares(Nothing),
    Config(Config),
    Demand(Demand),
    Fill(Nothing),
}

impl Command {
    /// Whether shares may be others afterwards, and at once; filling moves them task by task.
    pub(crate) fn moves_shares(&self) -> bool {
        match self {
            Self::AddAgent(_)
            | Self::UpdateAgent(_)
            | Self::RemoveAgent(_)
            | Self::AddFramework(_)
            | Self::RemoveFramework(_)
            | Self::SetWeight(_)
            | Self::Allocate(_)
            | Self::Accept(_)
            | Self::Decline(_)
            | Self::Release(_)
            | Self::Operation(_) => true,
            Self::DeactivateFramework(_)
            | Self::ActivateFramework(_)
            | Self::Suppress(_)
            | Self::Revive(_)
            | Self::SetQuota(_)
            | Self::Maintenance(_)
            | Self::AcceptInverse(_)
            | Self::DeclineInverse(_)
            | Self::Advance(_)
            | Self::Shares(_)
            | Self::Config(_)
            | Self::Demand(_)
            | Self::Fill(_) => false,
        }
    }
}

/// Which agent or framework.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Id {
    pub(crate) id: String,
}

/// No fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Reads a line.
pub(crate) fn read(line: &str) -> Result<Command, Refusal> {
    let mut json = serde_json::Deserializer::from_str(line);
    let command = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| misshapen(line).unwrap_or_else(|| wrong(&error)))?;
    json.end().map_err(|error| unreadable(&error))?;
    Ok(command)
}

/// What is wrong with a line that is JSON, but no object with one key and an object below it.
fn misshapen(line: &str) -> Option<Refusal> {
    let json: Json = serde_json::from_str(line).ok()?;
    let fields = json.as_object().filter(|commands| commands.len() == 1);
    match fields.and_then(|commands| commands.iter().next()) {
        Some((_, Json::Object(_))) => None,
        Some((name, _)) => {
            Some(at(name)(Problem::Form("the fields of a command are an object".to_owned())))
        }
        None => {
            let form = "a line is an object with one key, a command: {\"allocate\":{}}";
            Some(at("column 1")(Problem::Form(form.to_owned())))
        }
    }
}

fn wrong(error: &serde_path_to_error::Error<serde_json::Error>) -> Refusal {
    let (path, error) = (error.path().to_string(), error.inner());
    if !error.is_data() {
        return unreadable(error);
    }
    let message = message(error);
    match message.strip_prefix("unknown variant") {
        Some(rest) if matches!(path.as_str(), "." | "?") => {
            at(place(error))(Problem::Form(format!("unknown command{rest}")))
        }
        _ => at(path)(Problem::Form(message)),
    }
}

/// What is no JSON at all.
fn unreadable(error: &serde_json::Error) -> Refusal {
    at(place(error))(Problem::Form(message(error)))
}

fn place(error: &serde_json::Error) -> String {
    format!("column {}", error.column())
}

/// The error without the place, which has another line here.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}
