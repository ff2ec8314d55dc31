//! Resources as JSON: arrays of Mesos' messages, in the JSON form of protobuf.

mod message;

use muster_api::mesos;
use serde_json::{Map, Value as Json};

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

    /// `{"cpus":4.0,"mem":8192.0,"ports":"[31000-32000]"}`: what the endpoints of Mesos call
    /// resources. The four that dashboards add up are always there.
    pub fn totals(&self) -> Json {
        let always = ["cpus", "gpus", "mem", "disk"].map(|name| (name.to_owned(), 0.0.into()));
        let mut totals: Map<String, Json> = always.into_iter().collect();
        for (name, quantity) in self.scalar_totals() {
            totals.insert(name.to_string(), quantity.as_f64().into());
        }
        for (name, ranges) in self.range_totals() {
            totals.insert(name.to_string(), ranges.to_string().into());
        }
        for (name, items) in self.item_totals() {
            totals.insert(name.to_string(), items.to_string().into());
        }
        Json::Object(totals)
    }

    /// The same of what is reserved, by role.
    pub fn reserved_totals(&self) -> Json {
        let roles = self.reservations().into_iter();
        roles.map(|(role, held)| (role.to_string(), held.totals())).collect()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn totals_are_sums_by_name_with_the_four_always_there() {
        let all = "cpus:0.5;cpus(a):1;ports:[1-2];ports(a):[7-7];zones:{x};zones(a):{w}";
        let all = Resources::parse(all).unwrap();
        let expected = json!({
            "cpus": 1.5, "gpus": 0.0, "mem": 0.0, "disk": 0.0, "ports": "[1-2, 7-7]",
            "zones": "{w, x}",
        });
        assert_eq!(all.totals(), expected);
        let reserved = json!({"a": {
            "cpus": 1.0, "gpus": 0.0, "mem": 0.0, "disk": 0.0, "ports": "[7-7]", "zones": "{w}",
        }});
        assert_eq!(all.reserved_totals(), reserved);
    }
}
