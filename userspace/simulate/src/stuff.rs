//! Resources in commands and answers.

use muster_resources::{Resource, Resources};
use serde::Deserialize;
use serde_json::Value as Json;

/// Resources as text, `cpus:1;mem(role):512`, or as a JSON array of Mesos' messages, which can
/// say everything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Json")]
pub(crate) struct Stuff(pub(crate) Resources);

impl TryFrom<Json> for Stuff {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        match &json {
            Json::String(text) if text.trim_start().starts_with('[') => Resources::from_json(text),
            Json::String(text) => Resources::parse(text),
            Json::Array(_) => Resources::from_json_value(&json),
            _ => {
                let expected = "neither a text like \"cpus:1;mem:512\" nor an array of resources";
                return Err(format!("{json} is {expected}"));
            }
        }
        .map(Self)
        .map_err(|error| error.to_string())
    }
}

/// One resource: a message of Mesos', or what [`Stuff`] reads if it is just one.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Json")]
pub(crate) struct One(pub(crate) Resource);

impl TryFrom<Json> for One {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        let json = if json.is_object() { Json::Array(vec![json]) } else { json };
        let resources = Stuff::try_from(json)?.0;
        let found = resources.len();
        let mut all = resources.into_iter();
        match (all.next(), all.next()) {
            (Some(only), None) => Ok(Self(only)),
            _ => Err(format!("one resource is wanted, but there are {found}")),
        }
    }
}

/// Resources in an answer: as text if that says everything, otherwise as JSON. Whom they are
/// allocated to is said beside them.
pub(crate) fn shown(resources: &Resources) -> Json {
    let resources = resources.clone().unallocated();
    let text = resources.to_string();
    let is_all = resources.iter().all(Resource::is_text)
        && Resources::parse(&text).is_ok_and(|read| read == resources);
    if is_all { Json::String(text) } else { resources.to_json() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: Json) -> Result<Resources, String> {
        Stuff::try_from(json).map(|stuff| stuff.0)
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        let volume = json!([{
            "name": "disk", "type": "SCALAR", "scalar": { "value": 10.0 },
            "reservations": [{ "type": "DYNAMIC", "role": "a", "principal": "p" }],
            "disk": { "persistence": { "id": "v" } }, "shared": {},
        }]);
        for json in [json!("cpus:1.5;mem(a/b):512;ports:[1-2, 4-4]"), json!(""), volume] {
            let resources = read(json.clone()).unwrap();
            assert_eq!(read(shown(&resources)), Ok(resources), "{json}");
        }
    }

    #[test]
    fn text_is_shown_where_it_says_everything() {
        assert_eq!(shown(&read(json!("mem:2;cpus(a):1")).unwrap()), json!("cpus(a):1;mem:2"));
        let plain = json!([{ "name": "cpus", "type": "SCALAR", "scalar": { "value": 2.0 } }]);
        assert_eq!(shown(&read(plain.clone()).unwrap()), json!("cpus:2"));
        assert_eq!(shown(&read(json!(plain.to_string())).unwrap()), json!("cpus:2"));
        let odd = json!([{
            "name": "a set", "type": "SET", "set": { "item": ["x,y", "z"] },
        }]);
        assert!(shown(&read(odd).unwrap()).is_array());
    }

    #[test]
    fn one_resource_is_one() {
        let one = json!({ "name": "disk", "type": "SCALAR", "scalar": { "value": 5.0 } });
        assert_eq!(One::try_from(one).unwrap().0, One::try_from(json!("disk:5")).unwrap().0);
        for other in [json!(""), json!("cpus:1;mem:1"), json!(5)] {
            assert!(One::try_from(other.clone()).is_err(), "{other}");
        }
    }
}
