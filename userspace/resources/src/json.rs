//! Resources as JSON: arrays of Mesos' messages, in the JSON form of protobuf.

mod message;

use muster_api::mesos;
use serde_json::Value as Json;

use self::message::Message;
use crate::{Error, Problem, Resources};

impl Resources {
    /// Reads a JSON array of resources of any kind.
    ///
    /// # Errors
    /// What is no such array, and what [`Resources::from_proto`] refuses; the place is the
    /// path of the field.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        Self::from_json_for(text, "*")
    }

    /// The same from JSON that has been read already.
    ///
    /// # Errors
    /// Those of [`Resources::from_json`].
    pub fn from_json_value(json: &Json) -> Result<Self, Error> {
        Self::from_messages(serde_path_to_error::deserialize(json), "*")
    }

    /// The array of messages.
    pub fn to_json(&self) -> Json {
        let messages: Vec<Message> = self.to_proto().into_iter().map(Message::from).collect();
        // The structures below have nothing that JSON could not say.
        serde_json::to_value(messages).unwrap_or_default()
    }

    pub(crate) fn from_json_for(text: &str, default_role: &str) -> Result<Self, Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        let messages = serde_path_to_error::deserialize(&mut json);
        let resources = Self::from_messages(messages, default_role)?;
        json.end().map_err(|error| Problem::Json(error.to_string()).at("the end"))?;
        Ok(resources)
    }

    fn from_messages<E: std::fmt::Display>(
        messages: Result<Vec<Message>, serde_path_to_error::Error<E>>,
        default_role: &str,
    ) -> Result<Self, Error> {
        let messages = messages.map_err(|error| {
            Problem::Json(error.inner().to_string()).at(format!("resources{}", error.path()))
        })?;
        let messages: Vec<mesos::Resource> = messages
            .into_iter()
            .map(|mut message| {
                if message.role.is_none() && message.reservations.is_empty() {
                    message.role = Some(default_role.to_owned());
                }
                message.into()
            })
            .collect();
        Self::from_proto(&messages)
    }
}
