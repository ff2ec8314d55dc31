//! Amounts by name, without roles and the like.

use muster_resources::{Limits, Name, Quantities, Resource, Resources, Scalar};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// Amounts: `cpus:2;mem:1024`, `{"cpus":2,"mem":1024}`, or a JSON array of Mesos' messages of
/// nothing but amounts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Json")]
pub(crate) struct Amounts(pub(crate) Quantities);

impl TryFrom<Json> for Amounts {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        if let Json::String(text) = &json {
            return Quantities::parse(text).map(Self).map_err(|error| error.to_string());
        }
        Ok(Self(amounts(&json)?.into_iter().collect()))
    }
}

/// The same as limits: 0 is the least of them, and what is not named has none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Json")]
pub(crate) struct Ceilings(pub(crate) Limits);

impl TryFrom<Json> for Ceilings {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        if let Json::String(text) = &json {
            return Limits::parse(text).map(Self).map_err(|error| error.to_string());
        }
        let mut limits = Limits::default();
        for (name, amount) in amounts(&json)? {
            if limits.get(&name).is_some() {
                return Err(format!("{:?} is there twice", name.as_str()));
            }
            limits.set(name, amount);
        }
        Ok(Self(limits))
    }
}

/// What is worth offering: one of several amounts, `cpus:0.01|mem:32` or an array of amounts.
/// With none of them, everything is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Json")]
pub(crate) struct Minima(pub(crate) Vec<Quantities>);

impl TryFrom<Json> for Minima {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        let amounts = match json {
            Json::String(text) if text.trim().is_empty() => Vec::new(),
            Json::String(text) => text.split('|').map(|text| text.trim().into()).collect(),
            Json::Array(amounts) => amounts,
            _ => return Err(format!("{json} is neither like \"cpus:0.01|mem:32\" nor an array")),
        };
        let amounts =
            amounts.into_iter().map(|json| Amounts::try_from(json).map(|amount| amount.0));
        amounts.collect::<Result<_, _>>().map(Self)
    }
}

fn amounts(json: &Json) -> Result<Vec<(Name, Scalar)>, String> {
    match json {
        Json::Object(amounts) => amounts.iter().map(|(name, json)| named(name, json)).collect(),
        Json::Array(messages) => messages.iter().map(message).collect(),
        _ => {
            let expected = "neither a text like \"cpus:1;mem:512\" nor an object of numbers";
            Err(format!("{json} is {expected}"))
        }
    }
}

fn named(name: &str, json: &Json) -> Result<(Name, Scalar), String> {
    let number =
        json.as_f64().ok_or_else(|| format!("the amount {json} of {name:?} is no number"))?;
    let amount = Scalar::from_f64(number).map_err(|problem| problem.to_string())?;
    if amount < Scalar::ZERO {
        return Err(format!("the amount {json} of {name:?} is negative"));
    }
    if name.is_empty() {
        return Err("an amount has no name".to_owned());
    }
    Ok((name.into(), amount))
}

fn message(json: &Json) -> Result<(Name, Scalar), String> {
    // Read by themselves: resources do not keep what there is nothing of, limits do.
    let resources = Resources::from_json_value(&Json::Array(vec![json.clone()]))
        .map_err(|error| error.to_string())?;
    let name = json.as_object().and_then(|fields: &Map<String, Json>| fields.get("name"));
    let name = Name::from(name.and_then(Json::as_str).unwrap_or_default());
    let is_amount = |entry: &Resource| entry.is_plain() && entry.is_scalar();
    if resources.iter().all(is_amount) {
        let amount = resources.scalar(&name);
        Ok((name, amount))
    } else {
        Err(format!("{resources:#} is more than an amount"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cpus(value: f64) -> Json {
        json!({ "name": "cpus", "type": "SCALAR", "scalar": { "value": value } })
    }

    #[test]
    fn amounts_in_all_forms() {
        for json in [json!("cpus:2;mem:0"), json!({ "cpus": 2, "mem": 0 }), json!([cpus(2.0)])] {
            assert_eq!(Amounts::try_from(json).unwrap().0.to_string(), "cpus:2");
        }
    }

    #[test]
    fn a_limit_may_be_nothing() {
        for json in [json!("cpus:0"), json!({ "cpus": 0 }), json!([cpus(0.0)])] {
            assert_eq!(Ceilings::try_from(json).unwrap().0.to_string(), "cpus:0");
        }
        assert!(Ceilings::try_from(json!([cpus(1.0), cpus(2.0)])).is_err());
    }

    #[test]
    fn minima_are_alternatives() {
        let shown = |json| {
            let minima = Minima::try_from(json).unwrap().0;
            minima.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(shown(json!("cpus:0.01 | mem:32")), ["cpus:0.01", "mem:32"]);
        assert_eq!(shown(json!([{ "cpus": 1, "mem": 2 }, "disk:1"])), ["cpus:1;mem:2", "disk:1"]);
        assert!(shown(json!("")).is_empty());
        assert!(shown(json!([])).is_empty());
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        let mut reserved = cpus(1.0);
        reserved["reservations"] = json!([{ "type": "STATIC", "role": "a" }]);
        for json in [
            json!("cpus"),
            json!("cpus:[1-2]"),
            json!({ "cpus": -1 }),
            json!({ "cpus": "1" }),
            json!({ "": 1 }),
            json!([reserved]),
            json!(1),
        ] {
            assert!(Amounts::try_from(json.clone()).is_err(), "{json}");
        }
        for json in [json!("cpus:1||mem:x"), json!({ "cpus": 1 }), json!([1])] {
            assert!(Minima::try_from(json.clone()).is_err(), "{json}");
        }
    }
}
